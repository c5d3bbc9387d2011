//! A storm of signals: every system call may be interrupted at any time, and nothing may show it.
//!
//! A process of its own: a handler is the process's.
#![expect(unsafe_code, reason = "sigaction(2) without SA_RESTART, pthread_kill(3)")]

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use ringloop::fs::File;
use ringloop::net::{TcpListener, TcpStream};
use ringloop::time::{now, sleep, timeout};
use ringloop::{BackendChoice, Builder, spawn};

static HEARD: AtomicU64 = AtomicU64::new(0);

extern "C" fn heard(_signal: libc::c_int) {
    HEARD.fetch_add(1, SeqCst);
}

fn handle() {
    // SAFETY: all zeros is a sigaction: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = heard as extern "C" fn(libc::c_int) as usize;
    // SAFETY: the handler only adds to an atomic.
    let set = unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()) };
    assert_eq!(set, 0);
}

/// Signals for the thread that made it, one after the other, until it is dropped.
struct Storm {
    over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Storm {
    fn begin() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let ends = over.clone();
        // SAFETY: no arguments.
        let target = unsafe { libc::pthread_self() } as usize;
        let thread = thread::spawn(move || {
            let mut sent = HEARD.load(SeqCst);
            while !ends.load(SeqCst) {
                // SAFETY: the target joins this thread before it ends.
                unsafe { libc::pthread_kill(target as libc::pthread_t, libc::SIGUSR1) };
                sent += 1;
                // One at a time, or most of them would be merged into one.
                while HEARD.load(SeqCst) < sent && !ends.load(SeqCst) {
                    thread::yield_now();
                }
                sent = HEARD.load(SeqCst);
            }
        });
        Self { over, thread: Some(thread) }
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        self.over.store(true, SeqCst);
        self.thread.take().map(thread::JoinHandle::join);
    }
}

/// The bytes of connection `id`.
fn bytes(id: usize, len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 251 + id * 31) as u8).collect()
}

async fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    while let Some(chunk) = stream.read_chunk().await? {
        stream.write_chunk(chunk).await?;
    }
    Ok(())
}

async fn talk(address: std::net::SocketAddr, id: usize) -> std::io::Result<()> {
    for round in 0..10 {
        let mut stream = TcpStream::connect(address).await?;
        let all = bytes(id + round, 200_000);
        let (mut read, mut write) = stream.split();
        let mut back = Vec::new();
        let mut buf = [0; 5000];
        for piece in all.chunks(50_000) {
            write.write_all(piece).await?;
            let wanted = back.len() + piece.len();
            while back.len() < wanted {
                let n = read.read(&mut buf).await?;
                assert_ne!(n, 0, "an end that nobody sent");
                back.extend_from_slice(&buf[..n]);
            }
        }
        assert!(back == all, "connection {id} got other bytes");
    }
    Ok(())
}

/// Connections from a blocking thread, which hears no signals.
fn outside(address: std::net::SocketAddr) {
    for id in 0..20 {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let all = bytes(id, 20_000);
        stream.write_all(&all).unwrap();
        let mut back = vec![0; all.len()];
        stream.read_exact(&mut back).unwrap();
        assert!(back == all, "outside connection {id} got other bytes");
    }
}

async fn files(id: usize) -> std::io::Result<()> {
    let name = format!("ringloop-storm-{}-{id}", std::process::id());
    let path = std::env::temp_dir().join(name);
    for round in 0..10 {
        let all = bytes(id + round, 150_000);
        let file = File::create(&path).await?;
        file.write_all_at(&all, 0).await?;
        file.sync_data().await?;
        let mut back = Vec::new();
        let mut buf = vec![0; 40_000];
        loop {
            match file.read_at(&mut buf, back.len() as u64).await? {
                0 => break,
                n => back.extend_from_slice(&buf[..n]),
            }
        }
        assert!(back == all, "file {id} has other bytes");
    }
    std::fs::remove_file(path)
}

async fn timers(id: u64) {
    for round in 0..30 {
        let time = Duration::from_micros((id * 97 + round * 131) % 5000);
        let deadline = now() + time;
        if round % 2 == 0 {
            sleep(time).await;
        } else {
            assert!(timeout(time, std::future::pending::<()>()).await.is_err());
        }
        assert!(now() >= deadline, "a timer of {time:?} was early");
    }
}

// Seen to fail when EINTR ends the wait with an error, and when timers are due 300 µs early.
#[test]
fn a_storm_of_signals_loses_nothing_and_shows_in_no_error() {
    handle();
    for choice in [BackendChoice::Uring, BackendChoice::Epoll] {
        let wanted = std::env::var("RINGLOOP_BACKEND").unwrap_or_default();
        if !["", "auto", &choice.to_string()].contains(&wanted.as_str()) {
            continue;
        }
        let Ok(mut runtime) = Builder::new().backend(choice).build() else { continue };
        let before = HEARD.load(SeqCst);
        let storm = Storm::begin();
        let work = async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let server = spawn(async move {
                loop {
                    let (stream, _) = listener.accept().await.expect("no error of a signal");
                    spawn(async { echo(stream).await.expect("no error of a signal") });
                }
            });
            let outside = thread::spawn(move || outside(address));
            let clients: Vec<_> = (0..8).map(|id| spawn(talk(address, id))).collect();
            let files: Vec<_> = (0..4).map(|id| spawn(files(id))).collect();
            let timers: Vec<_> = (0..16).map(|id| spawn(timers(id))).collect();
            for task in clients.into_iter().chain(files) {
                task.await.unwrap().expect("no error of a signal");
            }
            for timer in timers {
                timer.await.unwrap();
            }
            while !outside.is_finished() {
                sleep(Duration::from_millis(1)).await;
            }
            outside.join().unwrap();
            server.cancel();
        };
        let ran = runtime.block_on(async { timeout(Duration::from_secs(60), work).await });
        assert!(ran.is_ok(), "it hangs on {choice}");
        assert_eq!(runtime.metrics().strays, 0);
        drop(runtime);
        drop(storm);
        let signals = HEARD.load(SeqCst) - before;
        println!("{choice}: {signals} signals");
        assert!(signals > 100, "{signals} signals are no storm");
    }
}
