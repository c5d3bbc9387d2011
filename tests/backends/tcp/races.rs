//! Cancel against completion: whoever wins, every byte and every descriptor is accounted for.
//!
//! Each runs alone, because it counts the descriptors of the process.

use std::io::{Read, Write};

use super::*;
use crate::support::{build, on_each_backend};

/// Runs `race` alone on each backend; then nothing may be left, and nothing have gone astray.
fn race<F: Future<Output = ()>>(name: &str, race: impl Fn() -> F) {
    alone(&format!("races::{name}"), || {
        on_each_backend(|builder| {
            let mut runtime = build(builder);
            // Pattern, threads and the like are made once.
            runtime.block_on(async { drop(with_std().await) });
            runtime.block_on(until(|| ringloop::metrics().in_flight == 0));
            let before = descriptors();
            runtime.block_on(race());
            runtime.block_on(until(|| ringloop::metrics().in_flight == 0));
            assert_eq!(runtime.metrics().strays, 0);
            assert_eq!(runtime.metrics().buffered, 0);
            assert_eq!(descriptors(), before, "descriptors were lost");
        });
    });
}

#[test]
fn twenty_thousand_receives_dropped_as_their_byte_arrives() {
    race("twenty_thousand_receives_dropped_as_their_byte_arrives", || async {
        let (mut ours, mut theirs) = with_std().await;
        theirs.set_nodelay(true).unwrap();
        let mut numbers = Numbers::new(1);
        let mut position = 0;
        for sent in 0..20_000 {
            let mut byte = [0];
            {
                let mut read = std::pin::pin!(ours.read(&mut byte));
                let early = poll_once(&mut read).await;
                assert!(early.is_pending(), "byte {sent} came before it was sent");
                theirs.write_all(pattern(sent, 1)).unwrap();
                turns(numbers.below(3)).await;
                if numbers.below(8) == 0
                    && let Poll::Ready(n) = poll_once(&mut read).await
                {
                    assert_eq!(n.unwrap(), 1);
                    position = sent + 1;
                }
            }
            if position == sent {
                assert_eq!(ours.read(&mut byte).await.unwrap(), 1);
                position += 1;
            }
            assert_eq!(position, sent + 1);
        }
        drop(theirs);
        assert_eq!(ours.read(&mut [0]).await.unwrap(), 0);
    });
}

/// The receive itself is cancelled here, not only its future: the read half goes.
#[test]
fn streams_dropped_as_their_bytes_arrive_keep_no_buffer() {
    race("streams_dropped_as_their_bytes_arrive_keep_no_buffer", || async {
        let listener = TcpListener::bind(LOCAL).await.unwrap();
        let address = listener.local_addr().unwrap();
        let peer = std::thread::spawn(move || {
            for _ in 0..2000 {
                let mut peer = std::net::TcpStream::connect(address).unwrap();
                // It may be reset under our hands.
                let _ = peer.write_all(pattern(0, 5000));
                let _ = peer.read(&mut [0; 64]);
            }
        });
        let mut numbers = Numbers::new(2);
        for _ in 0..2000 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut read = Box::pin(stream.read_chunk());
            let _ = poll_once(&mut read).await;
            turns(numbers.below(4)).await;
            drop(read);
            drop(stream);
        }
        join(peer).await;
    });
}

#[test]
fn accepts_dropped_as_their_connection_arrives() {
    race("accepts_dropped_as_their_connection_arrives", || async {
        const DIALS: usize = 3000;
        let listener = TcpListener::bind(LOCAL).await.unwrap();
        let address = listener.local_addr().unwrap();
        let peer = std::thread::spawn(move || {
            for dial in 0..DIALS {
                let mut peer = std::net::TcpStream::connect(address).unwrap();
                peer.write_all(&(dial as u32).to_ne_bytes()).unwrap();
                // Until it is served, so that the dials do not run ahead.
                assert_eq!(peer.read(&mut [0]).unwrap(), 0);
            }
        });
        let mut numbers = Numbers::new(3);
        let mut accepted = 0;
        while accepted < DIALS {
            let mut accept = Box::pin(listener.accept());
            let mut stream = None;
            for _ in 0..numbers.below(4) {
                if let Poll::Ready(result) = poll_once(&mut accept).await {
                    stream = Some(result.unwrap().0);
                    break;
                }
                yield_now().await;
            }
            drop(accept);
            if let Some(mut stream) = stream {
                let mut id = [0; 4];
                read_exact(&mut stream, &mut id).await.unwrap();
                assert_eq!(u32::from_ne_bytes(id) as usize, accepted, "out of order, or lost");
                accepted += 1;
            }
        }
        join(peer).await;
    });
}

#[test]
fn connects_dropped_as_they_come_about() {
    race("connects_dropped_as_they_come_about", || async {
        const DIALS: usize = 3000;
        let listener = std::net::TcpListener::bind(LOCAL).unwrap();
        let address = listener.local_addr().unwrap();
        let peer = std::thread::spawn(move || {
            // Each connection ends: with its number, or with nothing when its dialler was dropped.
            let mut whole = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().unwrap();
                let mut id = Vec::new();
                let _ = stream.read_to_end(&mut id);
                match id.try_into().map(u32::from_ne_bytes) {
                    Ok(u32::MAX) => return whole,
                    Ok(id) => whole.push(id),
                    Err(id) => assert!(id.is_empty(), "half a number"),
                }
            }
        });
        let mut numbers = Numbers::new(4);
        let mut kept = Vec::new();
        for dial in 0..DIALS as u32 {
            let mut connect = Box::pin(TcpStream::connect(address));
            for _ in 0..1 + numbers.below(3) {
                if let Poll::Ready(stream) = poll_once(&mut connect).await {
                    stream.unwrap().write_all(&dial.to_ne_bytes()).await.unwrap();
                    kept.push(dial);
                    break;
                }
                yield_now().await;
            }
        }
        let mut last = TcpStream::connect(address).await.unwrap();
        last.write_all(&u32::MAX.to_ne_bytes()).await.unwrap();
        drop(last);
        assert_eq!(join(peer).await, kept);
        assert!((100..DIALS - 100).contains(&kept.len()), "no race: {} were kept", kept.len());
    });
}

#[test]
fn writes_dropped_as_their_bytes_leave() {
    race("writes_dropped_as_their_bytes_leave", || async {
        let (mut ours, mut theirs) = with_std().await;
        ours.set_send_buffer_size(64 << 10).unwrap();
        let peer = std::thread::spawn(move || {
            let mut all = Vec::new();
            theirs.read_to_end(&mut all).map(|_| all)
        });
        // Each write is cut off somewhere; records tell where the next begins.
        let mut numbers = Numbers::new(5);
        let mut whole = 0;
        for _ in 0..2000 {
            let record = [&[0xFF; 8][..], &[7; 30_000]].concat();
            let mut write = std::pin::pin!(ours.write_all(&record));
            for _ in 0..numbers.below(3) {
                if poll_once(&mut write).await.is_ready() {
                    whole += 1;
                    break;
                }
                yield_now().await;
            }
        }
        drop(ours);
        let all = join(peer).await.unwrap();
        let (mut found, mut at) = (0, 0);
        while at < all.len() {
            assert_eq!(all[at..at + 8.min(all.len() - at)], [0xFF; 8][..8.min(all.len() - at)]);
            at = (at + 8).min(all.len());
            let body = all[at..].iter().take(30_000).take_while(|&&b| b == 7).count();
            found += usize::from(body == 30_000);
            at += body;
        }
        assert_eq!(found, whole, "a write that was done is not whole");
    });
}

#[test]
fn aborts_and_drops_in_the_middle_of_sends_keep_nothing() {
    race("aborts_and_drops_in_the_middle_of_sends_keep_nothing", || async {
        let listener = std::net::TcpListener::bind(LOCAL).unwrap();
        let address = listener.local_addr().unwrap();
        let peer = std::thread::spawn(move || {
            for round in 0..1000 {
                let (mut stream, _) = listener.accept().unwrap();
                match round % 3 {
                    // Reads all, or some, or nothing.
                    0 => drop(stream.read_to_end(&mut Vec::new())),
                    1 => drop(stream.read(&mut [0; 100])),
                    _ => {}
                }
            }
        });
        let mut numbers = Numbers::new(6);
        for round in 0..1000 {
            let mut ours = TcpStream::connect(address).await.unwrap();
            let some = bytes::Bytes::from_static(pattern(0, 1 + numbers.below(200_000)));
            let _ = ours.write_bytes(some).await;
            let _ = poll_once(&mut Box::pin(ours.read(&mut [0; 9]))).await;
            turns(numbers.below(4)).await;
            if round % 2 == 0 {
                ours.abort();
            }
        }
        join(peer).await;
    });
}
