//! Time and tasks.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use nix::sys::signal::{Signal, raise};
use ringloop::blocking::{BlockingPool, BlockingTask, run_in_executor};
use ringloop::future::Promise;
use ringloop::signal::{SignalKind, ctrl_c, signal};
use ringloop::task::{Spawn, spawn_reporting, yield_now};
use ringloop::time::{
    Timeout, interval, now, sleep, sleep_until, timeout, timeout_at, until_deadline, with_deadline,
};
use ringloop::{Handle, spawn, spawn_blocking};

use super::cut::Cut;
use super::{Case, Ends, case, once};

const SHORT: Duration = Duration::from_micros(200);

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("sleep", "Sleep"; sleeping()),
        case!("sleep_until"; sleeping_until()),
        case!("timeout"; limited()),
        case!("timeout_at"; limited_at()),
        case!("Timeout::run"; limited_movably()),
        case!("with_deadline", "until_deadline"; limited_all()),
        case!("Interval::tick"; tick()),
        case!("LocalKey::scope"; scoped()),
        case!("yield_now", "YieldNow"; yielding()),
        case!("spawn", "JoinHandle"; joining()),
        case!("Spawn::spawn"; joining_a_named_one()),
        case!("spawn_reporting", "Spawn::spawn_reporting"; joining_one_that_reports()),
        case!("PromiseFuture"; promised()),
        case!("Handle::spawn", "RemoteJoinHandle"; joining_from_afar()),
        case!("Handle::tasks"; listing_from_afar()),
        case!("spawn_blocking", "BlockingTask"; blocking()),
        case!("run_in_executor"; executing()),
        case!("Signal::recv"; hearing()),
        case!("ctrl_c"; interrupted()),
    ]
}

async fn sleeping(cut: Cut) -> Ends {
    let start = now();
    let got = cut.off(sleep(SHORT), || {}).await;
    assert!(got.is_none() || now() >= start + SHORT, "early");
    sleep(SHORT).await;
    got.is_some()
}

async fn sleeping_until(cut: Cut) -> Ends {
    let deadline = now() + SHORT;
    let got = cut.off(sleep_until(deadline), || {}).await;
    assert!(got.is_none() || now() >= deadline, "early");
    sleep_until(deadline).await;
    got.is_some()
}

async fn limited(cut: Cut) -> Ends {
    let got = cut.off(timeout(SHORT, pending::<()>()), || {}).await;
    assert_eq!(timeout(SHORT, async { 1 }).await, Ok(1));
    got.map(Result::unwrap_err).is_some()
}

async fn limited_at(cut: Cut) -> Ends {
    let deadline = now() + SHORT;
    let got = cut.off(timeout_at(deadline, pending::<()>()), || {}).await;
    timeout_at(deadline, pending::<()>()).await.unwrap_err();
    got.map(Result::unwrap_err).is_some()
}

async fn limited_movably(cut: Cut) -> Ends {
    let limit = Timeout::after(SHORT);
    // Once: a limit that moves at every poll ends only on a machine that stands still.
    let moved = once(|| _ = limit.reschedule(now() + SHORT));
    let got = cut.off(limit.run(pending::<()>()), moved).await;
    assert_eq!(limit.expired(), got.is_some());
    got.map(Result::unwrap_err).is_some()
}

async fn limited_all(cut: Cut) -> Ends {
    let all = with_deadline(now() + SHORT, async {
        until_deadline(pending::<()>()).await.unwrap_err();
        pending::<()>().await;
    });
    let got = cut.off(all, || {}).await;
    assert_eq!(until_deadline(async { 1 }).await, Ok(1), "the deadline is left");
    got.map(Result::unwrap_err).is_some()
}

async fn tick(cut: Cut) -> Ends {
    let mut interval = interval(SHORT);
    let first = interval.tick().await;
    let got = cut.off(interval.tick(), || {}).await;
    let mut due = first + SHORT;
    if let Some(got) = got {
        assert_eq!(got, due);
        due += SHORT;
    }
    assert_eq!(interval.tick().await, due, "a tick was lost, or came twice");
    got.is_some()
}

ringloop::task_local!(static NUMBER: u32);

async fn scoped(cut: Cut) -> Ends {
    let inner = NUMBER.scope(1, async {
        yield_now().await;
        NUMBER.get()
    });
    let got = cut.off(inner, || {}).await;
    assert!(NUMBER.try_with(|_| ()).is_err(), "a scope outlives its future");
    got.map(|got| assert_eq!(got, 1)).is_some()
}

async fn yielding(cut: Cut) -> Ends {
    let got = cut.off(yield_now(), || {}).await;
    yield_now().await;
    got.is_some()
}

/// A future that is ready once its gate was opened.
#[derive(Clone, Default)]
pub(super) struct Gate(Rc<Cell<bool>>, Rc<Cell<Option<Waker>>>);

impl Gate {
    pub(super) fn open(&self) {
        self.0.set(true);
        self.1.take().into_iter().for_each(Waker::wake);
    }

    pub(super) async fn opened(self) -> i32 {
        poll_fn(|cx| {
            self.1.set(Some(cx.waker().clone()));
            if self.0.get() { Poll::Ready(7) } else { Poll::Pending }
        })
        .await
    }
}

async fn joining(cut: Cut) -> Ends {
    let gate = Gate::default();
    let mut task = spawn(gate.clone().opened());
    let got = cut.off(&mut task, once(|| gate.open())).await;
    let ends = got.is_some();
    let result = match got {
        Some(result) => result,
        None => task.await,
    };
    assert_eq!(result.unwrap(), 7);
    ends
}

async fn joining_a_named_one(cut: Cut) -> Ends {
    let gate = Gate::default();
    // By value: whoever drops it detaches, and the task goes on.
    let task = Spawn::new().name("gate").spawn(gate.clone().opened());
    let got = cut.off(task, once(|| gate.open())).await;
    got.map(|result| assert_eq!(result.unwrap(), 7)).is_some()
}

async fn joining_one_that_reports(cut: Cut) -> Ends {
    let gate = Gate::default();
    let (opened, outcome) = (gate.clone().opened(), Rc::new(Cell::new(0)));
    let seen = outcome.clone();
    let mut task = spawn_reporting(async move {
        seen.set(opened.await);
        Ok::<(), String>(())
    });
    let got = cut.off(&mut task, once(|| gate.open())).await;
    let ends = got.is_some();
    match got {
        Some(result) => result.unwrap(),
        None => task.await.unwrap(),
    }
    assert_eq!(outcome.get(), 7);
    ends
}

async fn promised(cut: Cut) -> Ends {
    let promise = Promise::new();
    let keeping = promise.clone();
    let got = cut.off(promise.clone().into_future(), once(move || keeping.set(7).unwrap())).await;
    assert_eq!((&promise).await, Ok(7));
    got.map(|got| assert_eq!(got, Ok(7))).is_some()
}

async fn joining_from_afar(cut: Cut) -> Ends {
    let (open, opened) = std::sync::mpsc::channel();
    let mut task = Handle::current().unwrap().spawn(move || async move {
        loop {
            match opened.try_recv() {
                Ok(()) => return 7,
                Err(_) => yield_now().await,
            }
        }
    });
    let got = cut.off(&mut task, once(|| open.send(()).unwrap())).await;
    let ends = got.is_some();
    let result = match got {
        Some(result) => result,
        None => task.await,
    };
    assert_eq!(result.unwrap(), 7);
    ends
}

async fn listing_from_afar(cut: Cut) -> Ends {
    let handle = Handle::current().unwrap();
    let got = cut.off(handle.tasks(), || {}).await;
    assert_eq!(handle.tasks().await.unwrap(), []);
    got.is_some()
}

async fn blocking(cut: Cut) -> Ends {
    blocked(cut, |wait| spawn_blocking(wait)).await
}

async fn executing(cut: Cut) -> Ends {
    let pool = BlockingPool::new("everywhere", 2);
    blocked(cut, |wait| run_in_executor(&pool, wait)).await
}

/// A call that waits until it is told to go on, or until nobody can tell it any more.
async fn blocked(
    cut: Cut,
    start: impl Fn(Box<dyn FnOnce() -> i32 + Send>) -> BlockingTask<i32>,
) -> Ends {
    let (open, opened) = std::sync::mpsc::channel::<()>();
    let wait = move || {
        let _ = opened.recv();
        7
    };
    let mut task = start(Box::new(wait));
    let got = cut.off(&mut task, once(|| drop(open))).await;
    let ends = got.is_some();
    let result = match got {
        Some(result) => result,
        None => task.await,
    };
    assert_eq!(result.unwrap(), 7);
    ends
}

/// A process keeps a descriptor for signals once it has listened.
pub(super) fn listen_once() {
    ringloop::run(async { signal(SignalKind::user_defined1()).map(drop) }).unwrap();
}

async fn hearing(cut: Cut) -> Ends {
    let mut ours = signal(SignalKind::user_defined1()).unwrap();
    let got = cut.off(ours.recv(), || raise(Signal::SIGUSR1).unwrap()).await;
    let ends = got.is_some();
    match got {
        Some(heard) => heard.unwrap(),
        None => ours.recv().await.unwrap(),
    }
    ends
}

async fn interrupted(cut: Cut) -> Ends {
    // One that comes while `ctrl_c` does not listen would end the process.
    let mut other = signal(SignalKind::interrupt()).unwrap();
    let got = cut.off(ctrl_c(), || raise(Signal::SIGINT).unwrap()).await;
    other.recv().await.unwrap();
    got.map(Result::unwrap).is_some()
}
