//! `tokio::sync`, for tokio and for whoever brings no such thing.

use tokio::sync::{Mutex, MutexGuard, Semaphore, SemaphorePermit, mpsc, oneshot};

use super::primitives::{Channel, LIVES, Lock, Once, Permits};

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

    async fn acquire(&self) -> SemaphorePermit<'_> {
        self.acquire().await.expect("nobody closes it")
    }
}

pub(super) struct TokioOneshot;

impl Once for TokioOneshot {
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

pub(super) struct TokioMpsc;

impl Channel for TokioMpsc {
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
