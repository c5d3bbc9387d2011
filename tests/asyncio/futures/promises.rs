//! Single-assignment futures.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Wake, Waker};

use ringloop::future::{Promise, PromiseError, PromiseFuture};
use ringloop::task::yield_now;
use ringloop::{CallHandle, call_soon, spawn};

use crate::support::{OnDrop, build, on_each_backend, poll_once, run_on_each};

// F-01 to F-03, X-03, check 27.
#[test]
fn a_promise_is_set_once_and_read_when_it_is() {
    let promise = Promise::new();
    assert_eq!(promise.result(), Err(PromiseError::Pending));
    assert!(!promise.is_done());
    promise.set(1).unwrap();
    assert_eq!(promise.set(2), Err(2), "the second value comes back");
    assert!(!promise.cancel(), "too late");
    assert_eq!((promise.result(), promise.result()), (Ok(1), Ok(1)));
    assert!(promise.is_done() && !promise.is_cancelled());
    assert_eq!(PromiseError::Pending.to_string(), "the promise has no value yet: await it");

    // A failure is a value.
    let failed: Promise<Result<u8, &str>> = Promise::default();
    failed.set(Err("no")).unwrap();
    assert_eq!(failed.result(), Ok(Err("no")));
}

// F-01, F-12, check 33.
// Seen to fail when only the first who waited was woken.
#[test]
fn all_who_await_a_promise_get_the_same_value_a_turn_later() {
    run_on_each(|| async {
        let promise = Promise::new();
        let order = Rc::new(RefCell::new(Vec::new()));
        let tasks: Vec<_> = (0..5)
            .map(|n| {
                let (promise, order) = (promise.clone(), order.clone());
                spawn(async move {
                    let value: Rc<str> = promise.await.unwrap();
                    order.borrow_mut().push(n);
                    value
                })
            })
            .collect();
        yield_now().await;
        let value: Rc<str> = "one".into();
        promise.set(value.clone()).unwrap();
        assert_eq!(*order.borrow(), [0; 0], "not inline");
        for task in tasks {
            assert!(Rc::ptr_eq(&task.await.unwrap(), &value));
        }
        assert_eq!(*order.borrow(), [0, 1, 2, 3, 4]);
        assert!(Rc::ptr_eq(&(&promise).await.unwrap(), &value), "as often as one likes");
        assert!(Rc::ptr_eq(&promise.await.unwrap(), &value));
    });
}

// F-04, check 32.
#[test]
fn a_cancelled_promise_says_so_to_all_and_takes_no_value() {
    run_on_each(|| async {
        let promise = Promise::<u8>::new();
        let waiting = promise.clone();
        let task = spawn(waiting.into_future());
        let called = Rc::new(Cell::new(false));
        let seen = called.clone();
        promise.add_done_callback(move |promise| seen.set(promise.is_cancelled()));
        yield_now().await;
        assert!(promise.cancel());
        assert!(!promise.cancel(), "once");
        assert_eq!(task.await.unwrap(), Err(PromiseError::Cancelled));
        assert!(called.get());
        assert_eq!(promise.set(1), Err(1));
        assert_eq!(promise.result(), Err(PromiseError::Cancelled));
        assert!(promise.is_done() && promise.is_cancelled());
        assert_eq!(promise.await.unwrap_err().to_string(), "the promise was cancelled");
    });
}

// F-05, check 28.
// Seen to fail when the callbacks were called by `set`.
#[test]
fn done_callbacks_run_in_order_later_and_once_also_those_that_come_late() {
    run_on_each(|| async {
        let promise = Promise::new();
        let log = Rc::new(RefCell::new(Vec::new()));
        let noting = |n: u32| {
            let log = log.clone();
            move |promise: &Promise<u32>| log.borrow_mut().push((n, promise.result().unwrap()))
        };
        for n in 0..3 {
            promise.add_done_callback(noting(n));
        }
        yield_now().await;
        assert_eq!(log.take(), []);
        promise.set(7).unwrap();
        promise.add_done_callback(noting(3));
        let soon = log.clone();
        call_soon(move || soon.borrow_mut().push((4, 0)));
        assert_eq!(log.take(), [], "never inline");
        yield_now().await;
        assert_eq!(log.take(), [(0, 7), (1, 7), (2, 7), (3, 7), (4, 0)]);
        yield_now().await;
        assert_eq!(log.take(), []);
    });
}

// F-07, check 29.
#[test]
fn a_done_callback_may_add_others_and_take_back_those_that_were_to_come() {
    run_on_each(|| async {
        let promise = Promise::new();
        let log = Rc::new(RefCell::new(Vec::new()));
        let victim: Rc<Cell<Option<CallHandle>>> = Rc::default();
        let (inside, other) = (log.clone(), victim.clone());
        promise.add_done_callback(move |promise: &Promise<u32>| {
            other.take().unwrap().cancel();
            let late = inside.clone();
            promise.add_done_callback(move |_| late.borrow_mut().push("added meanwhile"));
            assert_eq!(promise.set(2), Err(2));
        });
        victim.set(Some(promise.add_done_callback(|_| unreachable!("it was taken back"))));
        let last = log.clone();
        promise.add_done_callback(move |_| last.borrow_mut().push("the last"));
        promise.set(1).unwrap();
        yield_now().await;
        assert_eq!(log.take(), ["the last"]);
        yield_now().await;
        assert_eq!(log.take(), ["added meanwhile"]);
    });
}

// F-06, check 30: a handle stands for one registration, so there is nothing to count.
// Seen to fail when callbacks that were taken back stayed in the list.
#[test]
fn a_callback_that_is_taken_back_is_dropped_at_once_and_leaves_no_room_behind() {
    run_on_each(|| async {
        let promise = Promise::<u8>::new();
        let alive = Rc::new(());
        for _ in 0..10_000 {
            let held = alive.clone();
            let handle = promise.add_done_callback(move |_| drop(held));
            assert_eq!(Rc::strong_count(&alive), 2);
            handle.cancel();
            assert!(handle.is_cancelled());
            assert_eq!(Rc::strong_count(&alive), 1);
        }
        let left = format!("{promise:?}");
        let few = |n| left.ends_with(&format!("waiting: 0, callbacks: {n} }}"));
        assert!((0..8).any(few), "{left}");
        // Registered, taken back in a drop, which registers another.
        let again = promise.clone();
        let guard = OnDrop(move || drop(again.add_done_callback(|_| ())));
        promise.add_done_callback(move |_| drop(guard)).cancel();
        promise.set(1).unwrap();
        yield_now().await;
    });
}

// F-05: a promise that nobody can set any more.
#[test]
fn a_promise_that_is_dropped_drops_its_callbacks_unrun() {
    run_on_each(|| async {
        let alive = Rc::new(());
        let held = alive.clone();
        let promise = Promise::<u8>::new();
        let handle = promise.add_done_callback(move |_| drop(held));
        drop((promise, handle));
        assert_eq!(Rc::strong_count(&alive), 1);
    });
}

// F-09: callbacks belong to the loop in which they were added.
#[test]
fn a_callback_waits_for_the_next_run_of_its_loop_and_goes_with_it() {
    on_each_backend(|builder| {
        let mut runtime = build(builder);
        let called = Rc::new(Cell::new(0));
        let (promise, other) = (Promise::new(), Promise::new());
        runtime.block_on(async {
            for promise in [&promise, &other] {
                let called = called.clone();
                promise.add_done_callback(move |_| called.set(called.get() + 1));
            }
        });
        promise.set(1).unwrap();
        assert_eq!(called.get(), 0, "no loop runs");
        runtime.block_on(yield_now());
        assert_eq!(called.get(), 1);
        drop(runtime);
        other.set(1).unwrap();
        assert_eq!((called.get(), Rc::strong_count(&called)), (1, 1));
    });
}

#[test]
#[should_panic = "no ringloop runtime runs on this thread: schedule callbacks within ringloop::run"]
fn a_done_callback_outside_a_runtime_says_what_to_do() {
    Promise::<u8>::new().add_done_callback(|_| ());
}

// F-01: any executor, any waker.
#[test]
fn a_waiter_that_leaves_or_changes_its_waker_is_neither_woken_nor_forgotten() {
    let promise = Promise::new();
    let (stays, leaves) = (Counting::new(), Counting::new());
    let poll = |future: &mut PromiseFuture<u32>, waker: &Waker| {
        std::pin::Pin::new(future).poll(&mut Context::from_waker(waker))
    };
    let (mut a, mut b, mut c) = (
        promise.clone().into_future(),
        promise.clone().into_future(),
        promise.clone().into_future(),
    );
    assert!(poll(&mut a, &leaves.0).is_pending());
    assert!(poll(&mut a, &stays.0).is_pending(), "another waker");
    assert!(poll(&mut b, &leaves.0).is_pending());
    drop(b);
    assert!(poll(&mut c, &stays.0).is_pending());
    // One that is forgotten harms nobody.
    let mut forgotten = promise.clone().into_future();
    assert!(poll_once(&mut forgotten).is_pending());
    std::mem::forget(forgotten);
    promise.set(3).unwrap();
    assert_eq!((stays.count(), leaves.count()), (2, 0));
    assert_eq!(poll(&mut a, &stays.0), Poll::Ready(Ok(3)));
    drop(c);
    assert_eq!(poll_once(&mut promise.into_future()), Poll::Ready(Ok(3)));
}

/// A waker that counts.
struct Counting(Waker, std::sync::Arc<Count>);

#[derive(Default)]
struct Count(std::sync::atomic::AtomicUsize);

impl Wake for Count {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
}

impl Counting {
    fn new() -> Self {
        let count = std::sync::Arc::<Count>::default();
        Self(count.clone().into(), count)
    }

    fn count(&self) -> usize {
        self.1.0.load(std::sync::atomic::Ordering::SeqCst)
    }
}

// F-12: user code may do anything: a value whose clone looks at its promise, a drop that sets it.
#[test]
fn a_value_may_use_its_promise_in_clone_and_in_drop() {
    struct Value(Rc<Promise<Self>>);
    impl Clone for Value {
        fn clone(&self) -> Self {
            assert!(self.0.is_done());
            assert!(self.0.set(Self(self.0.clone())).is_err());
            Self(self.0.clone())
        }
    }
    impl Drop for Value {
        fn drop(&mut self) {
            assert!(!self.0.cancel());
        }
    }
    run_on_each(|| async {
        let promise = Rc::new(Promise::new());
        let waiting = promise.as_ref().clone();
        let task = spawn(async move { drop(waiting.await) });
        yield_now().await;
        assert!(promise.set(Value(promise.clone())).is_ok());
        task.await.unwrap();
        // The value holds its promise: a circle of the user's own.
    });
}

// F-01: the cooperative budget.
#[test]
fn a_task_that_always_finds_values_lets_others_run() {
    run_on_each(|| async {
        let promise = Promise::new();
        promise.set(1).unwrap();
        let turns = Rc::new(Cell::new(0));
        let counting = turns.clone();
        let other = spawn(async move {
            loop {
                counting.set(counting.get() + 1);
                yield_now().await;
            }
        });
        for _ in 0..1000 {
            (&promise).await.unwrap();
        }
        assert!(turns.get() > 3, "the budget ends a poll");
        other.cancel();
    });
}
