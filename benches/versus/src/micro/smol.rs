//! smol: a `LocalExecutor` under `block_on`.
//!
//! A file is read by `pread` on its blocking pool, which has no file with positions. What is between
//! tasks is what it hands on of async-lock and async-channel; a oneshot is a channel with room for one.

use std::fs::File;
use std::io;
use std::mem;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use smol::channel::{self, Receiver, Sender};
use smol::lock::{Mutex, MutexGuard, Semaphore, SemaphoreGuard};
use smol::{LocalExecutor, Timer};

use super::primitives::{Channel, LIVES, Lock, Once, Permits};
use super::runtime::Runtime;

/// Never freed: its tasks are to reach it, and the process ends with it.
#[derive(Clone, Copy)]
pub(super) struct Smol(&'static LocalExecutor<'static>);

impl Runtime for Smol {
    type File = Arc<File>;
    type Mutex = Mutex<usize>;
    type Semaphore = Semaphore;
    type Oneshot = AsyncChannel;
    type Mpsc = AsyncChannel;
    type Queue = AsyncChannel;

    fn run<F>(main: impl FnOnce(Self) -> F + 'static) -> io::Result<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let executor: &'static LocalExecutor<'static> = Box::leak(Box::default());
        Ok(smol::block_on(executor.run(async { main(Self(executor)).await })))
    }

    fn spawn<F>(self, future: F) -> impl Future<Output = F::Output> + 'static
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.0.spawn(future)
    }

    fn sleep(self, duration: Duration) -> impl Future + 'static {
        Timer::after(duration)
    }

    async fn open(self, path: &Path) -> io::Result<Arc<File>> {
        File::open(path).map(Arc::new)
    }

    async fn read(
        file: &Arc<File>,
        buf: &mut Vec<u8>,
        offset: u64,
        check: impl Fn(&[u8]),
    ) -> io::Result<()> {
        let (file, mut lent) = (file.clone(), mem::take(buf));
        let read;
        (read, *buf) = smol::unblock(move || (file.read_at(&mut lent, offset), lent)).await;
        check(&buf[..read?]);
        Ok(())
    }
}

impl Lock for Mutex<usize> {
    type Guard<'a> = MutexGuard<'a, usize>;

    fn new() -> Self {
        Self::new(0)
    }

    fn lock(&self) -> impl Future<Output = MutexGuard<'_, usize>> {
        self.lock()
    }
}

impl Permits for Semaphore {
    type Permit<'a> = SemaphoreGuard<'a>;

    fn new(permits: usize) -> Self {
        Self::new(permits)
    }

    fn acquire(&self) -> impl Future<Output = SemaphoreGuard<'_>> {
        self.acquire()
    }
}

pub(super) struct AsyncChannel;

impl Once for AsyncChannel {
    type Sender = Sender<usize>;
    type Receiver = Receiver<usize>;

    fn pair() -> (Self::Sender, Self::Receiver) {
        channel::bounded(1)
    }

    fn send(sender: Self::Sender, value: usize) {
        sender.try_send(value).expect(LIVES);
    }

    async fn receive(receiver: Self::Receiver) -> usize {
        receiver.recv().await.expect(LIVES)
    }
}

impl Channel for AsyncChannel {
    type Sender = Sender<usize>;
    type Receiver = Receiver<usize>;

    fn bounded(capacity: usize) -> (Self::Sender, Self::Receiver) {
        channel::bounded(capacity)
    }

    async fn send(sender: &Self::Sender, value: usize) {
        sender.send(value).await.expect(LIVES);
    }

    async fn receive(receiver: &mut Self::Receiver) -> usize {
        receiver.recv().await.expect(LIVES)
    }
}
