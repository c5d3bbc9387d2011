//! A descriptor's number comes back at once: nothing of its last connection may meet the next.

use std::collections::{BTreeSet, VecDeque};
use std::io::{Read, Write};
use std::time::Duration;

use super::*;
use crate::support::{Watchdog, backends, build};

/// What a connection sends: nothing but its own id.
fn record(id: u32) -> [u8; 64] {
    let mut record = [0; 64];
    record.chunks_mut(4).for_each(|word| word.copy_from_slice(&id.to_ne_bytes()));
    record
}

/// Dials again and again; the last few connections stay a while, and send late bytes.
fn dial(orders: &str) {
    let mut orders = orders.split(' ');
    let address: SocketAddr = orders.next().unwrap().parse().unwrap();
    let rounds: u32 = orders.next().unwrap().parse().unwrap();
    let mut recent = VecDeque::new();
    for id in 0..rounds {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(&record(id)).unwrap();
        // An answer, or a reset where the server aborts.
        let mut answer = [0; 64];
        if let Ok(n) = stream.read(&mut answer) {
            assert_eq!(answer[..n], record(id)[..n], "another's bytes reached connection {id}");
        }
        for (old, stream) in &mut recent {
            let _: io::Result<()> = std::net::TcpStream::write_all(stream, &record(*old));
        }
        recent.push_back((id, stream));
        if recent.len() > 4 {
            recent.pop_front();
        }
    }
    println!("all {rounds} heard nothing but their own");
    // Until the server has counted.
    std::thread::park();
}

/// Serves connection `id` and leaves it with something in flight.
async fn serve(mut stream: TcpStream, id: u32, much: &bytes::Bytes, numbers: &mut Numbers) {
    let mut got = [0; 64];
    read_exact(&mut stream, &mut got).await.unwrap();
    assert_eq!(got, record(id), "another's bytes in connection {id}");
    let mut byte = [0];
    match numbers.below(4) {
        // A receive.
        0 => {
            stream.write_all(&got).await.unwrap();
            let mut read = std::pin::pin!(stream.read(&mut byte));
            let _ = poll_once(&mut read).await;
            turns(numbers.below(3)).await;
        }
        // A send that the peer does not take, and a receive.
        1 => {
            stream.write_bytes(much.clone()).await.unwrap();
            let _ = poll_once(&mut Box::pin(stream.read(&mut byte))).await;
            turns(numbers.below(3)).await;
            stream.abort();
        }
        // A receive within a time limit.
        2 => {
            stream.write_all(&got).await.unwrap();
            let read = ringloop::time::timeout(Duration::from_secs(3600), stream.read(&mut byte));
            let _ = poll_once(&mut Box::pin(read)).await;
        }
        // A send of the write half, with its end, and a receive of the other.
        _ => {
            let (mut read, mut write) = stream.into_split();
            write.write_all(&got).await.unwrap();
            let _ = poll_once(&mut Box::pin(read.read(&mut byte))).await;
            drop(write);
            turns(numbers.below(2)).await;
        }
    }
}

// Seen to fail when a dropped stream closes its descriptor at once, with its receive in flight.
#[test]
fn a_number_that_comes_back_with_operations_in_flight_mixes_no_bytes() {
    const NAME: &str = "number::a_number_that_comes_back_with_operations_in_flight_mixes_no_bytes";
    if let Some(orders) = role() {
        return dial(&orders);
    }
    let body = || {
        let (rounds, seed) = (races(2000) as u32, seed());
        for backend in backends() {
            println!("{rounds} connections on {backend}, seed {seed}");
            let mut runtime = build(ringloop::Builder::new().backend(backend));
            let listener = runtime.block_on(TcpListener::bind(LOCAL)).unwrap();
            let address = listener.local_addr().unwrap();
            let mut peer = Actor::start(NAME, &format!("{address} {rounds}"), backend);
            let before = descriptors();
            let mut seen = BTreeSet::new();
            let mut numbers = Numbers::new(seed);
            let much = record(0).len();
            for batch in (0..rounds).step_by(2000) {
                let _watchdog = Watchdog::start(format!("connections from {batch} on {backend}"));
                runtime.block_on(async {
                    for id in batch..rounds.min(batch + 2000) {
                        let (stream, _) = listener.accept().await.unwrap();
                        seen.insert(number(&stream));
                        let much = bytes::Bytes::from(record(id).repeat((1 << 20) / much));
                        serve(stream, id, &much, &mut numbers).await;
                    }
                });
            }
            peer.hear("heard nothing but their own");
            drop(listener);
            runtime.block_on(until(|| ringloop::metrics().in_flight == 0));
            assert_eq!(descriptors(), before - 1, "descriptors are left");
            assert_eq!(runtime.metrics().strays, 0);
            assert!(seen.len() <= 8, "the numbers did not come back: {seen:?}");
            peer.end();
        }
    };
    alone(NAME, body);
}

/// The descriptor's number.
fn number(stream: &TcpStream) -> i32 {
    let text = format!("{stream:?}");
    let number = text.split_once("Fd(").expect("a descriptor shows its number").1;
    number.split_once(')').unwrap().0.parse().unwrap()
}
