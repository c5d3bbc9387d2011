//! Slow ones beside fast ones.

use std::cell::Cell;
use std::rc::Rc;

use super::*;
use crate::support::run_on_each;

/// Round trips of one fast client; counts them.
async fn fast(address: SocketAddr, rounds: usize, done: Rc<Cell<usize>>) -> io::Result<()> {
    let mut client = TcpStream::connect(address).await?;
    let (mut position, mut back) = (0, vec![0; 1000]);
    for round in 0..rounds {
        let len = 1 + round * 37 % 1000;
        client.write_all(pattern(position, len)).await?;
        read_exact(&mut client, &mut back[..len]).await?;
        position = check(&back[..len], position);
        done.set(round + 1);
    }
    Ok(())
}

// Seen to fail when the receive of a socket that is not read from goes on above its limit: the slow
// reader's peer is never held up.
#[test]
fn fifty_fast_ones_do_all_their_rounds_while_slow_ones_stand_still() {
    const ROUNDS: usize = 100;
    const LEN: usize = 16 << 20;
    run_on_each(|| async {
        let (address, server) = echo_server().await;
        // A slow reader, whose peer writes as fast as it may.
        let (mut reader, theirs) = with_std().await;
        let sender = send_pattern(theirs, LEN);
        assert_eq!(reader.read(&mut [0]).await.unwrap(), 1);
        // A peer that does not read what is written to it.
        let (mut stuck, mut deaf) = with_std().await;
        let stalled = ringloop::spawn(async move {
            let mut position = 0;
            while position < LEN {
                stuck.write_all(pattern(position, 1 << 16)).await?;
                position += 1 << 16;
            }
            io::Result::Ok(())
        });
        // A slow writer to the server of the fast ones: a byte at a time, and never a whole record.
        let mut dripping = TcpStream::connect(address).await.unwrap();
        let counts: Vec<_> = (0..50).map(|_| Rc::new(Cell::new(0))).collect();
        let clients: Vec<_> = counts
            .iter()
            .map(|done| ringloop::spawn(fast(address, ROUNDS, done.clone())))
            .collect();
        let mut dripped = 0;
        let mut least_at_first_end = None;
        while counts.iter().any(|done| done.get() < ROUNDS) {
            dripping.write_all(pattern(dripped, 1)).await.unwrap();
            dripping.flush().await.unwrap();
            let mut byte = [0];
            read_exact(&mut dripping, &mut byte).await.unwrap();
            dripped = check(&byte, dripped);
            if counts.iter().any(|done| done.get() == ROUNDS) {
                let least = counts.iter().map(|done| done.get()).min().unwrap();
                least_at_first_end.get_or_insert(least);
            }
        }
        for client in clients {
            client.await.unwrap().unwrap();
        }
        // None of them was left behind.
        let least = least_at_first_end.unwrap_or(ROUNDS);
        assert!(least > ROUNDS / 4, "one had done {least} rounds when another had done {ROUNDS}");
        assert!(dripped > 0, "the slow writer was not served at all");
        assert!(!sender.is_finished(), "the slow reader holds up nobody");
        assert!(!stalled.is_finished(), "a peer that does not read holds up nobody");

        // And the slow ones lose nothing.
        let (mut position, mut buf) = (1, vec![0; 100_000]);
        while position < LEN {
            let n = reader.read(&mut buf).await.unwrap();
            assert_ne!(n, 0, "the end after {position} bytes");
            position = check(&buf[..n], position);
        }
        join(sender).await;
        let listening = std::thread::spawn(move || drain_pattern(&mut deaf));
        stalled.await.unwrap().unwrap();
        assert_eq!(join(listening).await.unwrap(), LEN);
        server.cancel();
    });
}
