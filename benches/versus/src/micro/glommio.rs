//! glommio: a `LocalExecutor`.
//!
//! A cached file is its `BufferedFile`, which reads into buffers of its own. Its mutex is the
//! writing side of its `RwLock`, and its oneshot a local channel with room for one.

use std::io;
use std::path::Path;
use std::time::Duration;

use glommio::channels::local_channel::{self, LocalReceiver, LocalSender};
use glommio::io::BufferedFile;
use glommio::sync::{Permit, RwLock, RwLockWriteGuard, Semaphore};
use glommio::timer::Timer;
use glommio::{LocalExecutorBuilder, Placement};

use super::primitives::{Channel, LIVES, Lock, Once, Permits};
use super::runtime::{PAGE, Runtime};
use crate::servers::find_ring;

#[derive(Clone, Copy)]
pub(super) struct Glommio;

impl Runtime for Glommio {
    type File = BufferedFile;
    type Mutex = RwLock<usize>;
    type Semaphore = Semaphore;
    type Oneshot = LocalChannel;
    type Mpsc = LocalChannel;
    type Queue = LocalChannel;

    fn run<F>(main: impl FnOnce(Self) -> F + 'static) -> io::Result<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        find_ring("glommio")?;
        let executor = LocalExecutorBuilder::new(Placement::Unbound)
            .make()
            .map_err(|error| io::Error::other(format!("glommio made no executor: {error}")))?;
        Ok(executor.run(async { main(Self).await }))
    }

    fn spawn<F>(self, future: F) -> impl Future<Output = F::Output> + 'static
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        glommio::spawn_local(future)
    }

    async fn yield_now(self) {
        glommio::executor().yield_now().await;
    }

    fn sleep(self, duration: Duration) -> impl Future + 'static {
        Timer::new(duration)
    }

    async fn open(self, path: &Path) -> io::Result<BufferedFile> {
        Ok(BufferedFile::open(path).await?)
    }

    async fn read(
        file: &BufferedFile,
        _: &mut Vec<u8>,
        offset: u64,
        check: impl Fn(&[u8]),
    ) -> io::Result<()> {
        check(&file.read_at(offset, PAGE).await?);
        Ok(())
    }
}

impl Lock for RwLock<usize> {
    type Guard<'a> = RwLockWriteGuard<'a, usize>;

    fn new() -> Self {
        Self::new(0)
    }

    async fn lock(&self) -> RwLockWriteGuard<'_, usize> {
        self.write().await.expect("nobody closes it")
    }
}

impl Permits for Semaphore {
    type Permit<'a> = Permit<'a>;

    fn new(permits: usize) -> Self {
        Self::new(permits as u64)
    }

    async fn acquire(&self) -> Permit<'_> {
        self.acquire_permit(1).await.expect("nobody closes it")
    }
}

pub(super) struct LocalChannel;

impl Once for LocalChannel {
    type Sender = LocalSender<usize>;
    type Receiver = LocalReceiver<usize>;

    fn pair() -> (Self::Sender, Self::Receiver) {
        local_channel::new_bounded(1)
    }

    fn send(sender: Self::Sender, value: usize) {
        sender.try_send(value).expect(LIVES);
    }

    async fn receive(receiver: Self::Receiver) -> usize {
        receiver.recv().await.expect(LIVES)
    }
}

impl Channel for LocalChannel {
    type Sender = LocalSender<usize>;
    type Receiver = LocalReceiver<usize>;

    fn bounded(capacity: usize) -> (Self::Sender, Self::Receiver) {
        local_channel::new_bounded(capacity)
    }

    async fn send(sender: &Self::Sender, value: usize) {
        sender.send(value).await.expect(LIVES);
    }

    async fn receive(receiver: &mut Self::Receiver) -> usize {
        receiver.recv().await.expect(LIVES)
    }
}
