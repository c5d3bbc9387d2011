//! Futures that a test polls by hand, each under a waker that counts.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};

/// A future and the wakes of its last waker.
pub(crate) struct Polled<'a, T> {
    future: Pin<Box<dyn Future<Output = T> + 'a>>,
    wakes: Arc<Wakes>,
    /// Wakes up to the last poll.
    heard: usize,
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

impl<'a, T> Polled<'a, T> {
    pub(crate) fn new(future: impl Future<Output = T> + 'a) -> Self {
        Self { future: Box::pin(future), wakes: Arc::default(), heard: 0 }
    }

    /// One that was polled once, in vain.
    pub(crate) fn pending(future: impl Future<Output = T> + 'a) -> Self {
        let mut this = Self::new(future);
        assert!(this.poll().is_pending(), "it was to wait");
        this
    }

    pub(crate) fn poll(&mut self) -> Poll<T> {
        self.heard = self.wakes();
        let waker = Waker::from(self.wakes.clone());
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    /// Polls under another waker: the one before is not to be woken any more.
    pub(crate) fn poll_elsewhere(&mut self) -> Poll<T> {
        let before = std::mem::take(&mut self.wakes);
        let polled = self.poll();
        assert_eq!(Arc::strong_count(&before), 1, "the old waker is still kept");
        polled
    }

    pub(crate) fn wakes(&self) -> usize {
        self.wakes.0.load(Relaxed)
    }

    /// Whether it was woken since its last poll.
    pub(crate) fn is_woken(&self) -> bool {
        self.wakes() > self.heard
    }

    /// What it was woken for.
    pub(crate) fn result(mut self) -> T {
        assert!(self.is_woken(), "it was not woken");
        match self.poll() {
            Poll::Ready(result) => result,
            Poll::Pending => panic!("it was woken in vain"),
        }
    }
}

/// Runs `work` when it is woken, and once more when it is dropped for good.
pub(crate) struct Reenters<F: Fn() + Send + Sync + 'static>(pub(crate) F);

impl<F: Fn() + Send + Sync + 'static> Wake for Reenters<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

impl<F: Fn() + Send + Sync + 'static> Drop for Reenters<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
