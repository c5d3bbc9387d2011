//! Waiting for other tasks. A wait that is forgotten takes what it is handed with it, as a forgotten
//! guard does; every other way leaves the primitive as if it had never been.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use ringloop::sync::{
    Barrier, BoundedSemaphore, Condvar, Event, Mutex, Notify, OnceCell, RwLock, Semaphore,
};

use super::cut::{Cut, How};
use super::{Case, Ends, case};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("Mutex::lock"; lock()),
        case!("Mutex::lock_owned"; lock_owned()),
        case!("RwLock::read"; read()),
        case!("RwLock::write"; write()),
        case!("RwLock::read_owned"; read_owned()),
        case!("RwLock::write_owned"; write_owned()),
        case!("Semaphore::acquire"; acquire()),
        case!("Semaphore::acquire_many"; acquire_many()),
        case!("Semaphore::acquire_owned"; acquire_owned()),
        case!("Semaphore::acquire_many_owned"; acquire_many_owned()),
        case!("BoundedSemaphore::acquire"; acquire_bounded()),
        case!("Event::wait"; event()),
        case!("Notify::notified"; notified()),
        case!("Condvar::wait"; condvar()),
        case!("Condvar::wait_while"; condvar_while()),
        case!("Barrier::wait"; barrier()),
        case!("OnceCell::get_or_init"; once_cell()),
        case!("OnceCell::get_or_try_init"; once_cell_that_fails()),
    ]
}

/// Cuts `wait` off, and asks whether all is free then.
async fn off<F: Future>(
    cut: Cut,
    wait: F,
    event: impl FnMut(),
    free: impl FnOnce() -> bool,
) -> Ends {
    let got = cut.off(wait, event).await;
    let ends = got.is_some();
    drop(got);
    assert!(free() || cut.how == How::Forgotten, "something is kept");
    ends
}

async fn lock(cut: Cut) -> Ends {
    let mutex = Mutex::new(());
    let mut held = mutex.try_lock();
    off(cut, mutex.lock(), || held = None, || mutex.try_lock().is_some()).await
}

async fn lock_owned(cut: Cut) -> Ends {
    let mutex = Rc::new(Mutex::new(()));
    let mut held = mutex.try_lock();
    let wait = mutex.clone().lock_owned();
    off(cut, wait, || held = None, || mutex.try_lock().is_some()).await
}

async fn read(cut: Cut) -> Ends {
    let lock = RwLock::new(());
    let mut held = lock.try_write();
    off(cut, lock.read(), || held = None, || lock.try_write().is_some()).await
}

async fn write(cut: Cut) -> Ends {
    let lock = RwLock::new(());
    let mut held = lock.try_read();
    off(cut, lock.write(), || held = None, || lock.try_write().is_some()).await
}

async fn read_owned(cut: Cut) -> Ends {
    let lock = Rc::new(RwLock::new(()));
    let mut held = lock.try_write();
    let wait = lock.clone().read_owned();
    off(cut, wait, || held = None, || lock.try_write().is_some()).await
}

async fn write_owned(cut: Cut) -> Ends {
    let lock = Rc::new(RwLock::new(()));
    let mut held = lock.try_read();
    let wait = lock.clone().write_owned();
    off(cut, wait, || held = None, || lock.try_write().is_some()).await
}

async fn acquire(cut: Cut) -> Ends {
    let semaphore = Semaphore::new(1);
    let mut held = semaphore.try_acquire();
    off(cut, semaphore.acquire(), || held = None, || semaphore.available_permits() == 1).await
}

async fn acquire_many(cut: Cut) -> Ends {
    let semaphore = Semaphore::new(3);
    let mut held = semaphore.try_acquire();
    let wait = semaphore.acquire_many(3);
    off(cut, wait, || held = None, || semaphore.available_permits() == 3).await
}

async fn acquire_owned(cut: Cut) -> Ends {
    let semaphore = Rc::new(Semaphore::new(1));
    let mut held = semaphore.try_acquire();
    let wait = semaphore.clone().acquire_owned();
    off(cut, wait, || held = None, || semaphore.available_permits() == 1).await
}

async fn acquire_many_owned(cut: Cut) -> Ends {
    let semaphore = Rc::new(Semaphore::new(3));
    let mut held = semaphore.try_acquire();
    let wait = semaphore.clone().acquire_many_owned(3);
    off(cut, wait, || held = None, || semaphore.available_permits() == 3).await
}

async fn acquire_bounded(cut: Cut) -> Ends {
    let semaphore = BoundedSemaphore::new(1);
    let mut held = semaphore.try_acquire();
    off(cut, semaphore.acquire(), || held = None, || semaphore.available_permits() == 1).await
}

async fn event(cut: Cut) -> Ends {
    let event = Event::new();
    off(cut, event.wait(), || event.set(), || true).await
}

async fn notified(cut: Cut) -> Ends {
    let notify = Notify::new();
    let mut called = 0;
    let call = || {
        called += 1;
        if called == 1 {
            notify.notify_one();
        }
    };
    let ends = cut.off(notify.notified(), call).await.is_some();
    // The one call was taken by the future that ended, or waits for this one.
    let again = poll(&mut notify.notified()).is_ready();
    assert!(ends != again || cut.how == How::Forgotten, "a call was lost, or came twice");
    ends
}

async fn condvar(cut: Cut) -> Ends {
    let (mutex, condvar) = (Mutex::new(()), Condvar::new());
    let wait = condvar.wait(mutex.try_lock().unwrap());
    off(cut, wait, || condvar.notify_one(), || mutex.try_lock().is_some()).await
}

async fn condvar_while(cut: Cut) -> Ends {
    let (mutex, condvar) = (Mutex::new(()), Condvar::new());
    let go_on = Cell::new(false);
    let wait = condvar.wait_while(mutex.try_lock().unwrap(), |()| !go_on.get());
    let call = || {
        go_on.set(true);
        condvar.notify_all();
    };
    off(cut, wait, call, || mutex.try_lock().is_some()).await
}

async fn barrier(cut: Cut) -> Ends {
    let barrier = Barrier::new(2);
    let mut other = Some(barrier.wait());
    let come = || {
        if other.as_mut().is_some_and(|other| poll(other).is_ready()) {
            other = None;
        }
    };
    let ends = cut.off(barrier.wait(), come).await.is_some();
    drop(other);
    assert!(barrier.n_waiting() == 0 || cut.how == How::Forgotten);
    ends
}

async fn once_cell(cut: Cut) -> Ends {
    let (cell, go_on) = (OnceCell::new(), Cell::new(false));
    let gate = || poll_fn(|_| if go_on.get() { Poll::Ready(()) } else { Poll::Pending });
    let mut first = Some(Box::pin(cell.get_or_init(async || {
        gate().await;
        1
    })));
    assert!(poll(first.as_mut().unwrap()).is_pending());
    let make = || {
        go_on.set(true);
        if first.as_mut().is_some_and(|first| poll(first).is_ready()) {
            first = None;
        }
    };
    let got = cut.off(cell.get_or_init(async || 2), make).await;
    let ends = got.is_some();
    assert_eq!(cell.get(), Some(&1));
    ends
}

async fn once_cell_that_fails(cut: Cut) -> Ends {
    let (cell, go_on) = (OnceCell::new(), Cell::new(false));
    let gate = || poll_fn(|_| if go_on.get() { Poll::Ready(()) } else { Poll::Pending });
    let mut first = Some(Box::pin(cell.get_or_try_init(async || {
        gate().await;
        Err(())
    })));
    assert!(poll(first.as_mut().unwrap()).is_pending());
    let fail = || {
        go_on.set(true);
        if first.as_mut().is_some_and(|first| poll(first).is_ready()) {
            first = None;
        }
    };
    let got = cut.off(cell.get_or_try_init(async || Ok::<_, ()>(2)), fail).await;
    let ends = got.is_some();
    assert!(cell.get().is_some() || cell.set(2).is_ok() || cut.how == How::Forgotten);
    ends
}

/// As an executor would that never wakes.
fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}
