//! monoio, with its io_uring driver and its timers.
//!
//! It has no function that yields; a task wakes itself, which it knows and takes as one.
//!
//! Its README recommends `local-sync`, which has no mutex: that one is tokio's.

use std::io;
use std::mem;
use std::path::Path;
use std::time::Duration;

use local_sync::mpsc::bounded::{self, Rx, Tx};
use local_sync::oneshot;
use local_sync::semaphore::{Semaphore, SemaphorePermit};
use monoio::fs::File;
use monoio::{IoUringDriver, RuntimeBuilder};

use super::primitives::{Channel, LIVES, Once, Permits};
use super::runtime::Runtime;
use crate::servers::no_ring;

#[derive(Clone, Copy)]
pub(super) struct Monoio;

impl Runtime for Monoio {
    type File = File;
    type Mutex = tokio::sync::Mutex<usize>;
    type Semaphore = Semaphore;
    type Oneshot = LocalOneshot;
    type Mpsc = LocalMpsc;
    type Queue = LocalMpsc;

    fn run<F>(main: impl FnOnce(Self) -> F + 'static) -> io::Result<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let mut runtime = RuntimeBuilder::<IoUringDriver>::new()
            .enable_timer()
            .build()
            .map_err(|error| no_ring("monoio", error))?;
        Ok(runtime.block_on(async { main(Self).await }))
    }

    fn spawn<F>(self, future: F) -> impl Future<Output = F::Output> + 'static
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        monoio::spawn(future)
    }

    fn sleep(self, duration: Duration) -> impl Future + 'static {
        monoio::time::sleep(duration)
    }

    async fn open(self, path: &Path) -> io::Result<File> {
        File::open(path).await
    }

    async fn read(
        file: &File,
        buf: &mut Vec<u8>,
        offset: u64,
        check: impl Fn(&[u8]),
    ) -> io::Result<()> {
        let read;
        (read, *buf) = file.read_at(mem::take(buf), offset).await;
        check(&buf[..read?]);
        Ok(())
    }
}

impl Permits for Semaphore {
    type Permit<'a> = SemaphorePermit<'a>;

    fn new(permits: usize) -> Self {
        Self::new(permits)
    }

    async fn acquire(&self) -> SemaphorePermit<'_> {
        self.acquire().await.expect("nobody closes it")
    }
}

pub(super) struct LocalOneshot;

impl Once for LocalOneshot {
    type Sender = oneshot::Sender<usize>;
    type Receiver = oneshot::Receiver<usize>;

    fn pair() -> (Self::Sender, Self::Receiver) {
        oneshot::channel()
    }

    fn send(sender: Self::Sender, value: usize) {
        sender.send(value).expect(LIVES);
    }

    async fn receive(receiver: Self::Receiver) -> usize {
        receiver.await.expect(LIVES)
    }
}

pub(super) struct LocalMpsc;

impl Channel for LocalMpsc {
    type Sender = Tx<usize>;
    type Receiver = Rx<usize>;

    fn bounded(capacity: usize) -> (Self::Sender, Self::Receiver) {
        bounded::channel(capacity)
    }

    async fn send(sender: &Self::Sender, value: usize) {
        assert!(sender.send(value).await.is_ok(), "{LIVES}");
    }

    async fn receive(receiver: &mut Self::Receiver) -> usize {
        receiver.recv().await.expect(LIVES)
    }
}
