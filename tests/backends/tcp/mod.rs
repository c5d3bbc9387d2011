//! TCP. What the tests share: peers, bytes that say where they belong, futures polled once.

mod accept;
pub(crate) mod bulk;
mod closing;
pub(crate) mod connect;
mod direct;
mod duplicate;
mod emfile;
mod end;
mod flow;
mod half;
mod handover;
mod last_bytes;
mod number;
mod races;
mod read;
mod reset;
mod shortage;
mod slow;
mod unfinished;
mod write;

use std::future::poll_fn;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::LazyLock;
use std::task::Poll;

use ringloop::net::{TcpListener, TcpStream};
use ringloop::task::yield_now;

pub(crate) const LOCAL: &str = "127.0.0.1:0";

/// A stream of ours, and its peer: a blocking one of std.
pub(crate) async fn with_std() -> (TcpStream, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind(LOCAL).unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (theirs, _) = listener.accept().unwrap();
    (ours, theirs)
}

/// Two streams of ours, connected.
pub(crate) async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(LOCAL).await.unwrap();
    let one = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (other, _) = listener.accept().await.unwrap();
    (one, other)
}

/// An echo server of ours, by slices, until its listener's task is dropped.
pub(crate) async fn echo_server() -> (SocketAddr, ringloop::JoinHandle<()>) {
    let listener = TcpListener::bind(LOCAL).await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = ringloop::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            ringloop::spawn(echo(stream));
        }
    });
    (address, task)
}

pub(crate) async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buf = vec![0; 8192];
    loop {
        let n = stream.read(&mut buf).await?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buf[..n]).await?;
    }
}

/// What the bytes of a stream are: no power of two divides their period, so pieces that change
/// places are seen.
static PATTERN: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let byte = |i: usize| (i % 251) as u8 ^ (i % PERIOD / 251) as u8;
    (0..PERIOD + (1 << 20)).map(byte).collect()
});

const PERIOD: usize = 251 * 241;

/// The `len` bytes (at most 1 MiB) that belong at `position`.
pub(crate) fn pattern(position: usize, len: usize) -> &'static [u8] {
    &PATTERN[position % PERIOD..][..len]
}

/// Fails unless `bytes` are those that belong at `position`; gives the position behind them.
#[track_caller]
pub(crate) fn check(bytes: &[u8], position: usize) -> usize {
    let wanted = pattern(position, bytes.len());
    if bytes != wanted {
        let wrong = bytes.iter().zip(wanted).position(|(got, wanted)| got != wanted).unwrap();
        panic!("a wrong byte at {} of the stream", position + wrong);
    }
    position + bytes.len()
}

pub(crate) async fn read_exact(stream: &mut TcpStream, mut into: &mut [u8]) -> io::Result<()> {
    while !into.is_empty() {
        let n = stream.read(into).await?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        into = &mut into[n..];
    }
    Ok(())
}

/// Reads to the end and checks the pattern; gives the number of bytes.
pub(crate) async fn read_pattern(stream: &mut TcpStream) -> io::Result<usize> {
    let (mut position, mut buf) = (0, vec![0; 65536]);
    loop {
        match stream.read(&mut buf).await? {
            0 => return Ok(position),
            n => position = check(&buf[..n], position),
        }
    }
}

/// As [`read_pattern`], for a peer.
pub(crate) fn drain_pattern(stream: &mut std::net::TcpStream) -> io::Result<usize> {
    let (mut position, mut buf) = (0, vec![0; 65536]);
    loop {
        match stream.read(&mut buf)? {
            0 => return Ok(position),
            n => position = check(&buf[..n], position),
        }
    }
}

/// Makes the kernel reset the connection: a peer that closes over unread bytes does.
pub(crate) async fn reset(ours: &mut TcpStream, theirs: std::net::TcpStream) {
    ours.write_all(b"unread").await.unwrap();
    ours.flush().await.unwrap();
    theirs.peek(&mut [0]).unwrap();
    drop(theirs);
}

/// A peer's thread: writes `len` bytes of the pattern, then closes.
pub(crate) fn send_pattern(stream: std::net::TcpStream, len: usize) -> std::thread::JoinHandle<()> {
    send_pattern_from(stream, 0, len)
}

/// As [`send_pattern`], the bytes from `position` to `end`.
pub(crate) fn send_pattern_from(
    mut stream: std::net::TcpStream,
    mut position: usize,
    end: usize,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        while position < end {
            let some = pattern(position, (end - position).min(64 * 1024));
            stream.write_all(some).unwrap();
            position += some.len();
        }
    })
}

/// One poll of `future`.
pub(crate) async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx))).await
}

/// Turns the loop until `condition` holds; the watchdog ends what never comes.
pub(crate) async fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        yield_now().await;
    }
}

/// Turns the loop until a peer's thread has ended.
pub(crate) async fn join<T>(thread: std::thread::JoinHandle<T>) -> T {
    until(|| thread.is_finished()).await;
    thread.join().unwrap()
}

/// Turns the loop `n` times.
pub(crate) async fn turns(n: usize) {
    for _ in 0..n {
        yield_now().await;
    }
}

/// How many descriptors the process has.
pub(crate) fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count() - 1
}

/// Says to a process that runs a test alone whom it plays in it.
const ROLE: &str = "RINGLOOP_TEST_ROLE";

/// As [`support::alone`](crate::support::alone); `name` is the test's own, below this module.
pub(crate) fn alone(name: &str, body: impl FnOnce()) {
    crate::support::alone(&format!("tcp::{name}"), body);
}

/// Another process that runs the same test and finds a [`role`] there. It ends with its standard
/// input.
pub(crate) struct Actor(std::process::Child);

impl Actor {
    pub(crate) fn start(name: &str, role: &str, backend: ringloop::BackendChoice) -> Self {
        let mut command = crate::support::this_test(&format!("tcp::{name}"));
        command.env(ROLE, role).env("RINGLOOP_BACKEND", backend.to_string());
        Self(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap())
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// What follows `words` in the line that says them.
    pub(crate) fn hear(&mut self, words: &str) -> String {
        let mut lines = BufReader::new(self.0.stdout.as_mut().unwrap()).lines();
        let line = lines.find_map(|line| Some(line.unwrap().split_once(words)?.1.to_owned()));
        line.unwrap_or_else(|| panic!("it never said \"{words}\""))
    }

    /// Fails where it failed.
    pub(crate) fn end(mut self) {
        drop(self.0.stdin.take());
        assert!(self.0.wait().unwrap().success(), "the other process failed: its words are above");
    }
}

/// Whom this process plays, where it is an [`Actor`].
pub(crate) fn role() -> Option<String> {
    let role = std::env::var(ROLE).ok()?;
    std::thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    Some(role)
}

/// How many times a race is run: what `RINGLOOP_TEST_RACES` says, else `few`.
pub(crate) fn races(few: usize) -> usize {
    match std::env::var("RINGLOOP_TEST_RACES") {
        Ok(text) => text.parse().expect("RINGLOOP_TEST_RACES is a number"),
        Err(_) => few,
    }
}

/// Where the numbers of a race begin: what `RINGLOOP_TEST_SEED` says, else another one each time.
pub(crate) fn seed() -> u64 {
    match std::env::var("RINGLOOP_TEST_SEED") {
        Ok(text) => text.parse().expect("RINGLOOP_TEST_SEED is a number"),
        Err(_) => std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64,
    }
}

/// Numbers that look random, and are the same in each run.
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % limit
    }
}
