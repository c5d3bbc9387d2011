//! Promises 1 and 2 for sockets: every request ends once, with the result of its syscall.

use std::net::{Shutdown, TcpListener, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::thread;

use super::*;
use crate::buf::Message;
use crate::op::Call;
use crate::sys::SockAddr;

#[test]
fn nothing_completes_before_a_wait() {
    each(|rig| {
        let token = rig.submit(Request::Nop);
        assert!(rig.is_flying(token));
        assert_eq!(rig.end(token), 0);
    });
}

#[test]
fn thousands_of_requests_in_one_turn_each_end() {
    each(|rig| {
        let tokens: Vec<_> = (0..10_000).map(|_| rig.submit(Request::Nop)).collect();
        for token in tokens {
            assert_eq!(rig.end(token), 0);
        }
    });
}

#[test]
fn a_bad_descriptor_is_an_error_of_its_request() {
    each(|rig| {
        let mut buf = [0; 8];
        for fd in [-1, 1 << 16] {
            assert_eq!(rig.result(recv(fd, &mut buf)), -libc::EBADF);
            assert_eq!(rig.result(send(fd, b"x")), -libc::EBADF);
            assert_eq!(rig.result(stream(fd, 0)), -libc::EBADF);
            assert_eq!(rig.result(Request::Accept { fd, multi: true }), -libc::EBADF);
            assert_eq!(rig.result(Request::Close { fd }), -libc::EBADF);
            assert_eq!(rig.result(Request::Sync { fd, data_only: false }), -libc::EBADF);
            let events = libc::POLLIN as u32;
            assert_eq!(rig.result(Request::Poll { fd, events }), -libc::EBADF);
            let (ptr, len) = (buf.as_mut_ptr(), 8);
            assert_eq!(rig.result(Request::Read { fd, ptr, len, offset: 0 }), -libc::EBADF);
            assert_eq!(rig.result(Request::Write { fd, ptr, len, offset: 0 }), -libc::EBADF);
        }
    });
}

#[test]
fn a_recv_takes_what_is_there_and_waits_for_what_is_not() {
    each(|rig| {
        let (fd, mut peer) = pair();
        let mut buf = [0; 8];
        write_all(&mut peer, b"early");
        assert_eq!(rig.result(recv(fd, &mut buf)), 5);
        assert_eq!(&buf[..5], b"early");
        for _ in 0..3 {
            let token = rig.submit(recv(fd, &mut buf));
            rig.rest();
            assert!(rig.is_flying(token), "it ended with nothing there");
            write_all(&mut peer, b"late");
            assert_eq!(rig.end(token), 4);
            assert_eq!(&buf[..4], b"late");
        }
        rig.close(fd);
    });
}

#[test]
fn a_stream_ends_with_zero_after_its_last_byte_and_again() {
    each(|rig| {
        // Bytes and EOF together, EOF alone, and a half-close; armed before and after.
        for armed in [false, true] {
            for (bytes, half) in [(&b"last words"[..], false), (b"", false), (b"half", true)] {
                let (fd, mut peer) = tcp_pair();
                let early = armed.then(|| rig.submit(stream(fd, 0)));
                if armed {
                    rig.rest();
                }
                write_all(&mut peer, bytes);
                let peer = if half {
                    peer.shutdown(Shutdown::Write).unwrap();
                    Some(peer)
                } else {
                    drop(peer);
                    None
                };
                let token = early.unwrap_or_else(|| rig.submit(stream(fd, 0)));
                let (got, last) = rig.gather(token, usize::MAX);
                assert_eq!(got, bytes);
                let last = last.unwrap();
                assert_eq!((last.result, last.flags.buffer()), (0, None));
                assert_eq!(rig.result(stream(fd, 0)), 0, "again");
                assert_eq!(rig.result(recv(fd, &mut [0; 8])), 0, "and again");
                drop(peer);
                rig.close(fd);
            }
        }
    });
}

#[test]
fn a_stream_delivers_more_than_one_turn_holds_and_its_end() {
    each(|rig| {
        let (fd, mut peer) = tcp_pair();
        let sent = pattern(3 << 20);
        let bytes = sent.clone();
        let writer = thread::spawn(move || write_all(&mut peer, &bytes));
        let mut got = Vec::new();
        let last = loop {
            let token = rig.submit(stream(fd, 0));
            let (some, last) = rig.gather(token, usize::MAX);
            got.extend(some);
            // A fast writer may fill every buffer within one wait.
            match last.unwrap().result {
                result if result == -libc::ENOBUFS => {}
                result => break result,
            }
        };
        assert_eq!(last, 0);
        assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
        writer.join().unwrap();
        rig.close(fd);
    });
}

#[test]
fn a_reset_is_an_error() {
    each(|rig| {
        let (fd, peer) = tcp_pair();
        let token = rig.submit(stream(fd, 0));
        rig.rest();
        assert_eq!(rig.result(send(fd, b"never read")), 10);
        // A close before the bytes are there would be an end.
        while peer.peek(&mut [0; 10]).unwrap() < 10 {}
        drop(peer);
        assert_eq!(rig.end(token), -libc::ECONNRESET);
        rig.close(fd);
    });
}

#[test]
fn datagrams_come_one_by_one_also_short_ones() {
    each(|rig| {
        let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.connect(ours.local_addr().unwrap()).unwrap();
        ours.set_nonblocking(true).unwrap();
        let fd = ours.into_raw_fd();
        let token = rig.submit(stream(fd, 0));
        rig.rest();
        for round in 0..3u8 {
            for i in 0..20u8 {
                peer.send(&[round, i]).unwrap();
            }
            for i in 0..20u8 {
                let completion = rig.next(token);
                assert_eq!(&rig.lease(completion)[..], [round, i]);
            }
        }
        rig.driver.cancel(token);
        assert_eq!(rig.end(token), -libc::ECANCELED);
        rig.close(fd);
    });
}

#[test]
fn a_send_goes_whole_to_a_slow_reader() {
    each(|rig| {
        let (tcp, tcp_peer) = tcp_pair();
        let (unix, unix_peer) = pair();
        let peers: [Box<dyn Read + Send>; 2] = [Box::new(tcp_peer), Box::new(unix_peer)];
        for (fd, mut peer) in [tcp, unix].into_iter().zip(peers) {
            let bytes = pattern(4 << 20);
            let token = rig.submit(send(fd, &bytes));
            rig.rest();
            assert!(rig.is_flying(token), "4 MiB fit into the socket");
            let reader = thread::spawn(move || {
                let mut got = Vec::new();
                while got.len() < 4 << 20 {
                    got.extend(read_exact(&mut peer, 4096));
                    thread::yield_now();
                }
                (got, peer)
            });
            assert_eq!(rig.end(token), 4 << 20);
            assert!(reader.join().unwrap().0 == bytes);
            rig.close(fd);
        }
    });
}

#[test]
fn a_message_goes_whole_from_all_its_slices() {
    each(|rig| {
        let (fd, mut peer) = pair();
        let bytes = pattern(1 << 20);
        let mut message = Box::<Message>::default();
        let header = message.gather(bytes.chunks(100_003));
        let token = rig.submit(Request::SendMsg { fd, message: header });
        rig.rest();
        let reader = thread::spawn(move || (read_exact(&mut peer, 1 << 20), peer));
        assert_eq!(rig.end(token), 1 << 20);
        let (got, mut peer) = reader.join().unwrap();
        assert!(got == bytes);
        // A small one at once.
        let header = message.gather([&bytes[..5]].into_iter());
        assert_eq!(rig.result(Request::SendMsg { fd, message: header }), 5);
        assert_eq!(read_exact(&mut peer, 5), bytes[..5]);
        rig.close(fd);
    });
}

#[test]
fn a_send_to_nobody_is_an_error_and_no_signal() {
    each(|rig| {
        let (fd, peer) = pair();
        drop(peer);
        assert_eq!(rig.result(send(fd, b"x")), -libc::EPIPE);
        rig.close(fd);
    });
}

#[test]
fn a_send_that_breaks_halfway_says_how_much_went_and_the_next_one_why() {
    each(|rig| {
        let (fd, peer) = pair();
        let bytes = pattern(4 << 20);
        let token = rig.submit(send(fd, &bytes));
        rig.rest();
        drop(peer);
        let gone = rig.end(token);
        assert!(gone > 0 && gone < 4 << 20, "{gone}");
        let error = rig.result(send(fd, b"x"));
        assert!([-libc::EPIPE, -libc::ECONNRESET].contains(&error), "{error}");
        rig.close(fd);
    });
}

#[test]
fn an_accept_waits_for_its_connection() {
    each(|rig| {
        let (fd, address) = listener();
        let token = rig.submit(Request::Accept { fd, multi: false });
        rig.rest();
        assert!(rig.is_flying(token));
        let mut peer = TcpStream::connect(address).unwrap();
        let ours = rig.end(token);
        write_all(&mut peer, b"hello");
        let mut buf = [0; 8];
        assert_eq!(rig.result(recv(ours, &mut buf)), 5);
        rig.close(ours);
        rig.close(fd);
    });
}

#[test]
fn one_accept_brings_a_hundred_connections() {
    each(|rig| {
        let (fd, address) = listener();
        let mut token = rig.submit(Request::Accept { fd, multi: true });
        for burst in [1, 99] {
            let peers: Vec<_> = (0..burst).map(|_| TcpStream::connect(address).unwrap()).collect();
            for _ in &peers {
                let completion = rig.next(token);
                assert!(completion.result >= 0, "{completion:?}");
                rig.close(completion.result);
                if !completion.flags.more() {
                    token = rig.submit(Request::Accept { fd, multi: true });
                }
            }
        }
        rig.driver.cancel(token);
        assert_eq!(rig.end(token), -libc::ECANCELED);
        rig.close(fd);
    });
}

/// A new socket and a connect to `address`.
fn connect(rig: &mut Rig, address: &SockAddr) -> (RawFd, Token) {
    let kind = libc::SOCK_STREAM;
    let fd = rig.driver.call(Call::Socket { domain: libc::AF_INET, kind, protocol: 0 }).unwrap();
    let token = rig.submit(Request::Connect { fd, address: address.as_ptr(), len: address.len() });
    (fd, token)
}

#[test]
fn a_connect_ends_when_the_connection_stands() {
    each(|rig| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = SockAddr::from(listener.local_addr().unwrap());
        let (fd, token) = connect(rig, &address);
        assert_eq!(rig.end(token), 0);
        let (mut peer, _) = listener.accept().unwrap();
        assert_eq!(rig.result(send(fd, b"hello")), 5);
        assert_eq!(read_exact(&mut peer, 5), b"hello");
        let again =
            rig.submit(Request::Connect { fd, address: address.as_ptr(), len: address.len() });
        assert_eq!(rig.end(again), -libc::EISCONN);
        rig.close(fd);
    });
}

#[test]
fn a_refused_connect_says_so() {
    each(|rig| {
        let address = {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            SockAddr::from(listener.local_addr().unwrap())
        };
        let (fd, token) = connect(rig, &address);
        assert_eq!(rig.end(token), -libc::ECONNREFUSED);
        rig.close(fd);
    });
}

#[test]
fn a_unix_connect_to_a_full_backlog_does_not_wait() {
    each(|rig| {
        let name = format!("\0ringloop-backlog-{}", std::process::id());
        let path = &name.as_bytes()[1..];
        let unix = SocketAddr::from_abstract_name(path).unwrap();
        let listener = UnixListener::bind_addr(&unix).unwrap();
        rig.driver.call(Call::Listen { fd: listener.as_raw_fd(), backlog: 1 }).unwrap();
        let mut address = [0u8; 64];
        address[..2].copy_from_slice(&(libc::AF_UNIX as u16).to_ne_bytes());
        address[2..2 + name.len()].copy_from_slice(name.as_bytes());
        let mut fds = Vec::new();
        let result = loop {
            let kind = libc::SOCK_STREAM;
            let socket = Call::Socket { domain: libc::AF_UNIX, kind, protocol: 0 };
            let fd = rig.driver.call(socket).unwrap();
            fds.push(fd);
            let (address, len) = (address.as_ptr().cast(), 2 + name.len() as u32);
            let result = rig.result(Request::Connect { fd, address, len });
            if result != 0 || fds.len() > 10 {
                break result;
            }
        };
        assert_eq!(result, -libc::EAGAIN);
        for fd in fds {
            rig.close(fd);
        }
    });
}
