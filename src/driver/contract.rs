//! The driver's contract as a test suite: every promise of [`Driver`], on every backend.
//!
//! A test gets a [`Rig`], which holds the driver to the first promise all the time: each submit ends
//! exactly once, and nothing comes of a token that is not in flight.

mod calls;
mod cancel;
mod datagrams;
mod differential;
mod ends;
mod faults;
mod files;
mod order;
mod pool;
mod quiet;
mod races;
mod sleep;
mod unix;

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{IntoRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use super::backend::{Backend, BackendChoice};
use super::uring::{Caps, Uring};
use super::{Driver, Until};
use crate::buf::{Lease, Pool};
use crate::op::{Call, Completion, Into, Request, Token};
use crate::sys::sync::Arc;
use crate::worker::Workers;

/// What the suite runs on: the drivers, and io_uring as older kernels have it. A new backend is one
/// line.
const BACKENDS: [(&str, BackendChoice, (u8, u8)); 5] = [
    ("uring", BackendChoice::Uring, NEWEST),
    ("uring of Linux 6.1", BackendChoice::Uring, (6, 1)),
    ("uring of Linux 5.15", BackendChoice::Uring, (5, 15)),
    ("uring of Linux 5.11", BackendChoice::Uring, (5, 11)),
    ("epoll", BackendChoice::Epoll, NEWEST),
];

/// Whatever the kernel has.
const NEWEST: (u8, u8) = (u8::MAX, 0);

/// No test has to wait this long; whatever does is stuck. More on a machine that is said to be slow.
static STUCK: LazyLock<Duration> = LazyLock::new(|| {
    let told = std::env::var("RINGLOOP_TEST_SLOWNESS");
    let times = told.map_or(1, |text| text.parse().expect("RINGLOOP_TEST_SLOWNESS is a number"));
    Duration::from_secs(10) * times
});

/// The size of a pool buffer.
const SIZE: usize = 4096;

/// Runs `test` on every backend.
fn each(mut test: impl FnMut(&mut Rig)) {
    let asked = BackendChoice::Auto.or_environment().expect("RINGLOOP_BACKEND names a backend");
    for (name, choice, linux) in BACKENDS {
        if asked != BackendChoice::Auto && asked != choice {
            continue;
        }
        eprintln!("on {name}");
        let Some(mut rig) = Rig::new(choice, linux) else {
            assert_ne!(asked, choice, "the backend that was asked for is not to be had");
            continue;
        };
        test(&mut rig);
        rig.finish();
    }
}

/// A driver, its pool, and the books of what is in flight.
struct Rig {
    driver: Backend,
    pool: Pool,
    /// By token index: the token in flight there.
    flying: Vec<Option<Token>>,
    serial: u32,
    /// Completions that no test has asked for yet.
    came: VecDeque<Completion>,
    waits: u32,
}

impl Rig {
    /// `None` where io_uring is forbidden.
    fn new(choice: BackendChoice, linux: (u8, u8)) -> Option<Self> {
        let pool = Pool::new(64, SIZE as u32, 1 << 20).unwrap();
        let workers = Arc::new(Workers::new(2, "contract"));
        let driver = match choice {
            BackendChoice::Uring => {
                Backend::Uring(Box::new(Uring::new(&pool, Caps::of_linux(linux)).ok()?.0))
            }
            _ => Backend::open(choice, &pool, workers).ok()?.0,
        };
        Some(Self { driver, pool, flying: Vec::new(), serial: 0, came: VecDeque::new(), waits: 0 })
    }

    /// Whether a cancelled send may hide how much had gone: io_uring's did before Linux 6.0
    /// (`uring-sys-notes/send.md`).
    fn forgets(&self) -> bool {
        matches!(&self.driver, Backend::Uring(uring) if uring.emulates())
    }

    fn submit(&mut self, request: Request) -> Token {
        let index = self.flying.iter().position(Option::is_none).unwrap_or_else(|| {
            self.flying.push(None);
            self.flying.len() - 1
        });
        self.serial += 1;
        let token = Token::new(index as u32, self.serial);
        self.flying[index] = Some(token);
        self.driver.submit(token, request);
        token
    }

    fn is_flying(&self, token: Token) -> bool {
        self.flying[token.index() as usize] == Some(token)
    }

    /// One wait.
    fn turn(&mut self, until: Until) {
        let mut done = Vec::new();
        self.driver.wait(until, &self.pool, &mut done).unwrap();
        self.waits += 1;
        for completion in done {
            let token = completion.token;
            assert!(self.is_flying(token), "{completion:?} of a token that is not in flight");
            assert_ne!(completion.result, -libc::EFAULT, "{completion:?}");
            if !completion.flags.more() {
                self.flying[token.index() as usize] = None;
            }
            self.came.push_back(completion);
        }
    }

    /// A completion of `token` that has come.
    fn take(&mut self, token: Token) -> Option<Completion> {
        let at = self.came.iter().position(|completion| completion.token == token)?;
        self.came.remove(at)
    }

    /// The next completion of `token`.
    fn next(&mut self, token: Token) -> Completion {
        let stuck = self.driver.now() + *STUCK;
        loop {
            if let Some(completion) = self.take(token) {
                return completion;
            }
            assert!(self.is_flying(token), "{token:?} has ended and been taken");
            self.turn(Until::Instant(stuck));
            // Also when it came with the end of the sleep: then nothing has ended the sleep.
            assert!(self.driver.now() < stuck, "nothing comes of {token:?}");
        }
    }

    /// The result of the one completion of `token`.
    fn end(&mut self, token: Token) -> i32 {
        let completion = self.next(token);
        assert!(!completion.flags.more(), "{completion:?}");
        completion.result
    }

    /// Submits, and the result.
    fn result(&mut self, request: Request) -> i32 {
        let token = self.submit(request);
        self.end(token)
    }

    /// Lets the driver take in all it has been told and all that has happened, as far as a test can
    /// know: it waits a little, until nothing comes.
    fn rest(&mut self) {
        loop {
            let before = self.came.len();
            // Two milliseconds, on a machine of usual speed.
            let until = self.driver.now() + *STUCK / 5000;
            while self.driver.now() < until {
                self.turn(Until::Instant(until));
            }
            if self.came.len() == before {
                return;
            }
        }
    }

    fn close(&mut self, fd: RawFd) {
        assert_eq!(self.result(Request::Close { fd }), 0);
    }

    /// The bytes of a completion into the pool.
    fn lease(&self, completion: Completion) -> Lease {
        let buffer = completion.flags.buffer();
        let buffer = buffer.unwrap_or_else(|| panic!("{completion:?} names no buffer"));
        self.pool.lease(buffer, completion.result as u32).expect("a buffer that was taken")
    }

    /// Receives with a multishot until `len` bytes have come or it ends; the terminal result if so.
    fn gather(&mut self, token: Token, len: usize) -> (Vec<u8>, Option<Completion>) {
        let mut bytes = Vec::new();
        while bytes.len() < len {
            let completion = self.next(token);
            if completion.result > 0 {
                bytes.extend_from_slice(&self.lease(completion));
            }
            if !completion.flags.more() {
                return (bytes, Some(completion));
            }
        }
        (bytes, None)
    }

    fn finish(mut self) {
        self.rest();
        assert!(self.flying.iter().all(Option::is_none), "in flight: {:?}", self.flying);
        assert!(self.came.is_empty(), "nobody asked for {:?}", self.came);
    }
}

/// A connected pair of Unix streams: ours, and the peer's.
fn pair() -> (RawFd, UnixStream) {
    let (ours, peer) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    peer.set_read_timeout(Some(*STUCK)).unwrap();
    peer.set_write_timeout(Some(*STUCK)).unwrap();
    (ours.into_raw_fd(), peer)
}

/// A connected pair of TCP streams: ours, and the peer's.
fn tcp_pair() -> (RawFd, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().unwrap();
    ours.set_nonblocking(true).unwrap();
    peer.set_nodelay(true).unwrap();
    peer.set_read_timeout(Some(*STUCK)).unwrap();
    peer.set_write_timeout(Some(*STUCK)).unwrap();
    (ours.into_raw_fd(), peer)
}

fn listener() -> (RawFd, std::net::SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    (listener.into_raw_fd(), address)
}

fn recv(fd: RawFd, buf: &mut [u8]) -> Request {
    let into = Into::At { ptr: buf.as_mut_ptr(), len: buf.len() as u32 };
    Request::Recv { fd, into, multi: false, total: 0 }
}

/// A multishot into the pool that ends at `total` bytes.
fn stream(fd: RawFd, total: u32) -> Request {
    Request::Recv { fd, into: Into::Group, multi: true, total }
}

fn send(fd: RawFd, bytes: &[u8]) -> Request {
    Request::Send { fd, ptr: bytes.as_ptr(), len: bytes.len() as u32, quiet: false }
}

/// Bytes in which every position is recognizable.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8 ^ (i >> 8) as u8).collect()
}

/// Reads exactly `len` bytes.
fn read_exact(from: &mut impl Read, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    from.read_exact(&mut bytes).unwrap();
    bytes
}

/// Reads until EOF.
fn read_all(from: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).unwrap();
    bytes
}

fn write_all(to: &mut impl Write, bytes: &[u8]) {
    to.write_all(bytes).unwrap();
}

/// Time by this thread's clock of work.
fn cpu_time() -> Duration {
    use nix::sys::resource::{UsageWho, getrusage};
    let usage = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
    let micros = |time: nix::sys::time::TimeVal| time.tv_sec() * 1_000_000 + time.tv_usec();
    Duration::from_micros((micros(usage.user_time()) + micros(usage.system_time())) as u64)
}

/// How long `f` takes.
fn took(f: impl FnOnce()) -> Duration {
    let start = Instant::now();
    f();
    start.elapsed()
}
