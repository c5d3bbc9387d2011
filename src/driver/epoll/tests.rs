//! What only this driver promises: how many syscalls it makes.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::IntoRawFd;
use std::thread;

use super::*;
use crate::op::Into;
use crate::sys::count::syscalls;

const WARM: u64 = 10;
const ROUNDS: u64 = 1000;

/// Echoes with a peer thread that answers each message; the syscalls a round trip, times `ROUNDS`.
fn echo(multi: bool) -> u64 {
    let mut driver = Epoll::new(Arc::new(Workers::new(1, "test"))).unwrap();
    let pool = Pool::new(8, 4096, 1 << 20).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    peer.set_nodelay(true).unwrap();
    let ours = listener.accept().unwrap().0;
    ours.set_nonblocking(true).unwrap();
    ours.set_nodelay(true).unwrap();
    let fd = ours.into_raw_fd();
    let peer = thread::spawn(move || {
        for _ in 0..WARM + ROUNDS {
            peer.write_all(b"hello").unwrap();
            peer.read_exact(&mut [0; 5]).unwrap();
        }
        peer
    });
    let (receive, send) = (Token::new(0, 0), Token::new(1, 0));
    let recv = Request::Recv { fd, into: Into::Group, multi, total: 0 };
    driver.submit(receive, recv);
    let mut done = Vec::new();
    let mut before = 0;
    for round in 0..WARM + ROUNDS {
        if round == WARM {
            before = syscalls();
        }
        while done.is_empty() {
            driver.wait(Until::Event, &pool, &mut done).unwrap();
        }
        let came = done.pop().unwrap();
        assert_eq!((came.token, came.result, came.flags.more()), (receive, 5, multi));
        let lease = pool.lease(came.flags.buffer().unwrap(), 5).unwrap();
        driver.submit(send, Request::Send { fd, ptr: lease.as_ptr(), len: 5 });
        if !multi {
            driver.submit(receive, recv);
        }
        while done.is_empty() {
            driver.wait(Until::Event, &pool, &mut done).unwrap();
        }
        let sent = done.pop().unwrap();
        assert_eq!((sent.token, sent.result, done.len()), (send, 5, 0));
    }
    let made = syscalls() - before;
    drop(peer.join().unwrap());
    driver.cancel(receive);
    while done.is_empty() {
        driver.wait(Until::Event, &pool, &mut done).unwrap();
    }
    driver.submit(send, Request::Close { fd });
    driver.wait(Until::Event, &pool, &mut done).unwrap();
    made
}

#[test]
fn an_echo_is_three_syscalls() {
    assert_eq!(echo(true), 3 * ROUNDS, "epoll_wait, recv, send");
}

#[test]
fn an_echo_with_one_shot_receives_is_three_syscalls_too() {
    assert_eq!(echo(false), 3 * ROUNDS, "epoll_wait, recv, send");
}
