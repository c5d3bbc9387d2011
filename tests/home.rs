//! A home that was left is the next runtime's: no wake for that one may end in the one that left.
//! Alone in its process, so that nobody else takes the home.

use std::future::poll_fn;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use ringloop::Builder;

/// A waker whose drop, at the end of a runtime, wakes the main future of another thread's.
struct WakesAnother(Mutex<Sender<bool>>);

impl Wake for WakesAnother {
    fn wake(self: Arc<Self>) {}
}

impl Drop for WakesAnother {
    fn drop(&mut self) {
        let (to_us, wakers) = channel();
        let (ended, end) = channel();
        std::thread::spawn(move || {
            let mut first = true;
            let waits_once = poll_fn(move |cx: &mut Context<'_>| {
                if !std::mem::take(&mut first) {
                    return Poll::Ready(());
                }
                to_us.send(cx.waker().clone()).unwrap();
                Poll::Pending
            });
            Builder::new().build().unwrap().block_on(waits_once);
            ended.send(()).unwrap();
        });
        wakers.recv().unwrap().wake();
        let woken = end.recv_timeout(Duration::from_secs(10)).is_ok();
        self.0.lock().unwrap().send(woken).unwrap();
    }
}

#[test]
fn a_wake_at_the_end_reaches_the_runtime_that_took_over_the_home() {
    let (tell, told) = channel();
    let waker = Waker::from(Arc::new(WakesAnother(Mutex::new(tell))));
    let mut runtime = Builder::new().build().unwrap();
    runtime.block_on(async {
        let mut sleep = Box::pin(ringloop::time::sleep(Duration::from_secs(1000)));
        assert!(sleep.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        // Its timer is still set when the runtime ends, and holds the last waker.
        std::mem::forget(sleep);
        drop(waker);
    });
    drop(runtime);
    assert!(told.recv().unwrap(), "the wake was lost");
}
