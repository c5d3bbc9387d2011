//! Every place where the runtime runs code of its user, and a panic at each.
//!
//! | what runs                                | where                                   | its panic goes to |
//! |------------------------------------------|-----------------------------------------|-------------------|
//! | poll of a task, drop of its future       | `task/cell.rs`                          | the `JoinHandle` (`panics.rs`) |
//! | poll of the main future, its drop        | `runtime/run.rs`                        | the caller of `block_on` (`panics.rs`) |
//! | drop of a task's output                  | `task/tasks.rs`, or its handle          | nobody; or whoever drops the handle |
//! | drop of a panic's payload                | `task/cell.rs`, `worker/mod.rs`         | nobody (`panics.rs`) |
//! | clone of a foreign waker                 | whoever is polled                       | whoever polls (`everywhere/`) |
//! | wake of a foreign waker                  | `runtime/turn.rs`, `net/`, `task/`      | nobody (`everywhere/`) |
//! | drop of a foreign waker                  | `task::discard`, `runtime/alarms.rs`      | nobody (`everywhere/`, here) |
//! | a letter: `Handle::call_soon`, `spawn`   | `task/tasks.rs`; unread: `task/mail.rs` | nobody; or the `RemoteJoinHandle` (`remote.rs`) |
//! | a letter that comes back                 | `runtime/handle.rs`                     | whoever posted it (here) |
//! | drop of the owner of sent `Bytes`        | `runtime/turn.rs`, `runtime/shutdown.rs` | nobody (`panics.rs`, here) |
//! | drop of `Bytes` that were not taken      | the future of `write_bytes`             | whoever polls or drops it (here) |
//! | `AsRef<Path>`, `AsFd`, `Into<Arc<str>>`  | `fs/file.rs`, `net/readiness.rs`, `task/local.rs` | whoever calls or polls (here) |

use std::future::{pending, poll_fn};
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use ringloop::fs::File;
use ringloop::net::{Readiness, TcpListener};
use ringloop::task::{Spawn, yield_now};
use ringloop::{Runtime, metrics, spawn};

use crate::support::{self, OnDrop, build, on_each_backend, run_on_each, sentence};
use crate::tcp::{LOCAL, poll_once, reset, turns, until, with_std};

/// Bytes whose owner panics when it is dropped, and counts that.
struct Owner(Arc<AtomicU32>, Vec<u8>);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.1
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
        panic!("an owner panics");
    }
}

fn owned(drops: &Arc<AtomicU32>, len: usize) -> Bytes {
    Bytes::from_owner(Owner(drops.clone(), vec![7; len]))
}

/// A waker that panics when its last clone is dropped.
struct LastWord(Arc<AtomicU32>);

impl Wake for LastWord {
    fn wake(self: Arc<Self>) {}
}

impl Drop for LastWord {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
        panic!("a waker's last word");
    }
}

/// Polls `future` once under a waker whose last clone, when it is dropped, panics; then forgets it.
/// Whoever it waited for has that clone.
fn leave_a_last_word<F: Future>(future: F, words: &Arc<AtomicU32>) {
    let waker = Waker::from(Arc::new(LastWord(words.clone())));
    let mut future = Box::pin(future);
    assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    std::mem::forget(future);
    drop(waker);
}

/// The loop goes on, and its books are balanced.
fn is_whole(runtime: &mut Runtime) {
    runtime.block_on(async {
        assert_eq!(spawn(async { 1 }).await.unwrap(), 1);
        let m = metrics();
        assert_eq!((m.tasks_alive, m.strays), (0, 0));
        until(|| metrics().in_flight == 0).await;
    });
}

fn panics_with<T>(sentence_of_it: &str, run: impl FnOnce() -> T) {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(_) => panic!("`{sentence_of_it}` did not come out"),
        Err(payload) => assert_eq!(sentence(&*payload), sentence_of_it),
    }
}

// Seen to fail when `Acceptor::abandon` left the waiters to the accept's last completion.
#[test]
fn a_forgotten_accept_whose_waker_panics_does_not_stop_the_loop() {
    on_each_backend(|builder| {
        let mut runtime = build(builder);
        let words = Arc::default();
        runtime.block_on(async {
            let listener = TcpListener::bind(LOCAL).await.unwrap();
            leave_a_last_word(listener.accept(), &words);
            turns(2).await;
            drop(listener);
            until(|| words.load(SeqCst) == 1).await;
            turns(3).await;
        });
        is_whole(&mut runtime);
    });
}

// Seen to fail when `Socket::close_read` dropped the waker in the open: no alarm was set.
#[test]
fn a_waker_that_panics_as_its_stream_is_dropped_does_not_unbound_its_linger() {
    on_each_backend(|builder| {
        let mut runtime = build(builder.linger(Duration::from_millis(20)));
        let words = Arc::default();
        let mut theirs = runtime.block_on(async {
            let (mut ours, theirs) = with_std().await;
            ours.write_bytes(Bytes::from(vec![7; 16 << 20])).await.unwrap();
            turns(2).await;
            leave_a_last_word(ours.read(&mut [0]), &words);
            drop(ours);
            assert_eq!(words.load(SeqCst), 1);
            until(|| metrics().in_flight == 0).await;
            theirs
        });
        let error = theirs.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        is_whole(&mut runtime);
    });
}

// Seen to fail when the end dropped sockets whose bytes had not been handed over: the owner's panic
// came out of the drop of the runtime (two of them aborted), and the peer saw a plain end.
#[test]
fn what_a_last_drop_writes_without_any_grace_is_cut_off_and_panics_nowhere() {
    on_each_backend(|builder| {
        let drops = Arc::<AtomicU32>::default();
        let mut runtime = build(builder.grace(Duration::ZERO));
        let (ours, mut theirs) = runtime.block_on(with_std());
        let (kept, mut too) = runtime.block_on(with_std());
        let kept = std::rc::Rc::new(std::cell::RefCell::new(kept));
        let (late, writer) = (drops.clone(), kept.clone());
        runtime.block_on(async {
            let mut ours = ours;
            drop(spawn(async move {
                let _guard = OnDrop(move || {
                    for stream in [&mut ours, &mut *writer.borrow_mut()] {
                        for _ in 0..2 {
                            let mut write = Box::pin(stream.write_bytes(owned(&late, 9)));
                            assert!(support::poll_once(&mut write).is_ready());
                        }
                    }
                });
                pending::<()>().await;
            }));
            yield_now().await;
        });
        drop(runtime);
        assert_eq!(drops.load(SeqCst), 4, "owners that were not dropped");
        drop(kept);
        for theirs in [&mut theirs, &mut too] {
            theirs.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
            let read = theirs.read(&mut [0; 64]);
            assert!(!matches!(read, Ok(0)), "what was cut off looks whole");
        }
    });
}

// Seen to fail when `Outbox::advance` dropped the owners itself.
#[test]
fn owners_that_panic_as_their_stream_is_aborted_or_reset_take_nobody_along() {
    run_on_each(|| async {
        for reset in [false, true] {
            let drops = Arc::<AtomicU32>::default();
            let (mut ours, theirs) = with_std().await;
            ours.set_send_buffer_size(8 << 10).unwrap();
            ours.write_bytes(owned(&drops, 4 << 20)).await.unwrap();
            turns(2).await;
            assert!(poll_once(&mut Box::pin(ours.write_bytes(Bytes::new()))).await.is_pending());
            if reset {
                // Over unread bytes.
                drop(theirs);
            } else {
                ours.abort();
            }
            until(|| drops.load(SeqCst) == 1).await;
        }
    });
}

// Seen to fail when `write_piece` dropped what had left, or could not leave, by itself.
#[test]
fn owners_that_panic_after_a_call_that_sent_them_at_once_take_nobody_along() {
    run_on_each(|| async {
        for broken in [false, true] {
            let drops = Arc::<AtomicU32>::default();
            let (mut ours, theirs) = with_std().await;
            if broken {
                reset(&mut ours, theirs.try_clone().unwrap()).await;
                drop(theirs);
            }
            let calls = metrics().direct_calls;
            let written = ours.write_bytes(owned(&drops, 20_000)).await;
            assert_eq!((written.is_err(), metrics().direct_calls - calls), (broken, 1));
            until(|| drops.load(SeqCst) == 1).await;
        }
    });
}

#[test]
fn bytes_that_were_not_taken_panic_where_their_future_goes() {
    run_on_each(|| async {
        let drops = Arc::<AtomicU32>::default();
        let (mut ours, mut theirs) = with_std().await;
        // Never polled.
        let write = ours.write_bytes(owned(&drops, 5));
        panics_with("an owner panics", || drop(write));
        // Polled, and there are no bytes to take.
        let mut write = Box::pin(ours.write_bytes(owned(&drops, 0)));
        let mut cx = Context::from_waker(Waker::noop());
        panics_with("an owner panics", || drop(write.as_mut().poll(&mut cx)));
        drop(write);
        assert_eq!(drops.load(SeqCst), 2);
        ours.write_all(b"whole").await.unwrap();
        drop(ours);
        turns(3).await;
        let mut all = Vec::new();
        theirs.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"whole");
    });
}

#[test]
fn a_letter_that_comes_back_panics_with_whoever_posted_it() {
    on_each_backend(|builder| {
        let handle = build(builder).handle();
        let letter = || OnDrop(|| panic!("a letter panics"));
        let (soon, task) = (letter(), letter());
        panics_with("a letter panics", || handle.call_soon(move || drop(soon)));
        panics_with("a letter panics", || handle.spawn(move || async move { drop(task) }));
        // The mail is no worse for it.
        assert!(handle.call_soon(|| ()).is_err());
        let mut next = build(builder);
        next.handle().stop();
        next.run_forever();
    });
}

/// What a letter's future and closure own is dropped on the home's thread, and its panic is kept.
#[test]
fn a_remote_task_that_panics_in_a_drop_says_so_and_harms_nobody() {
    on_each_backend(|builder| {
        let mut runtime = build(builder);
        let handle = runtime.handle();
        let bomb = || OnDrop(|| panic!("a drop panics"));
        let (closure, future, output) = (bomb(), bomb(), bomb());
        let in_closure = handle.spawn(move || {
            drop(closure);
            async {}
        });
        let in_future = handle.spawn(move || async move {
            let _future = future;
            yield_now().await;
        });
        // The output of a task whose handle has gone.
        drop(handle.spawn(move || async move {
            yield_now().await;
            output
        }));
        runtime.block_on(async {
            assert!(in_closure.await.unwrap_err().is_panic());
            assert!(in_future.await.unwrap_err().is_panic());
            until(|| metrics().tasks_alive == 0).await;
        });
        is_whole(&mut runtime);
    });
}

struct Refuses;

impl AsRef<Path> for Refuses {
    fn as_ref(&self) -> &Path {
        panic!("no path")
    }
}

impl AsFd for Refuses {
    fn as_fd(&self) -> BorrowedFd<'_> {
        panic!("no descriptor")
    }
}

impl From<Refuses> for std::sync::Arc<str> {
    fn from(_: Refuses) -> Self {
        panic!("no name")
    }
}

#[test]
fn arguments_that_panic_come_out_of_the_call_and_leave_nothing() {
    on_each_backend(|builder| {
        let mut runtime = build(builder);
        runtime.block_on(async {
            let mut cx = Context::from_waker(Waker::noop());
            let mut open = Box::pin(File::open(Refuses));
            panics_with("no path", || open.as_mut().poll(&mut cx).map(drop));
            let mut create = Box::pin(File::create(Refuses));
            panics_with("no path", || create.as_mut().poll(&mut cx).map(drop));
            panics_with("no descriptor", || Readiness::new(&Refuses));
            panics_with("no name", || Spawn::new().name(Refuses));
            assert_eq!(metrics().in_flight, 0);
        });
        // Under the main future's own poll as well.
        panics_with("main", || runtime.block_on(poll_fn(|_| -> Poll<()> { panic!("main") })));
        is_whole(&mut runtime);
    });
}

// Seen to fail when `Core::close` dropped its timers in one go.
#[test]
fn wakers_that_panic_at_the_end_are_dropped_each_by_itself() {
    on_each_backend(|builder| {
        let words = Arc::<AtomicU32>::default();
        let mut runtime = build(builder);
        runtime.block_on(async {
            for _ in 0..3 {
                leave_a_last_word(ringloop::time::sleep(Duration::from_secs(1000)), &words);
            }
            let (mut ours, _theirs) = with_std().await;
            leave_a_last_word(ours.read(&mut [0]), &words);
            let readiness = Readiness::new(&_theirs).unwrap();
            leave_a_last_word(readiness.readable(), &words);
            let listener = TcpListener::bind(LOCAL).await.unwrap();
            leave_a_last_word(listener.accept(), &words);
            // Leaked with all that they have.
            std::mem::forget((ours, listener));
        });
        drop(runtime);
        assert!(words.load(SeqCst) >= 4, "{} were dropped", words.load(SeqCst));
    });
}
