//! kimojio: its operations on descriptors; its ring takes no settings.
//!
//! Its channel between tasks has no bound, but for one with room for a single value: the bounded
//! queue is tokio's.

use std::fs::File;
use std::io;
use std::panic;
use std::path::Path;
use std::time::Duration;

use kimojio::configuration::Configuration;
use kimojio::{
    AsyncLock, AsyncLockRef, AsyncSemaphore, ReceiverOneshot, ReceiverUnbounded, SenderOneshot,
    SenderUnbounded, async_channel_unbounded_with_capacity, oneshot, operations,
};

use super::primitives::{Channel, LIVES, Lock, Once, Permits};
use super::runtime::Runtime;
use super::tokio_sync::TokioMpsc;
use crate::servers::find_ring;

#[derive(Clone, Copy)]
pub(super) struct Kimojio;

impl Runtime for Kimojio {
    type File = File;
    type Mutex = AsyncLock<usize>;
    type Semaphore = AsyncSemaphore;
    type Oneshot = KimojioOneshot;
    type Mpsc = KimojioChannel;
    type Queue = TokioMpsc;

    fn run<F>(main: impl FnOnce(Self) -> F + 'static) -> io::Result<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        find_ring("kimojio")?;
        let mut runtime = kimojio::Runtime::new(0, Configuration::new());
        match runtime.block_on(async { main(Self).await }) {
            Some(Ok(output)) => Ok(output),
            Some(Err(panic)) => panic::resume_unwind(panic),
            None => Err(io::Error::other("kimojio ended before its main task")),
        }
    }

    fn spawn<F>(self, future: F) -> impl Future<Output = F::Output> + 'static
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let handle = operations::spawn_task(future);
        async { handle.await.expect("it ends by itself") }
    }

    fn yield_now(self) -> impl Future<Output = ()> + 'static {
        operations::yield_io()
    }

    fn sleep(self, duration: Duration) -> impl Future + 'static {
        operations::sleep(duration)
    }

    async fn open(self, path: &Path) -> io::Result<File> {
        File::open(path)
    }

    async fn read(
        file: &File,
        buf: &mut Vec<u8>,
        offset: u64,
        check: impl Fn(&[u8]),
    ) -> io::Result<()> {
        let n = operations::pread(file, buf, offset).await?;
        check(&buf[..n]);
        Ok(())
    }
}

const NOT_CANCELLED: &str = "nobody cancels it";

impl Lock for AsyncLock<usize> {
    type Guard<'a> = AsyncLockRef<'a, usize>;

    fn new() -> Self {
        Self::new(0)
    }

    async fn lock(&self) -> AsyncLockRef<'_, usize> {
        self.lock().await.expect(NOT_CANCELLED)
    }
}

/// It is released by hand.
pub(super) struct Acquired<'a>(&'a AsyncSemaphore);

impl Drop for Acquired<'_> {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl Permits for AsyncSemaphore {
    type Permit<'a> = Acquired<'a>;

    fn new(permits: usize) -> Self {
        Self::new(permits)
    }

    async fn acquire(&self) -> Acquired<'_> {
        self.acquire().await.expect(NOT_CANCELLED);
        Acquired(self)
    }
}

pub(super) struct KimojioOneshot;

impl Once for KimojioOneshot {
    type Sender = SenderOneshot<usize>;
    type Receiver = ReceiverOneshot<usize>;

    fn pair() -> (Self::Sender, Self::Receiver) {
        oneshot()
    }

    fn send(sender: Self::Sender, value: usize) {
        sender.send(value).expect(LIVES);
    }

    async fn receive(receiver: Self::Receiver) -> usize {
        receiver.recv().await.expect(LIVES)
    }
}

pub(super) struct KimojioChannel;

impl Channel for KimojioChannel {
    type Sender = SenderUnbounded<usize>;
    type Receiver = ReceiverUnbounded<usize>;

    fn bounded(capacity: usize) -> (Self::Sender, Self::Receiver) {
        async_channel_unbounded_with_capacity(capacity)
    }

    async fn send(sender: &Self::Sender, value: usize) {
        sender.send(value).expect(LIVES);
    }

    async fn receive(receiver: &mut Self::Receiver) -> usize {
        receiver.recv().await.expect(LIVES)
    }
}
