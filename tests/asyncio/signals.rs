//! Signals (L-51, L-52, G-11; check 147). What a process has one of is tested in a process of its own.
#![expect(unsafe_code, reason = "raise(3), kill(2), sigaction(2), fork(2)")]

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use ringloop::signal::{Signal, SignalKind, ctrl_c, signal};
use ringloop::task::yield_now;
use ringloop::time::sleep;
use ringloop::{Builder, metrics, spawn};

use crate::support::{alone, build, on_each_backend, run_on_each};

const ONE: SignalKind = SignalKind::user_defined1();
const TWO: SignalKind = SignalKind::user_defined2();

/// Sends a signal to this thread: it has come when this returns.
pub(crate) fn raise(kind: SignalKind) {
    // SAFETY: it takes a number.
    assert_eq!(unsafe { libc::raise(kind.as_raw_value()) }, 0);
}

/// Sends a signal to this process, from outside of the loop.
fn send(kind: SignalKind) {
    let this = std::process::id() as libc::pid_t;
    // SAFETY: it takes numbers.
    assert_eq!(unsafe { libc::kill(this, kind.as_raw_value()) }, 0);
}

/// One of the masks in `/proc/self/status` of this process: whether a signal is in it.
pub(crate) fn in_mask(mask: &str, kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    mask_of(&status, mask) & 1 << (kind.as_raw_value() - 1) != 0
}

fn mask_of(status: &str, mask: &str) -> u64 {
    let line = status.lines().find(|line| line.starts_with(mask)).unwrap();
    u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
}

fn is_caught(kind: SignalKind) -> bool {
    in_mask("SigCgt", kind)
}

fn is_pending(signal: &mut Signal) -> bool {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    match signal.poll_recv(&mut cx) {
        Poll::Pending => true,
        Poll::Ready(heard) => {
            heard.unwrap();
            false
        }
    }
}

/// Gives a signal its default: a shell has its background jobs ignore SIGINT.
pub(crate) fn by_default(kind: SignalKind) {
    // SAFETY: it takes numbers.
    unsafe { libc::signal(kind.as_raw_value(), libc::SIG_DFL) };
}

/// Waits until a thread of this process sleeps in the kernel.
pub(crate) fn until_asleep(thread: i32) {
    let path = format!("/proc/self/task/{thread}/stat");
    loop {
        let stat = std::fs::read_to_string(&path).unwrap();
        if stat.rsplit(") ").next().unwrap().starts_with('S') {
            return;
        }
        thread::yield_now();
    }
}

pub(crate) fn this_thread() -> i32 {
    // SAFETY: it takes nothing.
    unsafe { libc::gettid() }
}

// L-51, check 147: n signals before a look are one.
#[test]
fn a_signal_is_heard_once_however_often_it_came_and_again_when_it_comes_again() {
    alone(
        "signals::a_signal_is_heard_once_however_often_it_came_and_again_when_it_comes_again",
        || {
            run_on_each(|| async {
                raise_unheard();
                let mut signal = signal(ONE).unwrap();
                assert!(is_pending(&mut signal), "what came before the subscription is not heard");
                for _ in 0..3 {
                    raise(ONE);
                    raise(ONE);
                    signal.recv().await.unwrap();
                    assert!(is_pending(&mut signal), "one look takes all");
                }
            });
        },
    );
}

/// One that another subscriber hears, and not the next.
fn raise_unheard() {
    let signal = signal(ONE).unwrap();
    raise(ONE);
    drop(signal);
}

// L-51, check 147. Seen to hang when the handler did not ring.
#[test]
fn a_signal_ends_the_sleep_of_the_loop_that_waits_for_it() {
    alone("signals::a_signal_ends_the_sleep_of_the_loop_that_waits_for_it", || {
        run_on_each(|| async {
            let mut signal = signal(ONE).unwrap();
            for _ in 0..50 {
                let here = this_thread();
                let sender = thread::spawn(move || {
                    until_asleep(here);
                    // To this thread, not to the one that sleeps.
                    raise(ONE);
                });
                signal.recv().await.unwrap();
                sender.join().unwrap();
            }
        });
    });
}

// L-51, check 147. Seen to hang when the count came after the ring.
#[test]
fn a_thousand_signals_each_sent_when_the_last_was_heard_are_all_heard() {
    alone("signals::a_thousand_signals_each_sent_when_the_last_was_heard_are_all_heard", || {
        run_on_each(|| async {
            const ALL: u64 = 2000;
            let heard = Arc::new(AtomicU64::new(0));
            let (mut first, mut second) = (signal(ONE).unwrap(), signal(ONE).unwrap());
            let told = heard.clone();
            let sender = thread::spawn(move || {
                for n in 0..ALL {
                    while told.load(SeqCst) < 2 * n {
                        thread::yield_now();
                    }
                    send(ONE);
                }
            });
            let count = heard.clone();
            let other = spawn(async move {
                for _ in 0..ALL {
                    second.recv().await.unwrap();
                    count.fetch_add(1, SeqCst);
                }
            });
            for _ in 0..ALL {
                first.recv().await.unwrap();
                heard.fetch_add(1, SeqCst);
            }
            other.await.unwrap();
            sender.join().unwrap();
        });
    });
}

// L-51, G-11: any thread's runtime, many subscribers.
#[test]
fn every_subscriber_of_every_thread_hears_its_signal_and_no_other() {
    alone("signals::every_subscriber_of_every_thread_hears_its_signal_and_no_other", || {
        on_each_backend(|builder| {
            let builder: &Builder = builder;
            let (ready, done) = (Barrier::new(5), Barrier::new(5));
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        build(builder).block_on(async {
                            let mut ones: Vec<_> = (0..3).map(|_| signal(ONE).unwrap()).collect();
                            let mut two = signal(TWO).unwrap();
                            let tasks: Vec<_> = ones
                                .drain(..)
                                .map(|mut one| spawn(async move { one.recv().await.unwrap() }))
                                .collect();
                            assert!(is_pending(&mut two));
                            yield_now().await;
                            ready.wait();
                            for task in tasks {
                                task.await.unwrap();
                            }
                            assert!(is_pending(&mut two), "it heard another's signal");
                            done.wait();
                        });
                    });
                }
                ready.wait();
                send(ONE);
                done.wait();
            });
        });
        assert!(!is_caught(ONE) && !is_caught(TWO));
    });
}

static THEIRS: AtomicU32 = AtomicU32::new(0);

extern "C" fn theirs(_signal: libc::c_int) {
    THEIRS.fetch_add(1, SeqCst);
}

fn install_theirs(kind: SignalKind) {
    let handler = theirs as extern "C" fn(libc::c_int);
    // SAFETY: the handler only adds to an atomic.
    unsafe { libc::signal(kind.as_raw_value(), handler as libc::sighandler_t) };
}

// L-52, check 147. Seen to fail when nothing was put back, and when something always was.
#[test]
fn the_handler_before_comes_back_with_the_last_subscriber_and_a_later_one_stays() {
    alone(
        "signals::the_handler_before_comes_back_with_the_last_subscriber_and_a_later_one_stays",
        || {
            run_on_each(|| async {
                assert!(!is_caught(TWO));
                let (first, second) = (signal(TWO).unwrap(), signal(TWO).unwrap());
                drop(first);
                assert!(is_caught(TWO), "one is left");
                drop(second);
                assert!(!is_caught(TWO), "the default is back");

                install_theirs(ONE);
                let before = THEIRS.load(SeqCst);
                let mut ours = signal(ONE).unwrap();
                raise(ONE);
                ours.recv().await.unwrap();
                assert_eq!(THEIRS.load(SeqCst), before, "it was taken over");
                drop(ours);
                raise(ONE);
                assert_eq!(THEIRS.load(SeqCst), before + 1, "and given back");

                // Another library comes in between. The next subscriber takes over from it.
                let first = signal(TWO).unwrap();
                install_theirs(TWO);
                let mut second = signal(TWO).unwrap();
                raise(TWO);
                second.recv().await.unwrap();
                drop((first, second));
                raise(TWO);
                assert_eq!(THEIRS.load(SeqCst), before + 2, "and gives back to it");
                // Or it stays.
                by_default(TWO);
                let ours = signal(TWO).unwrap();
                install_theirs(TWO);
                drop(ours);
                assert!(is_caught(TWO), "the default was put in its place");
                raise(TWO);
                assert_eq!(THEIRS.load(SeqCst), before + 3);
                by_default(TWO);
            });
        },
    );
}

// L-51, check 147: invalid and uncatchable numbers.
#[test]
fn what_is_no_signal_or_cannot_be_caught_is_refused_in_a_sentence() {
    run_on_each(|| async {
        let says = |number: i32| {
            let error = signal(SignalKind::from_raw(number)).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
            error.to_string()
        };
        assert_eq!(says(9), "SIGKILL cannot be caught: the kernel does not ask the process");
        assert!(says(libc::SIGSTOP).starts_with("SIGSTOP cannot be caught"));
        for fault in [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE] {
            assert!(says(fault).contains("is a fault of the thread"), "{}", says(fault));
        }
        for none in [i32::MIN, -1, 0, 65, 1000, i32::MAX] {
            let wanted = format!("signal {none} is none: signals are numbered from 1 to 64");
            assert_eq!(says(none), wanted);
        }
        assert!(says(32).contains("the C library"));
        signal(SignalKind::child()).unwrap();
        assert_eq!(format!("{:?}", SignalKind::hangup()), "SignalKind(SIGHUP)");
    });
}

// L-51.
#[test]
fn a_real_time_signal_is_a_signal() {
    alone("signals::a_real_time_signal_is_a_signal", || {
        run_on_each(|| async {
            for number in [libc::SIGRTMIN(), libc::SIGRTMAX()] {
                let kind = SignalKind::from_raw(number);
                let mut signal = signal(kind).unwrap();
                raise(kind);
                signal.recv().await.unwrap();
                assert_eq!(signal.kind(), kind);
            }
        });
    });
}

// L-51. Seen to hang when the news was taken for whoever was woken, and not by it.
#[test]
fn a_dropped_wait_loses_no_signal() {
    alone("signals::a_dropped_wait_loses_no_signal", || {
        run_on_each(|| async {
            let mut signal = signal(ONE).unwrap();
            for turns in 0..4 {
                let mut recv = Box::pin(signal.recv());
                assert!(crate::support::poll_once(&mut recv).is_pending());
                for _ in 0..turns {
                    yield_now().await;
                }
                raise(ONE);
                for _ in 0..turns {
                    yield_now().await;
                }
                drop(recv);
                signal.recv().await.unwrap();
            }
        });
    });
}

// L-52, check 147: the end of the loop, and a subscriber that comes while the last one goes.
#[test]
fn whoever_waits_keeps_no_runtime_from_ending_and_a_newcomer_hears() {
    alone("signals::whoever_waits_keeps_no_runtime_from_ending_and_a_newcomer_hears", || {
        on_each_backend(|builder| {
            let mut runtime = build(builder);
            let survivor = runtime.block_on(async {
                let mut first = signal(ONE).unwrap();
                assert!(is_pending(&mut first));
                yield_now().await;
                drop(first);
                // The read of the first is being cancelled.
                let mut next = signal(ONE).unwrap();
                let task = spawn(async move { next.recv().await });
                yield_now().await;
                raise(ONE);
                task.await.unwrap().unwrap();
                while metrics().in_flight > 0 {
                    yield_now().await;
                }
                let mut waits = signal(ONE).unwrap();
                spawn(async move { waits.recv().await });
                let survivor = signal(TWO).unwrap();
                yield_now().await;
                survivor
            });
            drop(runtime);
            assert!(!is_caught(ONE), "its task was dropped");
            assert!(is_caught(TWO));
            let mut survivor = survivor;
            build(builder).block_on(async {
                let error = survivor.recv().await.unwrap_err();
                assert!(error.to_string().contains("has ended"), "{error}");
            });
            drop(survivor);
            assert!(!is_caught(TWO));
            let outside = signal(ONE).unwrap_err();
            assert!(outside.to_string().contains("within ringloop::run"), "{outside}");
        });
    });
}

// L-51: nothing runs while nothing comes.
#[test]
fn an_idle_loop_that_waits_for_a_signal_sleeps() {
    alone("signals::an_idle_loop_that_waits_for_a_signal_sleeps", || {
        run_on_each(|| async {
            let mut waits = signal(ONE).unwrap();
            let _other = spawn(async move { waits.recv().await });
            sleep(Duration::from_millis(1)).await;
            let before = metrics().turns;
            sleep(Duration::from_millis(50)).await;
            assert!(metrics().turns - before < 20, "{} turns", metrics().turns - before);
        });
    });
}

// L-51: children have the default dispositions and an empty mask.
#[test]
fn a_child_program_has_the_default_dispositions_and_an_empty_mask() {
    alone("signals::a_child_program_has_the_default_dispositions_and_an_empty_mask", || {
        run_on_each(|| async {
            let _signals = [ONE, TWO, SignalKind::terminate()].map(|kind| signal(kind).unwrap());
            assert!(is_caught(ONE) && is_caught(SignalKind::terminate()));
            let status = Command::new("cat").arg("/proc/self/status").output().unwrap().stdout;
            let status = String::from_utf8(status).unwrap();
            for mask in ["SigBlk", "SigCgt"] {
                assert_eq!(mask_of(&status, mask), 0, "{mask}");
            }
            // What was ignored before us still is.
            for kind in [ONE, TWO, SignalKind::terminate()] {
                assert_eq!(mask_of(&status, "SigIgn") & 1 << (kind.as_raw_value() - 1), 0);
            }
        });
    });
}

/// How a forked child ends that runs `body`.
fn forked(body: impl FnOnce()) -> ExitStatus {
    // SAFETY: the child runs on a copy of this thread alone, takes no lock of another, and ends itself.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: alarm takes a number: a child that waits for ever is ended.
        unsafe { libc::alarm(20) };
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).is_ok();
        // SAFETY: nothing of the parent's is run on the way out.
        unsafe { libc::_exit(i32::from(!done)) };
    }
    let mut status = 0;
    // SAFETY: `status` is a writable int, and the child is ours.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    ExitStatus::from_raw(status)
}

// L-51, L-52. Seen to fail when the child's handler counted and rang as its parent's.
#[test]
fn a_forked_child_has_the_default_back_tells_its_parent_nothing_and_may_subscribe_itself() {
    let name = "signals::a_forked_child_has_the_default_back_tells_its_parent_nothing_and_may_subscribe_itself";
    alone(name, || {
        on_each_backend(|builder| {
            let mut runtime = build(builder);
            let mut ours = runtime.block_on(async {
                let mut ours = signal(ONE).unwrap();
                assert!(is_pending(&mut ours));
                yield_now().await;
                ours
            });
            assert_eq!(forked(|| raise(ONE)).signal(), Some(ONE.as_raw_value()));
            let ended = forked(|| {
                build(builder).block_on(async {
                    let (mut one, mut two) = (signal(ONE).unwrap(), signal(TWO).unwrap());
                    for _ in 0..3 {
                        raise(ONE);
                        one.recv().await.unwrap();
                        assert!(is_pending(&mut two));
                    }
                    drop(one);
                    assert!(!is_caught(ONE), "the default is back, not the parent's");
                });
            });
            assert!(ended.success(), "{ended}");
            let turns = runtime.metrics().turns;
            runtime.block_on(async {
                assert!(is_pending(&mut ours), "the child's signal was heard");
                raise(ONE);
                ours.recv().await.unwrap();
            });
            assert!(runtime.metrics().turns - turns < 100);
        });
    });
}

// L-51, R-06. Seen to fail when the child's handler took its parent's subscribers for its own.
#[test]
fn a_child_of_a_subscriber_to_sigint_is_interrupted() {
    alone("signals::a_child_of_a_subscriber_to_sigint_is_interrupted", || {
        on_each_backend(|builder| {
            by_default(SignalKind::interrupt());
            let mut runtime = build(builder.ctrl_c(true));
            let ours = runtime.block_on(async { signal(SignalKind::interrupt()).unwrap() });
            let ended = forked(|| {
                let run = build(builder).block_on_interruptible(async {
                    raise(SignalKind::interrupt());
                    std::future::pending::<()>().await;
                });
                assert!(run.is_err());
            });
            assert!(ended.success(), "{ended}");
            drop(ours);
        });
    });
}

// L-51, check 147.
#[test]
fn ctrl_c_is_heard_once_and_the_default_is_back_then() {
    alone("signals::ctrl_c_is_heard_once_and_the_default_is_back_then", || {
        run_on_each(|| async {
            let task = spawn(async { ctrl_c().await });
            yield_now().await;
            assert!(is_caught(SignalKind::interrupt()));
            raise(SignalKind::interrupt());
            task.await.unwrap().unwrap();
            assert!(!is_caught(SignalKind::interrupt()));
        });
    });
}

// L-51: a storm of two signals while the loop subscribes and unsubscribes.
#[test]
fn subscribers_that_come_and_go_in_a_storm_all_hear_and_leave_nothing() {
    alone("signals::subscribers_that_come_and_go_in_a_storm_all_hear_and_leave_nothing", || {
        on_each_backend(|builder| {
            let over = Arc::new(AtomicU32::new(0));
            // So that none comes while nobody subscribes.
            let mut keeper = Builder::new().build().unwrap();
            let kept = keeper.block_on(async { [ONE, TWO].map(|kind| signal(kind).unwrap()) });
            let ends = over.clone();
            let storm = thread::spawn(move || {
                while ends.load(SeqCst) == 0 {
                    send(ONE);
                    send(TWO);
                    thread::yield_now();
                }
            });
            let builder: &Builder = builder;
            thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        let mut runtime = build(builder);
                        runtime.block_on(async {
                            for round in 0..300 {
                                let kind = if round % 2 == 0 { ONE } else { TWO };
                                let mut one = signal(kind).unwrap();
                                one.recv().await.unwrap();
                                one.recv().await.unwrap();
                            }
                        });
                        assert_eq!(runtime.metrics().strays, 0);
                    });
                }
            });
            over.store(1, SeqCst);
            storm.join().unwrap();
            drop(kept);
            assert!(!is_caught(ONE) && !is_caught(TWO));
        });
    });
}
