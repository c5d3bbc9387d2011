//! Watching descriptors, and operations on a socket of one's own.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::rc::Rc;
use std::time::Duration;

use ringloop::net::{Interest, Readiness};
use ringloop::spawn;
use ringloop::time::timeout;

use crate::support::{poll_once, run_on_each};

/// A non-blocking stream, watched, and its peer.
fn watched() -> (Rc<UnixStream>, Rc<Readiness>, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let ready = Readiness::new(&ours).unwrap();
    (Rc::new(ours), Rc::new(ready), theirs)
}

async fn recv(ready: &Readiness, mut from: impl Read, buf: &mut [u8]) -> io::Result<usize> {
    ready.async_io(Interest::READABLE, || from.read(buf)).await
}

/// asyncio's `sock_sendall`.
async fn send_all(ready: &Readiness, mut to: impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let n = ready.async_io(Interest::WRITABLE, || to.write(bytes)).await?;
        bytes = &bytes[n..];
    }
    Ok(())
}

// L-42, check 129.
#[test]
fn what_is_there_is_received_at_once_and_what_is_not_is_waited_for() {
    run_on_each(|| async {
        let (ours, ready, mut theirs) = watched();
        let mut buf = [0; 16];
        theirs.write_all(b"at once").unwrap();
        let mut at_once = Box::pin(recv(&ready, &*ours, &mut buf));
        assert!(poll_once(&mut at_once).is_ready(), "the first call does not wait");
        drop(at_once);
        let reader = {
            let (ours, ready) = (ours.clone(), ready.clone());
            spawn(async move {
                let mut buf = [0; 16];
                let n = recv(&ready, &*ours, &mut buf).await.unwrap();
                buf[..n].to_vec()
            })
        };
        ringloop::task::yield_now().await;
        assert!(!reader.is_finished());
        theirs.write_all(b"later").unwrap();
        assert_eq!(reader.await.unwrap(), b"later");
        drop(theirs);
        assert_eq!(recv(&ready, &*ours, &mut buf).await.unwrap(), 0);
    });
}

// L-47, check 129. Seen to fail when the answer of `async_io` waits for one more turn.
#[test]
fn a_receive_that_is_dropped_is_in_nobodys_way_and_takes_nothing() {
    run_on_each(|| async {
        let (ours, ready, mut theirs) = watched();
        let (mut sent, mut got) = (0u8, 0u8);
        for round in 0..200 {
            let mut buf = [0; 16];
            let mut dropped = Box::pin(recv(&ready, &*ours, &mut buf));
            for _ in 0..round % 3 {
                assert!(poll_once(&mut dropped).is_pending());
                ringloop::task::yield_now().await;
            }
            theirs.write_all(&[sent]).unwrap();
            sent = sent.wrapping_add(1);
            for _ in 0..round % 4 {
                ringloop::task::yield_now().await;
            }
            // Polled once more, it has either told what it took or taken nothing.
            let told = (round % 2 == 0).then(|| poll_once(&mut dropped));
            drop(dropped);
            if let Some(std::task::Poll::Ready(n)) = told {
                assert_eq!((n.unwrap(), buf[0]), (1, got));
                got = got.wrapping_add(1);
                continue;
            }
            let n = recv(&ready, &*ours, &mut buf).await.unwrap();
            for byte in &buf[..n] {
                assert_eq!(*byte, got, "a byte is lost or came twice");
                got = got.wrapping_add(1);
            }
        }
        assert_eq!(sent, got);
    });
}

// L-44, check 129.
#[test]
fn a_huge_payload_goes_both_ways_at_once() {
    const LEN: usize = 8 << 20;
    run_on_each(|| async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (theirs, _) = listener.accept().unwrap();
        ours.set_nonblocking(true).unwrap();
        let peer = std::thread::spawn(move || {
            let (mut from, mut to) = (theirs.try_clone().unwrap(), theirs);
            let mut buf = vec![0; 1 << 16];
            loop {
                match from.read(&mut buf).unwrap() {
                    0 => return to.shutdown(Shutdown::Write).unwrap(),
                    n => to.write_all(&buf[..n]).unwrap(),
                }
            }
        });
        let ours = Rc::new(ours);
        let bytes: Vec<u8> = (0..LEN).map(|i| (i % 251) as u8).collect();
        let writer = {
            let (ours, bytes) = (ours.clone(), bytes.clone());
            spawn(async move {
                let ready = Readiness::new(&*ours).unwrap();
                send_all(&ready, &*ours, &bytes).await.unwrap();
                ours.shutdown(Shutdown::Write).unwrap();
            })
        };
        let ready = Readiness::new(&*ours).unwrap();
        let (mut all, mut buf) = (Vec::new(), vec![0; 1 << 16]);
        loop {
            match recv(&ready, &*ours, &mut buf).await.unwrap() {
                0 => break,
                n => all.extend_from_slice(&buf[..n]),
            }
        }
        writer.await.unwrap();
        assert!(all == bytes, "not what was sent: {} bytes", all.len());
        peer.join().unwrap();
    });
}

// L-43, L-44, check 129.
#[test]
fn datagrams_are_sent_and_received_with_their_address_an_empty_one_too() {
    run_on_each(|| async {
        let [one, other] = [0; 2].map(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
        one.set_nonblocking(true).unwrap();
        other.set_nonblocking(true).unwrap();
        let to = one.local_addr().unwrap();
        let (ready, sending) = (Readiness::new(&one).unwrap(), Readiness::new(&other).unwrap());
        for text in [&b"hello"[..], b"", b"a longer one"] {
            let sent = sending.async_io(Interest::WRITABLE, || other.send_to(text, to)).await;
            assert_eq!(sent.unwrap(), text.len());
            let mut buf = [0; 8];
            let got = ready.async_io(Interest::READABLE, || one.recv_from(&mut buf)).await;
            let (n, from) = got.unwrap();
            assert_eq!((&buf[..n], from), (&text[..n], other.local_addr().unwrap()));
            assert_eq!(n, text.len().min(8), "what does not fit is cut off");
        }
        let [one, other] = {
            let (one, other) = UnixDatagram::pair().unwrap();
            [one, other]
        };
        one.set_nonblocking(true).unwrap();
        let ready = Readiness::new(&one).unwrap();
        let early = ready.async_io(Interest::READABLE, || one.recv(&mut [0; 8]));
        assert!(timeout(Duration::from_millis(2), early).await.is_err());
        other.send(b"x").unwrap();
        let got = ready.async_io(Interest::READABLE, || one.recv(&mut [0; 8])).await;
        assert_eq!(got.unwrap(), 1);
    });
}

// L-46, check 129.
#[test]
fn an_accept_that_is_dropped_leaves_the_connection_to_the_next() {
    run_on_each(|| async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let ready = Readiness::new(&listener).unwrap();
        let accept = || ready.async_io(Interest::READABLE, || listener.accept());
        let mut dropped = Box::pin(accept());
        assert!(poll_once(&mut dropped).is_pending());
        let dialled = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        ringloop::task::yield_now().await;
        drop(dropped);
        let (_, peer) = accept().await.unwrap();
        assert_eq!(peer, dialled.local_addr().unwrap());
    });
}

// L-45, check 129.
#[test]
fn a_connect_that_fails_says_why_and_one_that_stands_goes_back_to_std() {
    run_on_each(|| async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ours = ringloop::net::TcpStream::connect(address).await.unwrap();
        let (std, parked) = ours.into_std().await.unwrap();
        assert!(parked.is_empty());
        assert_eq!(std.peer_addr().unwrap(), address);
        drop((std, listener));
        let error = ringloop::net::TcpStream::connect(address).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

// L-47, check 25.
#[test]
fn a_descriptor_number_that_is_used_again_is_not_disturbed_by_who_watched_it_before() {
    run_on_each(|| async {
        for _ in 0..100 {
            let (ours, ready, theirs) = watched();
            let number = ours.as_raw_fd();
            assert!(poll_once(&mut Box::pin(ready.readable())).is_pending());
            drop((ours, ready));
            let (ours, ready, mut peer) = watched();
            let again = ours.as_raw_fd() == number;
            assert!(poll_once(&mut Box::pin(ready.readable())).is_pending());
            drop(theirs);
            let early = timeout(Duration::from_micros(100), ready.readable()).await;
            assert!(early.is_err(), "an event of the one before");
            peer.write_all(b"x").unwrap();
            ready.readable().await.unwrap();
            if again {
                return;
            }
        }
    });
}

// L-41, check 23.
#[test]
fn readers_and_writers_of_one_descriptor_are_told_each_what_it_waits_for() {
    run_on_each(|| async {
        let (ours, ready, mut theirs) = watched();
        let second = Readiness::new(&*ours).unwrap();
        let mut reader = Box::pin(ready.ready(Interest::READABLE));
        assert!(poll_once(&mut reader).is_pending());
        let shown = second.ready(Interest::READABLE | Interest::WRITABLE).await.unwrap();
        assert!(shown.is_writable() && !shown.is_readable());
        assert!(poll_once(&mut reader).is_pending(), "the writer's news reached the reader");
        theirs.write_all(b"x").unwrap();
        assert!(reader.await.unwrap().is_readable());
        // Said again and again, as long as it is so.
        for _ in 0..3 {
            assert!(second.ready(Interest::READABLE).await.unwrap().is_readable());
        }
    });
}

// L-41.
#[test]
fn a_call_that_fails_gives_its_error_and_an_interrupted_one_is_made_again() {
    run_on_each(|| async {
        let (_ours, ready, _theirs) = watched();
        let error = ready
            .async_io(Interest::READABLE, || Err::<(), _>(ErrorKind::AddrInUse.into()))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        let mut calls = 0;
        let answer = ready.async_io(Interest::READABLE, || {
            calls += 1;
            if calls < 5 { Err(ErrorKind::Interrupted.into()) } else { Ok(calls) }
        });
        assert_eq!(answer.await.unwrap(), 5);
    });
}
