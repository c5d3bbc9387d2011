//! Few buffers, many connections: nobody starves, is reset, or gets another's bytes.

use std::io::{Read, Write};
use std::time::Duration;

use super::*;
use crate::support::{build, on_each_backend};

/// Accepts `n` connections of blocking clients.
async fn clients(n: usize) -> (Vec<TcpStream>, Vec<std::net::TcpStream>) {
    let listener = TcpListener::bind(LOCAL).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..n {
        let client = std::net::TcpStream::connect(address).unwrap();
        // Long enough for any load, and far below what the watchdog grants.
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        theirs.push(client);
        ours.push(listener.accept().await.unwrap().0);
    }
    (ours, theirs)
}

/// Each client sends and gets back, all at once, `rounds` times.
fn all_at_once(clients: &mut [std::net::TcpStream], rounds: usize, len: usize) {
    let mut back = vec![0; len];
    for round in 0..rounds {
        for (i, client) in clients.iter_mut().enumerate() {
            client.write_all(pattern(i * 1000 + round * len, len)).unwrap();
        }
        for (i, client) in clients.iter_mut().enumerate() {
            if let Err(error) = client.read_exact(&mut back) {
                panic!("client {i} starves or was reset in round {round}: {error}");
            }
            check(&back, i * 1000 + round * len);
        }
    }
}

#[test]
fn two_small_buffers_serve_two_hundred_connections() {
    on_each_backend(|builder| {
        build(builder.buffers(2, 256)).block_on(async {
            let (ours, mut theirs) = clients(200).await;
            for stream in ours {
                ringloop::spawn(echo(stream));
            }
            let peer = std::thread::spawn(move || all_at_once(&mut theirs, 10, 1000));
            join(peer).await;
            assert_eq!(ringloop::metrics().buffered, 0);
        });
    });
}

#[test]
fn an_idle_connection_that_found_no_buffer_does_not_stand_before_a_busy_one() {
    on_each_backend(|builder| {
        let mut runtime = build(builder.buffers(2, 256));
        let handle = runtime.handle();
        let (ours, mut theirs) = runtime.block_on(clients(20));
        // Two have bytes: they take both buffers in the very turn in which all others arm.
        for busy in &mut theirs[..2] {
            busy.write_all(pattern(0, 200)).unwrap();
        }
        let peer = std::thread::spawn(move || {
            let mut back = [0; 200];
            for busy in &mut theirs[..2] {
                busy.read_exact(&mut back).unwrap();
            }
            // One by one: nothing but its own bytes can wake the loop.
            for (i, idle) in theirs.iter_mut().enumerate().rev() {
                idle.write_all(pattern(i, 200)).unwrap();
                if let Err(error) = idle.read_exact(&mut back) {
                    panic!("client {i} starves: {error}");
                }
                check(&back, i);
            }
            handle.stop();
        });
        runtime.block_on(async {
            for stream in ours {
                ringloop::spawn(echo(stream));
            }
        });
        runtime.run_forever();
        peer.join().unwrap();
    });
}

#[test]
fn a_tiny_budget_slows_down_and_stops_nobody() {
    const LEN: usize = 300_000;
    on_each_backend(|builder| {
        build(builder.buffer_budget(64 << 10)).block_on(async {
            let (mut ours, theirs) = clients(50).await;
            let peers: Vec<_> = theirs.into_iter().map(|peer| send_pattern(peer, LEN)).collect();
            // All have something parked, far more than the budget, before one is read to its end.
            for stream in &mut ours {
                stream.peek(&mut [0]).await.unwrap();
            }
            turns(200).await;
            assert!(ringloop::metrics().buffered > 64 << 10, "the budget was not tried");
            for mut stream in ours {
                assert_eq!(read_pattern(&mut stream).await.unwrap(), LEN);
            }
            for peer in peers {
                join(peer).await;
            }
            assert_eq!(ringloop::metrics().buffered, 0);
        });
    });
}

#[test]
fn beyond_the_budget_a_connection_gets_one_small_piece() {
    const BUDGET: u64 = 256 << 10;
    const LEN: usize = 1 << 20;
    on_each_backend(|builder| {
        build(builder.buffers(16, 4096).buffer_budget(BUDGET)).block_on(async {
            let (mut ours, theirs) = clients(50).await;
            let peers: Vec<_> = theirs.into_iter().map(|peer| send_pattern(peer, LEN)).collect();
            for stream in &mut ours {
                stream.peek(&mut [0]).await.unwrap();
                // Those before it have what they get.
                turns(100).await;
            }
            // The one that was armed when the budget ran out goes on for its total; the others have
            // a piece of 4 KiB.
            let bound = BUDGET + (192 << 10) + 50 * (5 << 10);
            until(|| ringloop::metrics().buffered > BUDGET).await;
            turns(500).await;
            let held = ringloop::metrics().buffered;
            assert!(held <= bound, "{held} bytes are held, more than {bound}");
            for mut stream in ours {
                assert_eq!(read_pattern(&mut stream).await.unwrap(), LEN);
            }
            for peer in peers {
                join(peer).await;
            }
        });
    });
}

// Seen to fail when starved sockets do not receive into the heap.
#[test]
fn a_ring_whose_every_buffer_is_kept_for_ever_stops_nobody() {
    on_each_backend(|builder| {
        build(builder.buffers(2, 256)).block_on(async {
            let (mut ours, mut theirs) = clients(6).await;
            // Some are armed before the ring is empty, some after.
            let mut early = ours.split_off(4);
            for stream in &mut early {
                assert!(poll_once(&mut Box::pin(stream.read(&mut [0]))).await.is_pending());
            }
            turns(3).await;
            let mut kept = Vec::new();
            for (stream, peer) in ours.iter_mut().zip(&mut theirs).take(2) {
                peer.write_all(pattern(0, 256)).unwrap();
                kept.push(stream.read_chunk().await.unwrap().unwrap());
            }
            assert_eq!(ringloop::metrics().buffered, 512, "the ring is not used up");
            for stream in ours.into_iter().chain(early) {
                ringloop::spawn(echo(stream));
            }
            let peer = std::thread::spawn(move || all_at_once(&mut theirs, 5, 3000));
            join(peer).await;
            kept.iter().for_each(|lease| assert_eq!(check(lease, 0), 256));
        });
    });
}

/// Runs alone: two thousand descriptors.
fn with_descriptors(n: u64) {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    assert!(hard >= n, "this machine gives no more than {hard} descriptors");
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(n), hard).unwrap();
}

// Seen to fail when ENOBUFS ends a stream, as an error or as EOF, and when a starved socket is not armed
// again.
#[test]
fn a_ring_of_one_buffer_serves_a_thousand_connections() {
    alone("shortage::a_ring_of_one_buffer_serves_a_thousand_connections", || {
        with_descriptors(2200);
        on_each_backend(|builder| {
            build(builder.buffers(1, 256)).block_on(async {
                let (ours, mut theirs) = clients(1000).await;
                for stream in ours {
                    ringloop::spawn(async move { echo(stream).await.unwrap() });
                }
                let peer = std::thread::spawn(move || {
                    all_at_once(&mut theirs, 3, 700);
                    theirs
                });
                let theirs = join(peer).await;
                assert_eq!(ringloop::metrics().buffered, 0);
                // All are idle again: nobody looks for buffers any more.
                turns(1000).await;
                let before = ringloop::metrics();
                ringloop::time::sleep(Duration::from_millis(100)).await;
                let spent = ringloop::metrics().turns - before.turns;
                assert!(spent <= 16, "{spent} turns while nobody sends");
                drop(theirs);
                until(|| ringloop::metrics().tasks_alive == 0).await;
            });
        });
    });
}

// Seen to fail when starved sockets do not receive into the heap, or are not armed again.
#[test]
fn one_buffer_that_is_kept_for_ever_lets_a_thousand_wait_without_a_spin() {
    alone("shortage::one_buffer_that_is_kept_for_ever_lets_a_thousand_wait_without_a_spin", || {
        with_descriptors(2200);
        on_each_backend(|builder| {
            build(builder.buffers(1, 256)).block_on(async {
                let (mut ours, mut theirs) = clients(1000).await;
                theirs[0].write_all(pattern(0, 256)).unwrap();
                let kept = ours[0].read_chunk().await.unwrap().unwrap();
                assert_eq!(ringloop::metrics().buffered, 256, "the ring is not used up");
                for stream in ours {
                    ringloop::spawn(async move { echo(stream).await.unwrap() });
                }
                turns(3000).await;
                let before = ringloop::metrics();
                ringloop::time::sleep(Duration::from_millis(100)).await;
                let spent = ringloop::metrics().turns - before.turns;
                assert!(spent <= 16, "{spent} turns while nobody sends");
                let peer = std::thread::spawn(move || all_at_once(&mut theirs, 2, 700));
                join(peer).await;
                assert_eq!(check(&kept, 0), 256);
            });
        });
    });
}
