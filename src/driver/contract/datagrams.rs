//! Datagrams: whole, with their heads, into buffers of their own.

use std::net::UdpSocket;

use super::*;
use crate::sys::datagram::Outgoing;
use crate::sys::message::{HEAD, Head};
use crate::sys::{SockAddr, datagram};

/// A connected pair of UDP sockets: ours, and the peer's.
fn udp_pair() -> (RawFd, UdpSocket) {
    let [ours, peer] = [0; 2].map(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
    peer.connect(ours.local_addr().unwrap()).unwrap();
    ours.connect(peer.local_addr().unwrap()).unwrap();
    ours.set_nonblocking(true).unwrap();
    (ours.into_raw_fd(), peer)
}

fn with_messages(mut test: impl FnMut(&mut Rig)) {
    each(|rig| {
        rig.pool.open_messages().unwrap();
        test(rig);
        assert_eq!(rig.pool.messages().unwrap().available(), 64);
    });
}

impl Rig {
    /// The bytes of a completion into the messages' pool.
    pub(super) fn message(&self, completion: Completion) -> Lease {
        let buffer = completion.flags.buffer();
        let buffer = buffer.unwrap_or_else(|| panic!("{completion:?} names no buffer"));
        let pool = self.pool.messages().expect("it is open");
        pool.lease(buffer, completion.result as u32).expect("a buffer that was taken")
    }

    fn cancelled(&mut self, token: Token) {
        self.driver.cancel(token);
        assert_eq!(self.end(token), -libc::ECANCELED);
    }
}

#[test]
fn a_datagram_comes_whole_whatever_its_length_and_says_who_sent_it() {
    with_messages(|rig| {
        let (fd, peer) = udp_pair();
        let token = rig.submit(Request::RecvMsg { fd });
        for len in [1, 100, SIZE, 16_384, 40_000, 65_507] {
            peer.send(&pattern(len)).unwrap();
            let completion = rig.next(token);
            assert!(completion.flags.more());
            let message = rig.message(completion);
            let head = Head::of(&message).unwrap();
            assert_eq!(head.name().to_inet().unwrap(), peer.local_addr().unwrap());
            assert!(!head.is_truncated() && head.control().is_empty());
            assert!(
                message[HEAD..] == pattern(len),
                "{len} bytes came as {}",
                message.len() - HEAD
            );
        }
        rig.cancelled(token);
        rig.close(fd);
    });
}

#[test]
fn an_empty_datagram_comes_and_ends_it() {
    with_messages(|rig| {
        let (fd, peer) = udp_pair();
        for before in [true, false] {
            let early = before.then(|| peer.send(b"").unwrap());
            let token = rig.submit(Request::RecvMsg { fd });
            if early.is_none() {
                rig.rest();
                peer.send(b"").unwrap();
            }
            let completion = rig.next(token);
            assert!(!completion.flags.more());
            assert_eq!(rig.message(completion).len(), HEAD);
        }
        rig.close(fd);
    });
}

#[test]
fn what_nobody_wanted_ends_it_with_the_word_of_the_network() {
    with_messages(|rig| {
        let (fd, peer) = udp_pair();
        let address = peer.local_addr().unwrap();
        drop(peer);
        let token = rig.submit(Request::RecvMsg { fd });
        rig.rest();
        let bytes = b"anybody?";
        datagram::send(fd, Outgoing { bytes, to: None, control: &[] }).unwrap();
        let completion = rig.next(token);
        assert_eq!((completion.result, completion.flags.buffer()), (-libc::ECONNREFUSED, None));
        assert!(!completion.flags.more());
        // The socket goes on.
        let peer = UdpSocket::bind(address).unwrap();
        datagram::send(fd, Outgoing { bytes, to: None, control: &[] }).unwrap();
        let (_, ours) = peer.recv_from(&mut [0; 8]).unwrap();
        peer.send_to(b"I", ours).unwrap();
        let token = rig.submit(Request::RecvMsg { fd });
        let completion = rig.next(token);
        assert_eq!(rig.message(completion)[HEAD..], *b"I");
        rig.cancelled(token);
        rig.close(fd);
    });
}

// Seen to fail when the pool of the streams is asked for buffers.
#[test]
fn without_a_buffer_datagrams_stay() {
    with_messages(|rig| {
        let (fd, peer) = udp_pair();
        let mut held = Vec::new();
        let token = rig.submit(Request::RecvMsg { fd });
        for i in 0..64u8 {
            peer.send(&[i]).unwrap();
            held.push(rig.next(token));
        }
        peer.send(b"patience").unwrap();
        let completion = rig.next(token);
        assert_eq!((completion.result, completion.flags.buffer()), (-libc::ENOBUFS, None));
        assert!(!completion.flags.more());
        for (i, completion) in held.into_iter().enumerate() {
            assert_eq!(rig.message(completion)[HEAD..], [i as u8]);
        }
        let token = rig.submit(Request::RecvMsg { fd });
        let completion = rig.next(token);
        assert_eq!(rig.message(completion)[HEAD..], *b"patience");
        rig.cancelled(token);
        rig.close(fd);
    });
}

#[test]
fn a_flood_comes_in_order_and_a_wish_to_end_is_heard() {
    with_messages(|rig| {
        let (fd, peer) = udp_pair();
        let mut next = 0u32;
        let mut token = rig.submit(Request::RecvMsg { fd });
        for round in 0..20 {
            (0..50).for_each(|i| _ = peer.send(&(round * 50 + i as u32).to_ne_bytes()).unwrap());
            while next < (round + 1) * 50 {
                let completion = rig.next(token);
                if completion.result > 0 {
                    assert_eq!(rig.message(completion)[HEAD..], next.to_ne_bytes());
                    next += 1;
                }
                if !completion.flags.more() {
                    assert!(completion.result == -libc::ENOBUFS, "{completion:?}");
                    token = rig.submit(Request::RecvMsg { fd });
                }
            }
        }
        rig.cancelled(token);
        let cancelled = rig.submit(Request::RecvMsg { fd });
        rig.cancelled(cancelled);
        rig.close(fd);
    });
}

#[test]
fn what_is_no_datagram_socket_says_so() {
    with_messages(|rig| {
        let file = std::fs::File::open("/dev/null").unwrap().into_raw_fd();
        assert_eq!(rig.result(Request::RecvMsg { fd: file }), -libc::ENOTSOCK);
        assert_eq!(rig.result(Request::RecvMsg { fd: 1 << 16 }), -libc::EBADF);
        assert_eq!(rig.result(Request::RecvMsg { fd: -1 }), -libc::EBADF);
        rig.close(file);
    });
}

fn call(rig: &mut Rig, call: Call<'_>) -> Result<i32, Option<i32>> {
    rig.driver.call(call).map_err(|error| error.raw_os_error())
}

#[test]
fn calls_send_one_or_many_and_fetch_and_say_when_they_would_wait() {
    each(|rig| {
        let [ours, peer] = [0; 2].map(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
        peer.set_read_timeout(Some(*STUCK)).unwrap();
        ours.set_nonblocking(true).unwrap();
        let (from, to) = (ours.local_addr().unwrap(), peer.local_addr().unwrap());
        let (fd, address) = (ours.into_raw_fd(), SockAddr::from(to));
        let one = |bytes| Outgoing { bytes, to: Some(&address), control: &[] };
        assert_eq!(call(rig, Call::SendDatagram { fd, datagram: one(b"one") }), Ok(3));
        let datagrams = &[one(b"two"), one(b""), one(b"four")];
        assert_eq!(call(rig, Call::SendDatagrams { fd, datagrams }), Ok(3));
        for expected in [&b"one"[..], b"two", b"", b"four"] {
            let mut buf = [0; 8];
            assert_eq!(peer.recv_from(&mut buf).unwrap(), (expected.len(), from));
            assert_eq!(buf[..expected.len()], *expected);
        }
        // The error of one that is not the first is the next call's.
        let long = vec![0; 70_000];
        let datagrams = &[one(b"short"), one(&long), one(b"never")];
        assert_eq!(call(rig, Call::SendDatagrams { fd, datagrams }), Ok(1));
        let datagrams = &datagrams[1..];
        let too_long = Err(Some(libc::EMSGSIZE));
        assert_eq!(call(rig, Call::SendDatagrams { fd, datagrams }), too_long);
        let mut came = SockAddr::empty();
        let mut fetch = |rig: &mut Rig, into: &mut [u8], peek| {
            call(rig, Call::RecvFromNow { fd, into, from: &mut came, peek })
        };
        assert_eq!(fetch(rig, &mut [], false), Err(Some(libc::EAGAIN)));
        peer.send_to(b"hello", from).unwrap();
        let mut buf = [0; 8];
        assert_eq!(fetch(rig, &mut [], true), Ok(5), "how long it is");
        assert_eq!(fetch(rig, &mut buf, true), Ok(5));
        assert_eq!(fetch(rig, &mut buf[..2], false), Ok(5), "more than there is room for");
        assert_eq!(fetch(rig, &mut buf, false), Err(Some(libc::EAGAIN)));
        assert_eq!((&buf[..5], came.to_inet().unwrap()), (&b"hello"[..], to));
        rig.close(fd);
    });
}
