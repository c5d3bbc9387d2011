//! What comes, comes whole, once, in order, and to whoever asks.

use std::cell::RefCell;
use std::rc::Rc;

use ringloop::net::{UdpSocket, UdpSocketOptions};
use ringloop::spawn;
use ringloop::task::yield_now;

use super::{address, pair, with_std};
use crate::support::run_on_each;
use crate::tcp::{pattern, poll_once, turns};

// Seen to fail when datagrams are received into the buffers that streams have (16 KiB).
#[test]
fn the_longest_datagram_arrives_whole() {
    run_on_each(|| async {
        let (ours, theirs) = with_std().await;
        for len in [65_507, 16_384, 1, 65_507, 16_085] {
            theirs.send(pattern(len, len)).unwrap();
            let datagram = ours.recv_chunk().await.unwrap();
            assert!(datagram[..] == *pattern(len, len), "{len} bytes came as {}", datagram.len());
            assert_eq!(datagram.addr(), address(&theirs));
            theirs.send(pattern(len, len)).unwrap();
            let mut buf = vec![0; 70_000];
            assert_eq!(ours.recv_from(&mut buf).await.unwrap(), (len, address(&theirs)));
            assert!(buf[..len] == *pattern(len, len));
        }
    });
}

#[test]
fn the_longest_datagram_of_ipv6_arrives_whole() {
    run_on_each(|| async {
        let Ok(ours) = UdpSocket::bind("[::1]:0").await else { return };
        let theirs = std::net::UdpSocket::bind("[::1]:0").unwrap();
        theirs.send_to(pattern(0, 65_527), ours.local_addr().unwrap()).unwrap();
        let datagram = ours.recv_chunk().await.unwrap();
        assert!(datagram[..] == *pattern(0, 65_527));
        assert_eq!(datagram.addr(), address(&theirs));
    });
}

// Seen to fail when an empty datagram is taken for the end.
#[test]
fn an_empty_datagram_is_data_and_those_behind_it_come() {
    run_on_each(|| async {
        let (ours, theirs) = with_std().await;
        for round in 0..3 {
            for text in ["", "", "a", "", "b"] {
                theirs.send(text.as_bytes()).unwrap();
            }
            for text in ["", "", "a", "", "b"] {
                let datagram = ours.recv_chunk().await.unwrap();
                assert_eq!((&datagram[..], datagram.addr()), (text.as_bytes(), address(&theirs)));
                assert_eq!(datagram.segments().count(), 1, "{text:?} in round {round}");
            }
        }
        theirs.send(b"").unwrap();
        assert_eq!(ours.recv_from(&mut [0; 4]).await.unwrap(), (0, address(&theirs)));
    });
}

#[test]
fn what_a_slice_has_no_room_for_is_cut_off_and_the_next_is_whole() {
    run_on_each(|| async {
        let (ours, theirs) = with_std().await;
        theirs.send(b"hello, world").unwrap();
        theirs.send(b"next").unwrap();
        let mut buf = [0; 5];
        assert_eq!(ours.recv_from(&mut buf).await.unwrap().0, 5);
        assert_eq!(&buf, b"hello");
        assert_eq!(ours.recv(&mut buf).await.unwrap(), 4);
        assert_eq!(&buf[..4], b"next");
        theirs.send(b"nothing").unwrap();
        assert_eq!(ours.recv(&mut []).await.unwrap(), 0, "an empty slice takes one, too");
        theirs.send(b"last").unwrap();
        assert_eq!(&ours.recv_chunk().await.unwrap()[..], b"last");
    });
}

#[test]
fn a_peek_takes_nothing() {
    run_on_each(|| async {
        let (ours, theirs) = with_std().await;
        theirs.send(b"one").unwrap();
        theirs.send(b"two").unwrap();
        let mut buf = [0; 8];
        for _ in 0..3 {
            assert_eq!(ours.peek_from(&mut buf).await.unwrap(), (3, address(&theirs)));
            assert_eq!(ours.peek(&mut buf[..2]).await.unwrap(), 2);
            ours.readable().await.unwrap();
        }
        assert_eq!(&ours.recv_chunk().await.unwrap()[..], b"one");
        assert_eq!(&ours.recv_chunk().await.unwrap()[..], b"two");
    });
}

#[test]
fn those_who_wait_are_served_in_the_order_in_which_they_came() {
    run_on_each(|| async {
        let (ours, theirs) = with_std().await;
        let ours = Rc::new(ours);
        for together in [true, false] {
            let order = Rc::new(RefCell::new(Vec::new()));
            let tasks: Vec<_> = (0..10u8)
                .map(|number| {
                    let (ours, order) = (ours.clone(), order.clone());
                    spawn(async move {
                        let datagram = ours.recv_chunk().await.unwrap();
                        order.borrow_mut().push((number, datagram[0]));
                    })
                })
                .collect();
            turns(3).await;
            for number in 0..10u8 {
                theirs.send(&[number]).unwrap();
                if !together {
                    turns(3).await;
                }
            }
            for task in tasks {
                task.await.unwrap();
            }
            let expected: Vec<_> = (0..10).map(|number| (number, number)).collect();
            assert_eq!(*order.borrow(), expected);
        }
    });
}

// Seen to fail when a dropped receive that was woken does not pass it on.
#[test]
fn a_receive_that_is_dropped_after_its_wake_or_forgotten_holds_up_nobody() {
    run_on_each(|| async {
        for forgets in [false, true] {
            let (ours, theirs) = with_std().await;
            let mut first = Box::pin(ours.recv_chunk());
            let mut second = Box::pin(ours.recv_chunk());
            assert!(poll_once(&mut first).await.is_pending());
            assert!(poll_once(&mut second).await.is_pending());
            theirs.send(b"whose?").unwrap();
            // It comes, and the first is woken, and does not look.
            turns(3).await;
            if forgets {
                std::mem::forget(first);
            } else {
                drop(first);
            }
            assert_eq!(&second.await.unwrap()[..], b"whose?");
            // Nor does one that comes later wait for those who never look.
            theirs.send(b"later").unwrap();
            assert_eq!(&ours.recv_chunk().await.unwrap()[..], b"later");
            std::mem::forget(theirs);
        }
    });
}

// Seen to fail when whoever comes takes what another was woken for.
#[test]
fn what_has_come_is_there_without_waiting_and_not_before_those_who_wait() {
    run_on_each(|| async {
        let (ours, theirs) = with_std().await;
        let mut buf = [0; 8];
        let nothing = ours.try_recv_from(&mut buf).unwrap_err();
        assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
        theirs.send(b"one").unwrap();
        theirs.send(b"two").unwrap();
        ours.readable().await.unwrap();
        assert_eq!(ours.try_recv(&mut buf).unwrap(), 3);
        assert_eq!(&buf[..3], b"one");
        ours.readable().await.unwrap();
        assert_eq!(&ours.try_recv_chunk().unwrap()[..], b"two");
        assert!(ours.try_recv_chunk().is_err());
        let ours = Rc::new(ours);
        let waits = spawn({
            let ours = ours.clone();
            async move { ours.recv_chunk().await.unwrap().to_vec() }
        });
        turns(2).await;
        theirs.send(b"three").unwrap();
        while !waits.is_finished() {
            let stolen = ours.try_recv_chunk();
            assert!(stolen.is_err(), "{stolen:?} was another's");
            yield_now().await;
        }
        assert_eq!(waits.await.unwrap(), b"three");
    });
}

#[test]
fn a_socket_of_std_comes_and_goes_with_all_that_has_come() {
    run_on_each(|| async {
        let theirs = std::net::UdpSocket::bind(super::LOCAL).unwrap();
        let std = std::net::UdpSocket::bind(super::LOCAL).unwrap();
        let to = address(&std);
        theirs.send_to(b"before", to).unwrap();
        let ours = UdpSocket::from_std(std).unwrap();
        assert_eq!(&ours.recv_chunk().await.unwrap()[..], b"before");
        for number in 0..5u8 {
            theirs.send_to(&[number], to).unwrap();
        }
        ours.readable().await.unwrap();
        let (std, parked) = ours.into_std().await.unwrap();
        let mut all: Vec<u8> = parked.iter().map(|datagram| datagram[0]).collect();
        // In blocking mode, and what had not been received is still there.
        while all.len() < 5 {
            let mut buf = [0; 8];
            assert_eq!(std.recv_from(&mut buf).unwrap(), (1, address(&theirs)));
            all.push(buf[0]);
        }
        assert_eq!(all, [0, 1, 2, 3, 4]);
        theirs.send_to(b"after", to).unwrap();
        assert_eq!(std.recv(&mut [0; 8]).unwrap(), 5);
    });
}

#[test]
fn a_port_is_free_again_when_its_socket_is_dropped() {
    run_on_each(|| async {
        let first = UdpSocket::bind(super::LOCAL).await.unwrap();
        let address = first.local_addr().unwrap();
        let mut receive = Box::pin(first.recv_chunk());
        assert!(poll_once(&mut receive).await.is_pending());
        turns(2).await;
        drop(receive);
        drop(first);
        let second = UdpSocket::bind(address).await.unwrap();
        let taken = UdpSocket::bind(address).await.unwrap_err();
        assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
        let mut options = UdpSocketOptions::new();
        options.reuse_port(true);
        drop(second);
        let shared = options.bind(address).await.unwrap();
        let other = options.bind(address).await.unwrap();
        assert_eq!(shared.local_addr().unwrap(), other.local_addr().unwrap());
    });
}

#[test]
fn a_poll_is_woken_and_takes_one_and_leaves_the_rest() {
    run_on_each(|| async {
        let (one, other) = pair().await;
        let task = spawn(async move {
            let mut got = Vec::new();
            while got.len() < 3 {
                got.push(std::future::poll_fn(|cx| one.poll_recv(cx)).await.unwrap().to_vec());
            }
            (got, one)
        });
        for text in ["a", "b", "c", "d"] {
            yield_now().await;
            other.send(text.as_bytes()).await.unwrap();
        }
        let (got, one) = task.await.unwrap();
        assert_eq!(got, [b"a", b"b", b"c"]);
        assert_eq!(&one.recv_chunk().await.unwrap()[..], b"d");
    });
}
