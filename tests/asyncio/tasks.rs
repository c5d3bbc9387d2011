//! Tasks and their cancellation (T-*; checks 34 to 42, 51 to 53).

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use ringloop::task::{CancelToken, Cancelled, yield_now};
use ringloop::time::{sleep, timeout};
use ringloop::{JoinHandle, metrics, spawn};

use crate::support::{OnDrop, poll_once, run_on_each};

/// What happened, in order.
type Log = Rc<RefCell<Vec<&'static str>>>;

fn on_drop(log: &Log, what: &'static str) -> OnDrop<impl FnMut() + use<>> {
    let log = log.clone();
    OnDrop(move || log.borrow_mut().push(what))
}

// T-01, T-02. A future that nobody polls does nothing; a task begins with the loop's next turn.
#[test]
fn a_future_is_lazy_and_a_task_is_not_begun_by_its_spawn() {
    run_on_each(|| async {
        let ran = Rc::new(Cell::new(0));
        let count = || {
            let ran = ran.clone();
            async move { ran.set(ran.get() + 1) }
        };
        drop(count());
        let task = spawn(count());
        assert_eq!(ran.get(), 0);
        yield_now().await;
        assert_eq!(ran.get(), 1, "it needs nobody who waits for it");
        task.await.unwrap();
    });
}

// T-04, T-15, check 35.
#[test]
fn a_cancel_during_a_sleep_cleans_up_and_takes_the_timer_along() {
    run_on_each(|| async {
        let log = Log::default();
        let guard = on_drop(&log, "cleaned up");
        let task = spawn(async move {
            let _guard = guard;
            sleep(Duration::from_secs(3600)).await;
        });
        yield_now().await;
        assert_eq!(metrics().timers, 1);
        task.cancel();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(metrics().timers, 0);
        assert_eq!(log.take(), ["cleaned up"]);
    });
}

// T-05.
#[test]
fn a_result_is_asked_for_without_a_panic_before_it_is_there() {
    run_on_each(|| async {
        let mut task = spawn(async { 7 });
        assert!(!task.is_finished());
        assert!(poll_once(&mut task).is_pending());
        yield_now().await;
        assert!(task.is_finished());
        assert_eq!(task.await.unwrap(), 7);

        let panics = spawn(poll_fn(|_| -> Poll<()> { panic!("on purpose") }));
        let error = panics.await.unwrap_err();
        assert!(error.is_panic() && !error.is_cancelled());
        assert_eq!(error.to_string(), "the task panicked: on purpose");
    });
}

// T-09, check 36. Seen to fail when `CancelOnDrop` had no `Drop`.
#[test]
fn who_waits_for_a_task_takes_it_along_only_when_it_said_so() {
    run_on_each(|| async {
        let log = Log::default();
        let inner = |what| {
            let guard = on_drop(&log, what);
            spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            })
        };
        let (detached, taken_along) = (inner("detached"), inner("taken along").cancel_on_drop());
        let outer = spawn(async move {
            let _ = taken_along.await;
        });
        let other = spawn(async move {
            let _ = detached.await;
        });
        yield_now().await;
        outer.cancel();
        other.cancel();
        assert!(outer.await.unwrap_err().is_cancelled());
        assert!(other.await.unwrap_err().is_cancelled());
        yield_now().await;
        assert_eq!(log.take(), ["taken along"]);
        assert_eq!(metrics().tasks_alive, 1);

        let kept = inner("kept").cancel_on_drop();
        assert_eq!(kept.name(), None);
        drop(kept.detach());
        yield_now().await;
        yield_now().await;
        assert_eq!(log.take(), [""; 0]);
    });
}

// Check 36. An inner task that ignores the token goes on, and so does whoever waits for it.
#[test]
fn who_does_not_listen_to_a_token_is_not_cancelled_by_it() {
    run_on_each(|| async {
        let token = CancelToken::new();
        let deaf = spawn(async {
            for _ in 0..3 {
                yield_now().await;
            }
            "went on"
        });
        let outer = spawn(async move { deaf.await.unwrap() });
        yield_now().await;
        token.cancel();
        assert_eq!(outer.await.unwrap(), "went on");
    });
}

// T-04, check 37.
#[test]
fn a_task_and_the_one_that_it_waits_for_are_cancelled_at_once_and_each_ends_once() {
    run_on_each(|| async {
        let log = Log::default();
        let (inner_guard, outer_guard) = (on_drop(&log, "inner"), on_drop(&log, "outer"));
        let inner = spawn(async move {
            let _guard = inner_guard;
            pending::<()>().await;
        });
        let inner = inner.cancel_on_drop();
        let slot = Rc::new(RefCell::new(None));
        let own = slot.clone();
        let outer = spawn(async move {
            let _guard = outer_guard;
            own.replace(Some(inner));
            poll_fn(|cx| match own.borrow_mut().as_mut() {
                Some(inner) => std::pin::Pin::new(inner).poll(cx),
                None => Poll::Pending,
            })
            .await
        });
        yield_now().await;
        yield_now().await;
        slot.borrow().as_ref().unwrap().cancel();
        outer.cancel();
        drop(slot.take());
        assert!(outer.await.unwrap_err().is_cancelled());
        yield_now().await;
        assert_eq!(log.take(), ["inner", "outer"]);
        assert_eq!(metrics().tasks_alive, 0);
    });
}

// T-06, check 40: in place of the counter, each block has a token, and which one is cancelled says whose
// request it was. A request stays: there is nothing to rescind.
#[test]
fn nested_tokens_say_whose_cancel_it_was() {
    run_on_each(|| async {
        let outer = CancelToken::new();
        let inner = outer.child_token();
        inner.cancel();
        inner.cancel();
        assert_eq!(inner.run_until_cancelled(pending::<()>()).await, None);
        assert!(inner.is_cancelled() && !outer.is_cancelled());
        assert_eq!(
            outer.run_until_cancelled(async { "outer goes on" }).await,
            Some("outer goes on")
        );

        let next = outer.child_token();
        assert!(!next.is_cancelled());
        let innermost = next.child_token();
        outer.cancel();
        assert!(next.is_cancelled() && innermost.is_cancelled());
        // Also what is made later, and its children.
        assert!(next.child_token().child_token().is_cancelled());
        next.child_token().child_token().cancelled().await;
    });
}

// T-10, check 41: asyncio's error is a wait without end here, which a cancel and a limit end.
#[test]
fn a_task_that_waits_for_itself_waits_and_can_be_cancelled() {
    run_on_each(|| async {
        let slot = Rc::new(RefCell::new(None::<JoinHandle<()>>));
        let own = slot.clone();
        let task = spawn(async move {
            yield_now().await;
            let mut own = own.take().unwrap();
            let limited = timeout(Duration::from_millis(1), &mut own).await;
            assert!(limited.is_err(), "it was its own result");
            own.cancel();
            let _ = own.await;
            unreachable!("it was cancelled");
        });
        slot.replace(Some(task));
        while metrics().tasks_alive > 0 {
            yield_now().await;
        }
    });
}

// ---- tokens ----

// T-07, check 34, for tokens.
#[test]
fn a_token_that_is_cancelled_already_lets_nothing_run() {
    run_on_each(|| async {
        let token = CancelToken::new();
        token.cancel();
        let ran = Cell::new(false);
        assert_eq!(token.run_until_cancelled(async { ran.set(true) }).await, None);
        assert!(!ran.get());
    });
}

// T-08, check 38, for tokens. Seen to fail when the token was asked first.
#[test]
fn a_value_that_comes_with_the_cancel_is_kept() {
    run_on_each(|| async {
        let token = CancelToken::new();
        let value = token.run_until_cancelled(async {
            yield_now().await;
            token.cancel();
            7
        });
        assert_eq!(value.await, Some(7));

        // Also where the budget is used up in the poll that sees the cancel.
        let token = CancelToken::new();
        let work = spawn(async { 7 });
        yield_now().await;
        let spent = CancelToken::new();
        spent.cancel();
        let value = token.run_until_cancelled(async {
            for _ in 0..127 {
                spent.cancelled().await;
            }
            token.cancel();
            // The last of the budget, and then one more.
            spent.cancelled().await;
            work.await.unwrap()
        });
        assert_eq!(value.await, Some(7));
    });
}

// T-06. Level-triggered: nobody misses it by looking late, and it can be waited for again and again.
#[test]
fn a_token_stays_cancelled_and_starves_nobody() {
    run_on_each(|| async {
        let token = CancelToken::new();
        token.cancel();
        let other = spawn(async { "had its turn" });
        while !other.is_finished() {
            // Always ready: but for the budget the other would never run.
            token.cancelled().await;
        }
        assert_eq!(other.await.unwrap(), "had its turn");
    });
}

#[test]
fn a_cancel_wakes_all_who_wait_and_those_who_left_are_not_missed() {
    run_on_each(|| async {
        let root = CancelToken::new();
        let tokens: Vec<_> = (0..10).map(|_| root.child_token()).collect();
        let waiting: Vec<_> = (0..100)
            .map(|i| {
                let token = tokens[i % 10].clone();
                spawn(async move { token.cancelled().await })
            })
            .collect();
        yield_now().await;
        for left in waiting.iter().skip(1).step_by(3) {
            left.cancel();
        }
        yield_now().await;
        root.cancel();
        for (i, task) in waiting.into_iter().enumerate() {
            assert_eq!(task.await.is_err(), i % 3 == 1);
        }
    });
}

// Seen to fail (the stack overflows) when a node's drop dropped its parent.
#[test]
fn a_chain_of_tokens_may_be_longer_than_the_stack_is_deep() {
    let root = CancelToken::new();
    let mut last = root.clone();
    for _ in 0..100_000 {
        last = last.child_token();
    }
    let mut cancelled = last.cancelled();
    assert!(poll_once(&mut cancelled).is_pending());
    root.cancel();
    assert!(last.is_cancelled() && poll_once(&mut cancelled).is_ready());
    drop((root, cancelled, last));

    let mut last = CancelToken::new();
    for _ in 0..100_000 {
        last = last.child_token();
    }
    drop(last);
}

#[test]
fn a_guard_cancels_unless_it_is_disarmed() {
    let token = CancelToken::new();
    let same = token.drop_guard().disarm();
    assert!(!token.is_cancelled());
    drop(same.drop_guard());
    assert!(token.is_cancelled());
    assert_eq!(format!("{token:?}"), "CancelToken { is_cancelled: true }");
}

/// A waker that counts.
#[derive(Default)]
struct Wakes(AtomicU32);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

// A token runs under any executor, and wakes whoever polled last.
#[test]
fn the_latest_waker_is_the_one_that_is_woken() {
    let token = CancelToken::new();
    let wakes = [Arc::new(Wakes::default()), Arc::new(Wakes::default())];
    let mut cancelled = token.cancelled();
    for waker in wakes.clone().map(Waker::from) {
        let polled = std::pin::Pin::new(&mut cancelled).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
    }
    assert_eq!(Arc::strong_count(&wakes[0]), 1, "the first one is kept");
    token.cancel();
    token.cancel();
    assert_eq!(wakes.map(|wakes| wakes.0.load(Relaxed)), [0, 1]);
}

thread_local! {
    static TOKEN: RefCell<Option<CancelToken>> = const { RefCell::new(None) };
    /// Another one who waits for it.
    static OTHER: RefCell<Option<Cancelled>> = const { RefCell::new(None) };
    /// How often a waker has come back and found its token in order.
    static CAME_BACK: Cell<u32> = const { Cell::new(0) };
}

/// A waker that comes back to its token when it is woken and when it is dropped.
struct ComesBack;

impl ComesBack {
    fn come_back() {
        let Some(token) = TOKEN.with_borrow(Clone::clone) else { return };
        drop(OTHER.take());
        let mut again = token.cancelled();
        assert_eq!(poll_once(&mut again).is_ready(), token.is_cancelled());
        drop(again);
        assert_eq!(token.child_token().is_cancelled(), token.is_cancelled());
        token.cancel();
        CAME_BACK.set(CAME_BACK.get() + 1);
    }
}

impl Wake for ComesBack {
    fn wake(self: Arc<Self>) {
        Self::come_back();
    }
}

impl Drop for ComesBack {
    fn drop(&mut self) {
        Self::come_back();
    }
}

// Seen to fail when the waiters were borrowed during the wakes, and during the drop of an old waker.
#[test]
fn a_waker_may_come_back_to_its_token() {
    let poll_with = |cancelled: &mut Cancelled| {
        let waker = Waker::from(Arc::new(ComesBack));
        std::pin::Pin::new(cancelled).poll(&mut Context::from_waker(&waker))
    };
    // When it is woken, and dropped after that.
    let token = CancelToken::new();
    let mut waiting = token.cancelled();
    assert!(poll_with(&mut waiting).is_pending());
    let mut other = token.cancelled();
    assert!(poll_once(&mut other).is_pending());
    OTHER.set(Some(other));
    TOKEN.set(Some(token.clone()));
    token.cancel();
    assert!(poll_once(&mut waiting).is_ready());
    assert_eq!(CAME_BACK.take(), 2);
    // When it is replaced, and when its future is dropped.
    for drops in [false, true] {
        TOKEN.set(None);
        let token = CancelToken::new();
        let mut waiting = token.cancelled();
        assert!(poll_with(&mut waiting).is_pending());
        TOKEN.set(Some(token.clone()));
        match drops {
            true => drop(waiting),
            false => assert!(poll_once(&mut waiting).is_pending()),
        }
        assert!(token.is_cancelled());
        assert_eq!(CAME_BACK.take(), 1);
    }
    TOKEN.set(None);
}
