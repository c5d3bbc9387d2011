//! ringloop, with the backend that it chooses by itself.

use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use ringloop::fs::File;
use ringloop::queue::Queue;
use ringloop::sync::{Mutex, MutexGuard, Semaphore, SemaphorePermit, mpsc, oneshot};

use super::primitives::{Channel, LIVES, Lock, Once, Permits};
use super::runtime::Runtime;

#[derive(Clone, Copy)]
pub(super) struct Ringloop;

impl Runtime for Ringloop {
    type File = File;
    type Mutex = Mutex<usize>;
    type Semaphore = Semaphore;
    type Oneshot = RingloopOneshot;
    type Mpsc = RingloopMpsc;
    type Queue = RingloopQueue;

    fn run<F>(main: impl FnOnce(Self) -> F + 'static) -> io::Result<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        Ok(ringloop::Builder::new().build()?.block_on(async { main(Self).await }))
    }

    fn spawn<F>(self, future: F) -> impl Future<Output = F::Output> + 'static
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let handle = ringloop::spawn(future);
        async { handle.await.expect("it ends by itself") }
    }

    fn yield_now(self) -> impl Future<Output = ()> + 'static {
        ringloop::task::yield_now()
    }

    fn sleep(self, duration: Duration) -> impl Future + 'static {
        ringloop::time::sleep(duration)
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
        let n = file.read_at(buf, offset).await?;
        check(&buf[..n]);
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
    type Permit<'a> = SemaphorePermit<'a>;

    fn new(permits: usize) -> Self {
        Self::new(permits)
    }

    fn acquire(&self) -> impl Future<Output = SemaphorePermit<'_>> {
        self.acquire()
    }
}

pub(super) struct RingloopOneshot;

impl Once for RingloopOneshot {
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

pub(super) struct RingloopMpsc;

impl Channel for RingloopMpsc {
    type Sender = mpsc::Sender<usize>;
    type Receiver = mpsc::Receiver<usize>;

    fn bounded(capacity: usize) -> (Self::Sender, Self::Receiver) {
        mpsc::channel(capacity)
    }

    async fn send(sender: &Self::Sender, value: usize) {
        sender.send(value).await.expect(LIVES);
    }

    async fn receive(receiver: &mut Self::Receiver) -> usize {
        receiver.recv().await.expect(LIVES)
    }
}

pub(super) struct RingloopQueue;

impl Channel for RingloopQueue {
    type Sender = Rc<Queue<usize>>;
    type Receiver = Rc<Queue<usize>>;

    fn bounded(capacity: usize) -> (Self::Sender, Self::Receiver) {
        let queue = Rc::new(Queue::bounded(capacity));
        (queue.clone(), queue)
    }

    async fn send(sender: &Self::Sender, value: usize) {
        sender.put(value).await.expect("nobody shuts it down");
    }

    async fn receive(receiver: &mut Self::Receiver) -> usize {
        receiver.get().await.expect("nobody shuts it down")
    }
}
