//! Running a main future: Ctrl-C (R-06; check 149). The rest of is in `tests/backends`.

use std::cell::Cell;
use std::future::pending;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use ringloop::fs::File;
use ringloop::signal::{Interrupted, SignalKind, signal};
use ringloop::task::yield_now;
use ringloop::{Builder, Runtime, spawn};

use crate::signals::{by_default, in_mask, raise, this_thread, until_asleep};
use crate::support::{self, OnDrop, build, on_each_backend, this_test};

const INT: SignalKind = SignalKind::interrupt();

fn is_caught() -> bool {
    in_mask("SigCgt", INT)
}

fn interruptible(builder: &mut Builder) -> Runtime {
    build(builder.ctrl_c(true))
}

/// As [`support::alone`], with SIGINT at its default.
fn alone(name: &str, body: impl FnOnce()) {
    support::alone(name, || {
        by_default(INT);
        body();
    });
}

/// How `body` ends in a process of its own. `name` is the test's own.
fn ends(name: &str, body: impl FnOnce()) -> Option<ExitStatus> {
    if std::env::var_os("RINGLOOP_TEST_ALONE").is_some_and(|alone| alone == name) {
        by_default(INT);
        body();
        return None;
    }
    Some(this_test(name).output().unwrap().status)
}

// R-06, check 149: cancels main once, cleans up, the handler before is restored; several runs.
/// A task that cleans up for so many turns once its runtime ends, and goes on for ever then; another
/// that knows nothing of it.
fn cleans_up(runtime: &mut Runtime, turns: usize) -> Rc<Cell<bool>> {
    let cleaned = Rc::new(Cell::new(false));
    let done = cleaned.clone();
    runtime.block_on(async move {
        let token = ringloop::root_token();
        drop(spawn(pending::<()>()));
        drop(spawn(async move {
            token.child_token().cancelled().await;
            for _ in 0..turns {
                yield_now().await;
            }
            done.set(true);
            drop(token);
            pending::<()>().await;
        }));
    });
    cleaned
}

// the root token.
// Seen to fail when the tasks were dropped first, and to hang when nobody looked again.
#[test]
fn whoever_holds_the_root_token_cleans_up_before_the_tasks_are_dropped_and_nobody_else_is_waited_for()
 {
    on_each_backend(|builder| {
        let mut runtime = build(builder.grace(Duration::from_secs(3600)));
        let cleaned = cleans_up(&mut runtime, 10);
        drop(runtime);
        assert!(cleaned.get());
    });
}

#[test]
fn a_clean_up_that_takes_too_long_is_cut_off_by_the_grace() {
    on_each_backend(|builder| {
        let mut runtime = build(builder.grace(Duration::from_millis(20)));
        let cleaned = cleans_up(&mut runtime, usize::MAX);
        drop(runtime);
        assert!(!cleaned.get());
    });
}

#[test]
fn the_first_ctrl_c_drops_the_main_future_and_the_runtime_goes_on() {
    alone("runner::the_first_ctrl_c_drops_the_main_future_and_the_runtime_goes_on", || {
        on_each_backend(|builder| {
            let mut runtime = interruptible(builder);
            for _ in 0..3 {
                let (cleaned, turns) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(0)));
                let (cleans, counts) = (cleaned.clone(), turns.clone());
                let main = async move {
                    let _clean_up = OnDrop(|| {
                        assert!(!is_caught(), "from now on it ends the process");
                        // It is still inside the runtime.
                        drop(spawn(async {}));
                        cleans.set(true);
                    });
                    spawn(async move {
                        loop {
                            counts.set(counts.get() + 1);
                            yield_now().await;
                        }
                    });
                    yield_now().await;
                    assert!(is_caught());
                    raise(INT);
                    pending::<()>().await;
                };
                assert_eq!(runtime.block_on_interruptible(main), Err(Interrupted));
                assert!(cleaned.get() && !is_caught());
                let before = turns.get();
                runtime.block_on(yield_now());
                assert!(turns.get() > before, "tasks live on");
            }
            assert_eq!(runtime.block_on_interruptible(async { 5 }), Ok(5));
            assert!(!is_caught());
        });
    });
}

// R-06, check 149: Ctrl-C while in plain wait. Seen to hang when the chime did not ring for it.
#[test]
fn ctrl_c_ends_the_sleep_of_the_loop() {
    alone("runner::ctrl_c_ends_the_sleep_of_the_loop", || {
        on_each_backend(|builder| {
            let here = this_thread();
            let sender = thread::spawn(move || {
                until_asleep(here);
                while !is_caught() {
                    thread::yield_now();
                }
                until_asleep(here);
                raise(INT);
            });
            let mut runtime = interruptible(builder);
            assert_eq!(runtime.block_on_interruptible(pending::<()>()), Err(Interrupted));
            sender.join().unwrap();
        });
    });
}

// Seen to hang when the interrupt had to wait for budget.
#[test]
fn ctrl_c_reaches_a_main_future_that_is_never_out_of_work() {
    alone("runner::ctrl_c_reaches_a_main_future_that_is_never_out_of_work", || {
        on_each_backend(|builder| {
            let busy = async {
                let file = File::open("/proc/self/exe").await.unwrap();
                raise(INT);
                // From memory: ready each time, until its budget is used up.
                loop {
                    assert_eq!(file.read_at(&mut [0; 8], 0).await.unwrap(), 8);
                }
            };
            let result: Result<(), _> = interruptible(builder).block_on_interruptible(busy);
            assert_eq!(result, Err(Interrupted));
        });
    });
}

// R-06, G-02: what is ready is returned.
#[test]
fn an_output_that_is_ready_with_the_ctrl_c_is_not_lost() {
    alone("runner::an_output_that_is_ready_with_the_ctrl_c_is_not_lost", || {
        on_each_backend(|builder| {
            let main = async {
                yield_now().await;
                raise(INT);
                7
            };
            assert_eq!(interruptible(builder).block_on_interruptible(main), Ok(7));
            assert!(!is_caught());
        });
    });
}

// R-06, check 149. Seen to fail when the handler stayed after the first.
#[test]
fn the_second_ctrl_c_ends_the_process_also_while_it_cleans_up() {
    let name = "runner::the_second_ctrl_c_ends_the_process_also_while_it_cleans_up";
    let status = ends(name, || {
        on_each_backend(|builder| {
            let main = async {
                let _clean_up = OnDrop(|| {
                    raise(INT);
                    // Where the second did not end it.
                    std::process::exit(77);
                });
                raise(INT);
                pending::<()>().await;
            };
            let _ = interruptible(builder).block_on_interruptible(main);
        });
    });
    assert!(status.is_none_or(|status| status.signal() == Some(libc::SIGINT)), "{status:?}");
}

// opt-in.
#[test]
fn without_the_setting_ctrl_c_ends_the_process() {
    let status = ends("runner::without_the_setting_ctrl_c_ends_the_process", || {
        let main = async { raise(INT) };
        Builder::new().build().unwrap().block_on_interruptible(main).unwrap();
    });
    assert!(status.is_none_or(|status| status.signal() == Some(libc::SIGINT)), "{status:?}");
}

// also with the setting.
#[test]
fn block_on_leaves_ctrl_c_alone() {
    let status = ends("runner::block_on_leaves_ctrl_c_alone", || {
        Builder::new().ctrl_c(true).build().unwrap().block_on(async { raise(INT) });
    });
    assert!(status.is_none_or(|status| status.signal() == Some(libc::SIGINT)), "{status:?}");
}

// R-06, check 149: foreign SIGINT handler left alone; so is a subscription, and what is ignored.
#[test]
fn a_ctrl_c_that_is_somebody_elses_interrupts_nothing() {
    alone("runner::a_ctrl_c_that_is_somebody_elses_interrupts_nothing", || {
        on_each_backend(|builder| {
            let mut runtime = interruptible(builder);
            let main = |subscribes: bool| async move {
                let mut ours = subscribes.then(|| signal(INT).unwrap());
                raise(INT);
                for _ in 0..3 {
                    yield_now().await;
                }
                if let Some(ours) = &mut ours {
                    ours.recv().await.unwrap();
                }
                7
            };
            // One that comes first, and one that comes later.
            let mut before = runtime.block_on(async { signal(INT).unwrap() });
            assert_eq!(runtime.block_on_interruptible(main(false)), Ok(7));
            runtime.block_on(before.recv()).unwrap();
            assert!(is_caught(), "it is not put back under a subscriber");
            drop(before);
            assert!(!is_caught());
            assert_eq!(runtime.block_on_interruptible(main(true)), Ok(7));
            assert!(!is_caught());
            // With the subscriber gone it interrupts again.
            let main = async {
                main(true).await;
                raise(INT);
                pending::<()>().await;
            };
            assert_eq!(runtime.block_on_interruptible(main), Err(Interrupted));
        });
    });
}
