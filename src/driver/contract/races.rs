//! Promise 4 under fire: a request, what it waits for, and its cancel, all at once. Each ends once, and
//! not a byte is lost.
//!
//! `RINGLOOP_TEST_RACES` says how many rounds each kind runs.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::thread;

use super::*;
use crate::op::Call;
use crate::sys::{SockAddr, file};

/// Rounds of each kind on each backend.
fn rounds() -> u32 {
    let asked = std::env::var("RINGLOOP_TEST_RACES").ok();
    asked.map_or(2000, |text| text.parse().expect("RINGLOOP_TEST_RACES is a number"))
}

/// Starts the peer's part of a round, and waits for it.
struct Peer<'a> {
    begun: &'a AtomicU32,
    done: &'a AtomicU32,
}

const OVER: u32 = u32::MAX;

impl Peer<'_> {
    fn start(&self) {
        assert_ne!(self.done.load(Ordering::Acquire), OVER, "the peer has given up");
        self.begun.fetch_add(1, Ordering::Release);
    }

    /// Waits until the peer has done its part.
    fn join(&self) {
        while self.done.load(Ordering::Acquire) < self.begun.load(Ordering::Relaxed) {
            thread::yield_now();
        }
    }
}

impl Drop for Peer<'_> {
    fn drop(&mut self) {
        self.begun.store(OVER, Ordering::Release);
    }
}

/// Says that the peer does nothing more, also when it panics.
struct Gone<'a>(&'a AtomicU32);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        self.0.store(OVER, Ordering::Release);
    }
}

/// Runs `round` again and again, with a thread that does `act` when a round starts it.
fn race(mut act: impl FnMut(u32) + Send, mut round: impl FnMut(u32, &Peer<'_>)) {
    let (begun, done) = (AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        let peer = Peer { begun: &begun, done: &done };
        scope.spawn(|| {
            let _gone = Gone(&done);
            for n in 1.. {
                while begun.load(Ordering::Acquire) < n {
                    thread::yield_now();
                }
                if begun.load(Ordering::Acquire) == OVER {
                    return;
                }
                act(n);
                done.store(n, Ordering::Release);
            }
        });
        for n in 1..=rounds() {
            round(n, &peer);
            peer.join();
        }
    });
}

/// Submits, has the peer act and cancels, each time at other moments.
fn cross(rig: &mut Rig, n: u32, peer: &Peer<'_>, request: Request) -> Token {
    let token = rig.submit(request);
    if !n.is_multiple_of(3) {
        rig.turn(Until::Now);
    }
    peer.start();
    match n % 4 {
        // It has happened, and the driver has not looked.
        0 => peer.join(),
        1 => rig.turn(Until::Now),
        _ => (0..n.wrapping_mul(37) % 400).for_each(|_| std::hint::spin_loop()),
    }
    rig.driver.cancel(token);
    token
}

/// Waits for the end of a read of eight bytes; if it was cancelled, the bytes are read after it.
fn eight(rig: &mut Rig, token: Token, peer: &Peer<'_>, again: Request) {
    let result = rig.end(token);
    peer.join();
    if result != 8 {
        assert!([-libc::ECANCELED, -libc::EINTR].contains(&result), "{result}");
        assert_eq!(rig.result(again), 8, "the bytes of a cancelled read");
    }
}

// Seen to fail when the epoll driver, asked to end one, tries once more and drops what that brings.
#[test]
fn a_receive_and_its_cancel_lose_no_byte() {
    each(|rig| {
        let (fd, mut peer) = pair();
        let mut buf = [0; 8];
        let request = recv(fd, &mut buf);
        race(
            |n| write_all(&mut peer, &u64::from(n).to_le_bytes()),
            |n, peer| {
                let token = cross(rig, n, peer, request);
                eight(rig, token, peer, request);
                assert_eq!(u64::from_le_bytes(buf), n.into());
            },
        );
        rig.close(fd);
    });
}

// Seen to fail when the epoll driver, asked to end one, tries once more and drops what that brings.
#[test]
fn a_read_of_a_pipe_and_its_cancel_lose_no_byte() {
    each(|rig| {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let fd = reader.into_raw_fd();
        let mut buf = [0; 8];
        let (ptr, offset) = (buf.as_mut_ptr(), Request::POSITION);
        let request = Request::Read { fd, ptr, len: 8, offset };
        race(
            |n| write_all(&mut writer, &u64::from(n).to_le_bytes()),
            |n, peer| {
                let token = cross(rig, n, peer, request);
                eight(rig, token, peer, request);
                assert_eq!(u64::from_le_bytes(buf), n.into());
            },
        );
        rig.close(fd);
    });
}

// Seen to fail when the epoll driver, asked to end one, tries once more and drops what that brings.
#[test]
fn a_multishot_and_its_cancel_lose_no_byte_and_no_buffer() {
    each(|rig| {
        let (fd, mut peer) = tcp_pair();
        let bytes = pattern(251 * 256);
        let piece = |n: u32| &bytes[n as usize * 100 % 64_000..][..100];
        race(
            |n| write_all(&mut peer, piece(n)),
            |n, peer| {
                let mut token = cross(rig, n, peer, stream(fd, 0));
                let mut got = Vec::new();
                loop {
                    let (some, last) = rig.gather(token, 100 - got.len() + 1);
                    got.extend(some);
                    if let Some(last) = last {
                        assert_eq!(last.result, -libc::ECANCELED);
                    }
                    if got.len() == 100 && last.is_some() {
                        break;
                    }
                    // The next one brings what this one left, and is cancelled when it has.
                    token = rig.submit(stream(fd, 0));
                    got.extend(rig.gather(token, 100 - got.len()).0);
                    rig.driver.cancel(token);
                }
                assert_eq!(got, piece(n));
            },
        );
        assert_eq!(rig.pool.available(), 64);
        rig.close(fd);
    });
}

#[test]
fn a_poll_and_its_cancel_leave_the_socket_as_it_is() {
    each(|rig| {
        let (fd, mut peer) = pair();
        race(
            |_| write_all(&mut peer, b"x"),
            |n, peer| {
                let events = libc::POLLIN as u32;
                let token = cross(rig, n, peer, Request::Poll { fd, events });
                let shown = rig.end(token);
                assert!([libc::POLLIN.into(), -libc::ECANCELED].contains(&shown), "{shown}");
                assert_eq!(rig.result(recv(fd, &mut [0; 8])), 1);
            },
        );
        rig.close(fd);
    });
}

// Seen to fail when the epoll driver, asked to end one, tries once more and drops what that brings.
#[test]
fn an_accept_and_its_cancel_lose_no_connection() {
    each(|rig| {
        // Unix sockets: their connections leave no port behind.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ringloop-races-{}-{number}", std::process::id());
        let address = SocketAddr::from_abstract_name(name).unwrap();
        let listener = UnixListener::bind_addr(&address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let fd = listener.into_raw_fd();
        race(
            |n| write_all(&mut UnixStream::connect_addr(&address).unwrap(), &[n as u8]),
            |n, peer| {
                let multi = n % 5 < 3;
                let token = cross(rig, n, peer, Request::Accept { fd, multi });
                let mut accepted = Vec::new();
                loop {
                    let completion = rig.next(token);
                    if completion.result >= 0 {
                        accepted.push(file::own(completion.result));
                    }
                    if !completion.flags.more() {
                        let cancelled = completion.result == -libc::ECANCELED;
                        assert!(cancelled || !multi && completion.result >= 0, "{completion:?}");
                        break;
                    }
                }
                peer.join();
                while let Ok(fd) = rig.driver.call(Call::AcceptNow { fd }) {
                    accepted.push(file::own(fd));
                }
                assert_eq!(accepted.len(), 1, "connections of one dial");
                let mut stream = UnixStream::from(accepted.remove(0));
                assert_eq!(read_all(&mut stream), [n as u8]);
            },
        );
        rig.close(fd);
    });
}

// Seen to fail when a cancelled send does not say how much had gone.
#[test]
fn a_send_to_a_full_socket_and_its_cancel_count_every_byte() {
    each(|rig| {
        if rig.forgets() {
            return;
        }
        const PERIOD: usize = 1 << 16;
        let bytes = pattern(PERIOD).repeat(9);
        let (fd, mut peer) = pair();
        peer.set_nonblocking(true).unwrap();
        let read = AtomicUsize::new(0);
        let take = |peer: &mut UnixStream| {
            let mut buf = vec![0; PERIOD];
            while let Ok(n @ 1..) = peer.read(&mut buf) {
                let at = read.fetch_add(n, Ordering::Relaxed) % PERIOD;
                assert!(buf[..n] == bytes[at..at + n], "bytes are not in order");
            }
        };
        let mut sent = 0;
        race(
            |_| take(&mut peer),
            |n, peer| {
                let token = cross(rig, n, peer, send(fd, &bytes[sent % PERIOD..][..8 * PERIOD]));
                match rig.end(token) {
                    went @ 1.. => sent += went as usize,
                    other => assert_eq!(other, -libc::ECANCELED),
                }
            },
        );
        take(&mut peer);
        assert_eq!(read.into_inner(), sent);
        rig.close(fd);
    });
}

#[test]
fn a_connect_and_its_cancel_end_once() {
    each(|rig| {
        let (listening, address) = listener();
        let address = SockAddr::from(address);
        let listening = TcpListener::from(file::own(listening));
        race(
            |_| while listening.accept().is_ok() {},
            |n, peer| {
                let (domain, kind) = (libc::AF_INET, libc::SOCK_STREAM);
                let fd = rig.driver.call(Call::Socket { domain, kind, protocol: 0 }).unwrap();
                // Its close is a reset, which leaves no port behind.
                let value = &[1i32.to_ne_bytes(), 0i32.to_ne_bytes()].concat()[..];
                let (level, name) = (libc::SOL_SOCKET, libc::SO_LINGER);
                rig.driver.call(Call::SetOption { fd, level, name, value }).unwrap();
                let (ptr, len) = (address.as_ptr(), address.len());
                let token = cross(rig, n, peer, Request::Connect { fd, address: ptr, len });
                let result = rig.end(token);
                assert!([0, -libc::ECANCELED].contains(&result), "{result}");
                rig.close(fd);
            },
        );
    });
}
