//! What only this driver promises: how many syscalls it makes, and how its lines get on.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::IntoRawFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::sync::mpsc;
use std::thread;

use super::advance::SHARE;
use super::*;
use crate::op::Into;
use crate::sys::count::syscalls;

const WARM: u64 = 10;
const ROUNDS: u64 = 1000;

fn driver() -> Epoll {
    Epoll::new(Arc::new(Workers::new(1, "test"))).unwrap()
}

/// Echoes with a peer thread that writes when it is told to, so that nothing comes while the answer
/// leaves; the syscalls a round trip, times `ROUNDS`.
fn echo(multi: bool, len: usize) -> u64 {
    let mut driver = driver();
    let pool = Pool::new(8, 4096, 1 << 20).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    peer.set_nodelay(true).unwrap();
    let ours = listener.accept().unwrap().0;
    ours.set_nonblocking(true).unwrap();
    ours.set_nodelay(true).unwrap();
    let fd = ours.into_raw_fd();
    let (next, told) = mpsc::channel();
    let peer = thread::spawn(move || {
        for () in told {
            peer.write_all(&vec![7; len]).unwrap();
            peer.read_exact(&mut vec![0; len]).unwrap();
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
        next.send(()).unwrap();
        while done.is_empty() {
            driver.wait(Until::Event, &pool, &mut done).unwrap();
        }
        let came = done.pop().unwrap();
        assert_eq!((came.token, came.result, came.flags.more()), (receive, len as i32, multi));
        let lease = pool.lease(came.flags.buffer().unwrap(), len as u32).unwrap();
        driver
            .submit(send, Request::Send { fd, ptr: lease.as_ptr(), len: len as u32, quiet: false });
        if !multi {
            driver.submit(receive, recv);
        }
        while done.is_empty() {
            driver.wait(Until::Event, &pool, &mut done).unwrap();
        }
        let sent = done.pop().unwrap();
        assert_eq!((sent.token, sent.result, done.len()), (send, len as i32, 0));
    }
    let made = syscalls() - before;
    drop(next);
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
    assert_eq!(echo(true, 5), 3 * ROUNDS, "epoll_wait, recv, send");
}

#[test]
fn an_echo_with_one_shot_receives_is_three_syscalls_too() {
    assert_eq!(echo(false, 5), 3 * ROUNDS, "epoll_wait, recv, send");
}

// Seen to fail when the receive behind a full buffer is given one buffer.
#[test]
fn an_echo_of_a_buffers_size_is_three_syscalls_too() {
    assert_eq!(echo(true, 4096), 3 * ROUNDS, "epoll_wait, recvmsg, send");
}

/// A multishot on a socket whose peer has written `buffers` pool buffers full.
fn flooded(driver: &mut Epoll, pool: &Pool, buffers: usize) -> (RawFd, UnixStream) {
    let (ours, mut peer) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    peer.write_all(&vec![1; buffers * pool.size() as usize]).unwrap();
    let fd = ours.into_raw_fd();
    let recv = Request::Recv { fd, into: Into::Group, multi: true, total: 0 };
    driver.submit(Token::new(0, 0), recv);
    (fd, peer)
}

// Seen to fail where a full datagram makes room for two.
#[test]
fn a_datagram_larger_than_a_buffer_is_cut_off_and_never_goes_on_in_the_next() {
    let mut driver = driver();
    let pool = Pool::new(8, 1024, 1 << 20).unwrap();
    let (ours, peer) = UnixDatagram::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    peer.send(&[1; 1024]).unwrap();
    peer.send(&[2; 2048]).unwrap();
    let fd = ours.into_raw_fd();
    let recv = Request::Recv { fd, into: Into::Group, multi: true, total: 0 };
    driver.submit(Token::new(0, 0), recv);
    let mut done = Vec::new();
    driver.wait(Until::Event, &pool, &mut done).unwrap();
    assert_eq!(done.iter().map(|completion| completion.result).collect::<Vec<_>>(), [1024, 1024]);
    close(&mut driver, &pool, fd);
}

fn close(driver: &mut Epoll, pool: &Pool, fd: RawFd) {
    let mut done = Vec::new();
    driver.cancel(Token::new(0, 0));
    driver.submit(Token::new(1, 0), Request::Close { fd });
    driver.wait(Until::Event, pool, &mut done).unwrap();
    assert_eq!(done.last().map(|completion| completion.result), Some(0));
}

#[test]
fn a_socket_gets_its_share_of_a_wait_and_the_next_wait_does_not_sleep_over_the_rest() {
    let mut driver = driver();
    let pool = Pool::new(64, 1024, 1 << 20).unwrap();
    let (fd, _peer) = flooded(&mut driver, &pool, SHARE as usize + 10);
    let mut done = Vec::new();
    driver.wait(Until::Event, &pool, &mut done).unwrap();
    assert_eq!(done.len(), SHARE as usize);
    assert!(done.iter().all(|completion| completion.flags.nonempty()), "each has more behind it");
    done.clear();
    driver.wait(Until::Event, &pool, &mut done).unwrap();
    assert_eq!(done.len(), 10);
    assert!(!done.pop().unwrap().flags.nonempty());
    close(&mut driver, &pool, fd);
}

#[test]
fn a_carried_line_whose_request_was_cancelled_is_forgotten() {
    let mut driver = driver();
    let pool = Pool::new(64, 1024, 1 << 20).unwrap();
    let (fd, _peer) = flooded(&mut driver, &pool, 2 * SHARE as usize + 10);
    let mut done = Vec::new();
    driver.wait(Until::Event, &pool, &mut done).unwrap();
    driver.cancel(Token::new(0, 0));
    driver.wait(Until::Event, &pool, &mut done).unwrap();
    assert_eq!(done.len(), 2 * SHARE as usize + 1);
    assert_eq!(done.last().unwrap().result, -libc::ECANCELED);
    driver.wait(Until::Now, &pool, &mut done).unwrap();
    assert!(driver.carried.is_empty());
    assert_eq!(done.len(), 2 * SHARE as usize + 1);
    close(&mut driver, &pool, fd);
}

#[test]
fn a_carried_line_goes_with_its_descriptor() {
    let mut driver = driver();
    let pool = Pool::new(128, 1024, 1 << 20).unwrap();
    let (fd, _peer) = flooded(&mut driver, &pool, 3 * SHARE as usize);
    driver.wait(Until::Event, &pool, &mut Vec::new()).unwrap();
    close(&mut driver, &pool, fd);
    assert!(driver.carried.is_empty(), "it is there for whoever gets the number next");
}

#[test]
fn an_empty_pool_is_no_error_before_bytes_have_come() {
    let mut driver = driver();
    let pool = Pool::new(1, 1024, 1 << 20).unwrap();
    let (buffer, _) = pool.take().unwrap();
    let (fd, mut peer) = flooded(&mut driver, &pool, 0);
    let mut done = Vec::new();
    let soon = driver.now() + Duration::from_millis(1);
    driver.wait(Until::Instant(soon), &pool, &mut done).unwrap();
    assert!(done.is_empty(), "{done:?}");
    peer.write_all(b"now").unwrap();
    driver.wait(Until::Event, &pool, &mut done).unwrap();
    assert_eq!(done.pop().unwrap().result, -libc::ENOBUFS);
    pool.untake(buffer);
    close(&mut driver, &pool, fd);
}

#[test]
fn a_closed_descriptor_whose_file_lives_on_wakes_nobody() {
    let mut driver = driver();
    let pool = Pool::new(4, 1024, 1 << 20).unwrap();
    let (fd, mut peer) = flooded(&mut driver, &pool, 0);
    driver.wait(Until::Now, &pool, &mut Vec::new()).unwrap();
    let kept = driver.call(Call::Duplicate { fd }).unwrap();
    close(&mut driver, &pool, fd);
    peer.write_all(b"for nobody").unwrap();
    let shown = driver.epoll.wait(&mut driver.events, Some(Duration::ZERO)).unwrap();
    assert_eq!(shown, 0, "the registration outlived its descriptor");
    close(&mut driver, &pool, kept);
}

#[test]
fn a_request_that_a_worker_has_begun_ends_once_and_with_its_own_result() {
    let mut driver = driver();
    let pool = Pool::new(4, 1024, 1 << 20).unwrap();
    let path = std::env::temp_dir().join(format!("ringloop-fifo-{}", std::process::id()));
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    let token = Token::new(0, 1);
    let mut done = Vec::new();
    // It waits for a writer.
    driver.submit(token, Request::Open { path: name.as_ptr(), flags: libc::O_RDONLY, mode: 0 });
    driver.wait(Until::Now, &pool, &mut done).unwrap();
    thread::sleep(Duration::from_millis(50));
    driver.cancel(token);
    let soon = driver.now() + Duration::from_millis(20);
    driver.wait(Until::Instant(soon), &pool, &mut done).unwrap();
    assert!(done.is_empty(), "the worker still reads the path: {done:?}");
    let _writer = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    while done.is_empty() {
        driver.wait(Until::Event, &pool, &mut done).unwrap();
    }
    std::fs::remove_file(&path).unwrap();
    assert_eq!((done.len(), done[0].token), (1, token));
    let fd = done[0].result;
    assert!(fd >= 0, "{fd}");
    close(&mut driver, &pool, fd);
}
