//! What goes on beside the connections while the load is on: timers, files, dials, other threads.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::Poll;
use std::thread::{self, Thread};
use std::time::Duration;

use bytes::Bytes;
use ringloop::fs::File;
use ringloop::net::{TcpListener, TcpStream};
use ringloop::task::yield_now;
use ringloop::time::{now, sleep, timeout};
use ringloop::{Handle, spawn};

use super::{Server, add};
use crate::numbers::Numbers;
use crate::pattern::Track;
use crate::plan::{Mode, Plan};

/// Timers that are set in one go; one in [`AWAITED`] is waited for.
const TIMERS: u64 = 2000;
const AWAITED: u64 = 50;

/// Starts all of it. It ends by itself when the load is off.
pub(super) fn start(server: &Rc<Server>, seed: u64) {
    let numbers = |n| Numbers::new(seed.wrapping_mul(31).wrapping_add(n));
    spawn(watched("timers", server.clone(), timers(server.clone(), numbers(1))));
    spawn(watched("files", server.clone(), files(server.clone(), numbers(2))));
    spawn(watched("dials", server.clone(), dials(server.clone(), numbers(3))));
    spawn(watched("listeners", server.clone(), listeners(server.clone(), numbers(4))));
}

async fn watched(name: &str, server: Rc<Server>, work: impl Future<Output = io::Result<()>>) {
    if let Err(error) = work.await {
        server.fault(&format!("{name}: {error}"));
    }
}

/// Sets thousands, drops most of them.
async fn timers(server: Rc<Server>, mut numbers: Numbers) -> io::Result<()> {
    while server.is_loaded() {
        let mut all = Vec::new();
        for _ in 0..TIMERS {
            let (far, near) = (numbers.size(26), numbers.below(30_000));
            let soon = numbers.one_in(AWAITED);
            let micros = if soon { near } else { far };
            let mut one = Box::pin(sleep(Duration::from_micros(micros)));
            poll_fn(|cx| Poll::Ready(one.as_mut().poll(cx).is_ready())).await;
            all.push((soon, one));
        }
        add(&server.counts.timers, TIMERS);
        all.retain(|(soon, _)| *soon);
        for (_, mut one) in all {
            one.as_mut().await;
            if one.deadline().is_some_and(|deadline| now() < deadline) {
                return Err(io::Error::other("a timer fired early"));
            }
        }
    }
    Ok(())
}

/// Writes, reads back, cuts reads off.
async fn files(server: Rc<Server>, mut numbers: Numbers) -> io::Result<()> {
    let path = std::env::temp_dir().join(format!("ringloop-soak.{}", std::process::id()));
    while server.is_loaded() {
        let file = File::create(&path).await?;
        std::fs::remove_file(&path)?;
        let track = server.pattern.track(numbers.below(1 << 30) as usize);
        let (mut at, end) = (0, numbers.size(19));
        while at < end {
            let piece = track.piece(at, (end - at) as usize);
            file.write_all_at(piece, at).await?;
            at += piece.len() as u64;
        }
        if numbers.one_in(16) {
            file.sync_data().await?;
        }
        let mut buf = vec![0; 700 << numbers.below(8)];
        let (mut at, mut patient) = (0, false);
        while at < end {
            let limit = Duration::from_micros(numbers.below(200));
            let read = file.read_at(&mut buf, at);
            let n = if patient {
                read.await?
            } else {
                let Ok(read) = timeout(limit, read).await else {
                    server.cancelled();
                    patient = true;
                    continue;
                };
                read?
            };
            patient = numbers.one_in(2);
            if n == 0 || track.check(at, &buf[..n]).is_err() {
                return Err(io::Error::other(format!("a file is wrong near {at} of {end}")));
            }
            at += n as u64;
            add(&server.counts.files, 1);
        }
        sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

/// Dials this very server; most dials are given up.
async fn dials(server: Rc<Server>, mut numbers: Numbers) -> io::Result<()> {
    while server.is_loaded() {
        let limit = Duration::from_micros(numbers.below(400));
        match timeout(limit, TcpStream::connect(server.address)).await {
            Err(_) => server.cancelled(),
            Ok(stream) => {
                let plan =
                    Plan { mode: Mode::Chunks, number: numbers.below(1 << 30) as u32, amount: 0 };
                let one = ask(&server, plan, stream?, numbers.size(17));
                timeout(Duration::from_secs(30), one).await??;
            }
        }
        add(&server.counts.dials, 1);
        sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

async fn ask(server: &Server, plan: Plan, mut stream: TcpStream, size: u64) -> io::Result<()> {
    let track = server.pattern.track(plan.number as usize);
    stream.write_all(&plan.encode()).await?;
    let (mut sent, mut received) = (0, 0);
    while received < size {
        if sent < size {
            let piece = track.piece(sent, (size - sent).min(10_000) as usize);
            stream.write_all(piece).await?;
            sent += piece.len() as u64;
        }
        match stream.read_chunk().await? {
            Some(chunk) if track.check(received, &chunk).is_ok() => received += chunk.len() as u64,
            other => return Err(io::Error::other(format!("{other:?} at {received} of {size}"))),
        }
    }
    add(&server.counts.bytes, size);
    Ok(())
}

/// Listeners that come and go, with connections that nobody takes.
async fn listeners(server: Rc<Server>, mut numbers: Numbers) -> io::Result<()> {
    while server.is_loaded() {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let mut dialled = Vec::new();
        for _ in 0..numbers.below(6) {
            dialled.push(TcpStream::connect(address).await?);
        }
        for _ in 0..numbers.below(4) {
            let limit = Duration::from_micros(numbers.below(300));
            match timeout(limit, listener.accept()).await {
                Ok(accepted) => drop(accepted?),
                Err(_) => server.cancelled(),
            }
        }
        if numbers.one_in(2) {
            listener.close();
        }
        drop(listener);
        sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// Received bytes on their way to another thread.
pub(super) struct Travelling {
    pub(super) bytes: Bytes,
    pub(super) track: Track<'static>,
    pub(super) at: u64,
}

/// Two other threads: one drops what travelled there, one spawns tasks here.
pub(super) struct Elsewhere {
    sender: Sender<Travelling>,
    spawner: Thread,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    faults: AtomicU64,
    spawned: AtomicU64,
}

impl Elsewhere {
    pub(super) fn start(handle: Handle, load: Arc<AtomicBool>) -> io::Result<Self> {
        let (sender, receiver) = channel();
        let shared = Arc::new(Shared::default());
        let theirs = shared.clone();
        thread::Builder::new().spawn(move || drop_all(&receiver, &theirs))?;
        let theirs = shared.clone();
        let spawner = thread::Builder::new().spawn(move || spawn_all(&handle, &load, &theirs))?;
        Ok(Self { sender, spawner: spawner.thread().clone(), shared })
    }

    pub(super) fn send(&self, travelling: Travelling) {
        let _ = self.sender.send(travelling);
    }

    /// Has the spawner look whether the load is on.
    pub(super) fn unpark(&self) {
        self.spawner.unpark();
    }

    pub(super) fn faults(&self) -> u64 {
        self.shared.faults.load(Ordering::Relaxed)
    }

    pub(super) fn spawned(&self) -> u64 {
        self.shared.spawned.load(Ordering::Relaxed)
    }
}

fn drop_all(receiver: &Receiver<Travelling>, shared: &Shared) {
    // Some are kept for a moment, so that many are away at once.
    let mut kept = Vec::new();
    loop {
        let next =
            receiver.recv_timeout(Duration::from_millis(if kept.is_empty() { 60_000 } else { 20 }));
        match next {
            Ok(travelling) => kept.push(travelling),
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return,
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) if kept.is_empty() => continue,
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => check_all(&mut kept, shared),
        }
        if kept.len() >= 40 {
            check_all(&mut kept, shared);
        }
    }
}

fn check_all(kept: &mut Vec<Travelling>, shared: &Shared) {
    for Travelling { bytes, track, at } in kept.drain(..) {
        if let Err(wrong) = track.check(at, &bytes) {
            shared.faults.fetch_add(1, Ordering::Relaxed);
            eprintln!("soak: server: bytes that travelled have changed: {wrong:?}");
        }
    }
}

fn spawn_all(handle: &Handle, load: &AtomicBool, shared: &Shared) {
    let mut n = 0_u64;
    loop {
        if !load.load(Ordering::Relaxed) {
            thread::park();
            continue;
        }
        n += 1;
        let double = handle.spawn(move || async move {
            yield_now().await;
            n * 2
        });
        // Detached, and outlived by nobody.
        drop(handle.spawn(|| async { pin!(sleep(Duration::from_micros(300))).await }));
        let called = handle.call_soon(|| {});
        if called.is_err() || !matches!(double.join(), Ok(answer) if answer == n * 2) {
            // The runtime has ended, which it does only when the load is off.
            if load.load(Ordering::Relaxed) {
                shared.faults.fetch_add(1, Ordering::Relaxed);
                eprintln!("soak: server: a task that another thread spawned was lost");
            }
            return;
        }
        shared.spawned.fetch_add(2, Ordering::Relaxed);
        thread::park_timeout(Duration::from_millis(1));
    }
}
