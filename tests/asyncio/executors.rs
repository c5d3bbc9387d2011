//! Blocking calls on the pool (T-29, L-08, L-53 to L-55; check 148).

use std::collections::HashSet;
use std::io;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier};
use std::task::{Context, Waker};
use std::thread::{self, ThreadId};
use std::time::Duration;

use ringloop::blocking::{BlockingPool, BlockingTask, Executor, Job, run_in_executor};
use ringloop::net::TcpListener;
use ringloop::task::yield_now;
use ringloop::{Runtime, spawn, spawn_blocking};

use crate::support::{OnDrop, build, on_each_backend, poll_once, run_on_each};

/// A job that has started and runs until its sender is dropped.
fn held() -> (BlockingTask<()>, Sender<()>) {
    let (hold, held) = channel::<()>();
    let (started, starts) = channel();
    let task = spawn_blocking(move || {
        started.send(()).unwrap();
        let _ = held.recv();
    });
    starts.recv().expect("a thread is free");
    (task, hold)
}

/// A job that says that it runs, and when it is dropped.
struct Traced {
    ran: Arc<AtomicBool>,
    dropped: Receiver<()>,
}

fn traced() -> (Traced, impl FnOnce() + Send + 'static) {
    let ran = Arc::new(AtomicBool::new(false));
    let (drops, dropped) = channel();
    let runs = ran.clone();
    let guard = OnDrop(move || drops.send(()).unwrap_or(()));
    let job = move || {
        runs.store(true, SeqCst);
        drop(guard);
    };
    (Traced { ran, dropped }, job)
}

// T-29, check 148.
#[test]
fn a_blocking_call_runs_once_on_another_thread_and_the_loop_goes_on_meanwhile() {
    run_on_each(|| async {
        let (tell, told) = channel();
        let (from_us, to_it) = channel();
        let call = spawn_blocking(move || {
            tell.send(thread::current().id()).unwrap();
            to_it.recv().unwrap()
        });
        // The call waits for what another task of this loop sends.
        let other = spawn(async move {
            yield_now().await;
            from_us.send(String::from("argument")).unwrap();
        });
        assert_eq!(call.await.unwrap(), "argument");
        other.await.unwrap();
        let threads: Vec<ThreadId> = told.iter().collect();
        assert_eq!(threads.len(), 1, "it ran once");
        assert_ne!(threads[0], thread::current().id());
    });
}

// T-29, L-53, check 148.
#[test]
fn calls_run_side_by_side_on_as_many_threads_as_were_allowed() {
    on_each_backend(|builder| {
        build(builder.blocking_threads(4).blocking_thread_name("caller")).block_on(async {
            let barrier = Arc::new(Barrier::new(4));
            let calls: Vec<_> = (0..4)
                .map(|_| {
                    let barrier = barrier.clone();
                    spawn_blocking(move || {
                        barrier.wait();
                        thread::current().name().map(str::to_owned)
                    })
                })
                .collect();
            let mut names = HashSet::new();
            for call in calls {
                names.insert(call.await.unwrap().unwrap());
            }
            let wanted = ["caller-0", "caller-1", "caller-2", "caller-3"].map(String::from);
            assert_eq!(names, HashSet::from(wanted));
        });
    });
}

// L-53, check 148.
#[test]
fn a_panic_in_a_call_comes_out_of_its_handle_and_costs_no_thread() {
    on_each_backend(|builder| {
        build(builder.blocking_threads(1)).block_on(async {
            for _ in 0..3 {
                let call = spawn_blocking(|| -> u8 { std::panic::resume_unwind(Box::new("seen")) });
                let error = call.await.unwrap_err();
                assert!(error.is_panic() && !error.is_refused());
                assert_eq!(error.to_string(), "the task panicked: seen");
                let payload = error.try_into_panic().unwrap();
                assert_eq!(payload.downcast_ref::<&str>(), Some(&"seen"));
            }
            let error = spawn_blocking(|| Err::<u8, _>(io::Error::other("mine"))).await;
            assert_eq!(error.unwrap().unwrap_err().to_string(), "mine");
        });
    });
}

// L-53, check 148. Seen to fail when a dropped handle left its job in the queue.
#[test]
fn a_dropped_handle_takes_back_what_has_not_started_and_leaves_alone_what_runs() {
    on_each_backend(|builder| {
        build(builder.blocking_threads(1)).block_on(async {
            let (running, hold) = held();
            let (waits, job) = traced();
            drop(spawn_blocking(job));
            assert_eq!(waits.dropped.try_recv(), Ok(()), "what it owned went at once");
            let mut cancelled = spawn_blocking(|| unreachable!("it was taken back"));
            assert!(cancelled.cancel() && !cancelled.cancel());
            assert!((&mut cancelled).await.unwrap_err().is_cancelled());
            // What runs is not taken back, nor stopped.
            let mut running = running;
            assert!(!running.cancel());
            let (detached, job) = traced();
            spawn_blocking(job).detach();
            drop((running, hold));
            spawn_blocking(|| ()).await.unwrap();
            assert!(detached.ran.load(SeqCst) && !waits.ran.load(SeqCst));
        });
    });
}

// L-53, check 148: a task that is cancelled drops the handle it waits with.
#[test]
fn a_cancelled_task_takes_its_waiting_call_with_it() {
    on_each_backend(|builder| {
        build(builder.blocking_threads(1)).block_on(async {
            let (_running, hold) = held();
            let (call, job) = traced();
            let task = spawn(async move { spawn_blocking(job).await });
            yield_now().await;
            task.cancel();
            assert!(task.await.unwrap_err().is_cancelled());
            drop(hold);
            spawn_blocking(|| ()).await.unwrap();
            assert!(!call.ran.load(SeqCst));
        });
    });
}

// L-53, check 148.
#[test]
fn a_handle_polled_by_reference_and_dropped_loses_no_result() {
    on_each_backend(|builder| {
        build(builder.blocking_threads(1)).block_on(async {
            let (_running, hold) = held();
            let mut call = spawn_blocking(|| 5);
            assert!(poll_once(&mut call).is_pending());
            assert!(!call.is_finished());
            drop(hold);
            while !call.is_finished() {
                yield_now().await;
            }
            assert!(!call.cancel(), "it has ended");
            assert_eq!(call.await.unwrap(), 5);
        });
    });
}

// L-54.
#[test]
fn a_full_queue_refuses_the_next_call_in_a_sentence_and_loses_none_of_the_others() {
    on_each_backend(|builder| {
        build(builder.blocking_threads(1).blocking_queue(2)).block_on(async {
            let (running, hold) = held();
            let first = spawn_blocking(|| 1);
            let second = spawn_blocking(|| 2);
            let (one_too_many, job) = traced();
            let mut refused = spawn_blocking(job);
            assert_eq!(one_too_many.dropped.try_recv(), Ok(()));
            assert!(refused.is_finished() && !refused.cancel());
            let error = refused.await.unwrap_err();
            assert!(error.is_refused() && !error.is_cancelled() && !error.is_panic());
            assert!(error.to_string().contains("2 jobs wait already"), "{error}");
            let error = error.try_into_panic().unwrap_err();
            assert!(error.is_refused());
            drop(first);
            let third = spawn_blocking(|| 3);
            drop(hold);
            running.await.unwrap();
            assert_eq!((second.await.unwrap(), third.await.unwrap()), (2, 3));
        });
    });
}

// L-48, L-53. Seen to hang when look-ups had the threads of the calls.
#[test]
fn calls_that_block_hold_up_no_look_up_and_no_file() {
    on_each_backend(|builder| {
        build(builder.blocking_threads(1)).block_on(async {
            let (_running, hold) = held();
            let listener = TcpListener::bind("localhost:0").await.unwrap();
            assert!(listener.local_addr().unwrap().ip().is_loopback());
            let file = ringloop::fs::File::open("/proc/version").await.unwrap();
            assert_ne!(file.read_at(&mut [0; 8], 0).await.unwrap(), 0);
            drop(hold);
        });
    });
}

fn detach_two(runtime: &mut Runtime) -> (Sender<()>, Traced) {
    let (waits, job) = traced();
    let hold = runtime.block_on(async {
        let (running, hold) = held();
        running.detach();
        spawn_blocking(job).detach();
        hold
    });
    (hold, waits)
}

// L-08, R-04, check 148.
#[test]
fn the_end_with_a_limit_waits_for_calls_that_run_and_that_wait() {
    on_each_backend(|builder| {
        let mut runtime = build(builder.blocking_threads(1));
        let (hold, waits) = detach_two(&mut runtime);
        // Whoever lets go does so while the end waits, or a little before.
        let letting_go = thread::spawn(move || drop(hold));
        assert_eq!(runtime.shutdown_timeout(Duration::MAX), 0);
        assert!(waits.ran.load(SeqCst));
        letting_go.join().unwrap();
    });
}

// L-08, R-04, check 148: asyncio warns; here the number says it.
#[test]
fn an_end_whose_limit_is_over_says_how_many_calls_are_left_and_drops_what_waits() {
    on_each_backend(|builder| {
        let mut runtime = build(builder.blocking_threads(1));
        let (hold, waits) = detach_two(&mut runtime);
        assert_eq!(runtime.shutdown_timeout(Duration::from_millis(1)), 2);
        assert_eq!(waits.dropped.try_recv(), Ok(()));
        assert!(!waits.ran.load(SeqCst));
        drop(hold);
    });
}

// L-08: the plain end waits for nobody. Seen to hang when it did.
#[test]
fn a_dropped_runtime_waits_for_no_call_and_its_handles_say_cancelled() {
    on_each_backend(|builder| {
        let mut runtime = build(builder.blocking_threads(1));
        let (running, hold, waiting) = runtime.block_on(async {
            let (running, hold) = held();
            (running, hold, spawn_blocking(|| ()))
        });
        drop(runtime);
        build(builder).block_on(async {
            assert!(waiting.await.unwrap_err().is_cancelled());
            drop(hold);
            // It ran to its end without its runtime, and the result is there.
            running.await.unwrap();
        });
    });
}

// L-08, check 148.
#[test]
fn a_call_while_the_runtime_ends_is_refused_and_outside_it_panics_in_a_sentence() {
    on_each_backend(|builder| {
        let (tell, told) = channel();
        let mut runtime = build(builder);
        runtime.block_on(async {
            spawn(async move {
                let _at_the_end = OnDrop(move || {
                    let mut call = spawn_blocking(|| unreachable!("nobody would wait for it"));
                    let std::task::Poll::Ready(Err(error)) = poll_once(&mut call) else {
                        panic!("it must be refused at once");
                    };
                    tell.send(error.to_string()).unwrap();
                });
                std::future::pending::<()>().await;
            });
            yield_now().await;
        });
        drop(runtime);
        assert_eq!(
            told.recv().unwrap(),
            "the task was refused: the ringloop runtime of this object has ended"
        );
    });
    let outside = std::panic::catch_unwind(|| spawn_blocking(|| ()).detach()).unwrap_err();
    assert!(crate::support::sentence(&*outside).contains("within ringloop::run"));
}

/// Keeps jobs until it is told to run them.
#[derive(Default)]
struct ByHand(std::cell::RefCell<Vec<Job>>);

impl Executor for ByHand {
    fn execute(&self, job: Job) -> io::Result<()> {
        self.0.borrow_mut().push(job);
        Ok(())
    }
}

// L-53, L-54: any executor, by a trait. It needs no runtime.
#[test]
fn an_executor_of_ones_own_runs_calls_and_cancelled_ones_find_nothing_to_do() {
    run_on_each(|| async {
        let executor = Rc::new(ByHand::default());
        let runs = run_in_executor(&executor, || 1);
        let (traced, job) = traced();
        let mut taken_back = run_in_executor(&*executor, job);
        assert!(taken_back.cancel());
        assert_eq!(traced.dropped.try_recv(), Ok(()));
        let jobs = executor.0.take();
        thread::spawn(move || jobs.into_iter().for_each(|job| job())).join().unwrap();
        assert_eq!(runs.await.unwrap(), 1);
        assert!(taken_back.await.unwrap_err().is_cancelled());
        assert!(!traced.ran.load(SeqCst));
        // One that throws its jobs away. Seen to hang when the handle kept them.
        let thrown_away = run_in_executor(&executor, || ());
        executor.0.take().clear();
        assert!(thrown_away.await.unwrap_err().is_cancelled());
    });
}

struct Refuses;

impl Executor for Refuses {
    fn execute(&self, _job: Job) -> io::Result<()> {
        Err(io::Error::other("not today"))
    }
}

// L-53, check 148.
#[test]
fn an_executor_that_refuses_or_has_ended_says_so_in_its_words() {
    run_on_each(|| async {
        let error = run_in_executor(&Refuses, || ()).await.unwrap_err();
        assert!(error.is_refused());
        assert_eq!(error.to_string(), "the task was refused: not today");
        let pool = BlockingPool::new("own", 1);
        let name = || thread::current().name().map(str::to_owned);
        assert_eq!(run_in_executor(&pool, name).await.unwrap().as_deref(), Some("own-0"));
        assert_eq!(pool.shutdown_timeout(Duration::MAX), 0);
        let error = run_in_executor(&pool, name).await.unwrap_err();
        assert_eq!(error.to_string(), "the task was refused: the pool has ended");
    });
}

// L-08, L-53, check 148: a pool of one's own, as the runtime's. Seen to fail when the bound counted what a
// free thread was about to take.
#[test]
fn a_pool_of_ones_own_is_bounded_and_its_end_waits_within_the_limit() {
    let pool = BlockingPool::new("own", 1).max_queued(0);
    let (hold, held) = channel::<()>();
    let (started, starts) = channel();
    let running = run_in_executor(&pool, move || {
        started.send(()).unwrap();
        let _ = held.recv();
        7
    });
    starts.recv().unwrap();
    let mut refused = run_in_executor(&pool, || ());
    let mut cx = Context::from_waker(Waker::noop());
    let refused = std::pin::Pin::new(&mut refused).poll(&mut cx);
    assert!(matches!(refused, std::task::Poll::Ready(Err(error)) if error.is_refused()));
    assert_eq!(pool.shutdown_timeout(Duration::ZERO), 1);
    drop(hold);
    assert_eq!(pool.shutdown_timeout(Duration::MAX), 0);
    let mut running = running;
    assert!(matches!(poll_once(&mut running), std::task::Poll::Ready(Ok(7))));
}

// L-54. Seen to fail when the result that nobody wants was dropped in the open.
#[test]
fn nothing_that_panics_comes_out_of_a_job() {
    struct Keeps(std::cell::RefCell<Vec<Job>>);
    impl Executor for Keeps {
        fn execute(&self, job: Job) -> io::Result<()> {
            self.0.borrow_mut().push(job);
            Ok(())
        }
    }
    let keeps = Keeps(Default::default());
    let bomb = || OnDrop(|| std::panic::resume_unwind(Box::new("dropped")));
    run_in_executor(&keeps, bomb).detach();
    run_in_executor(&keeps, || std::panic::resume_unwind(Box::new("run"))).detach();
    for job in keeps.0.take() {
        job();
    }
}
