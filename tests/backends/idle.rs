//! An idle runtime sleeps.

use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use ringloop::net::{TcpListener, TcpStream};
use ringloop::time::{interval, sleep};
use ringloop::{metrics, spawn};

use crate::support::{cpu_time, run_on_each};

const WHILE: Duration = Duration::from_millis(300);

/// The share of a CPU that a spinning loop exceeds by far. What the hypervisor takes from a virtual CPU
/// counts as ours (7 % seen); turns and syscalls tell the rest, exactly.
const LAZY: f64 = 0.25;

/// The share of one CPU that this thread used during `work`.
async fn share(work: impl Future<Output = ()>) -> f64 {
    let (cpu, wall) = (cpu_time(), Instant::now());
    work.await;
    (cpu_time() - cpu).as_secs_f64() / wall.elapsed().as_secs_f64()
}

#[test]
fn a_program_that_only_sleeps_burns_no_cpu() {
    run_on_each(|| async {
        let before = metrics();
        let share = share(sleep(WHILE)).await;
        let after = metrics();
        assert!(share < LAZY, "{:.1} % of a CPU", share * 100.0);
        let turns = after.turns - before.turns;
        assert!(turns <= 16, "{turns} turns for one sleep");
        let syscalls = after.syscalls - before.syscalls;
        assert!(syscalls <= 32, "{syscalls} system calls for one sleep");
    });
}

#[test]
fn a_program_that_waits_for_the_network_burns_no_cpu() {
    run_on_each(|| async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut there = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut here, _) = listener.accept().await.unwrap();
        let reading = spawn(async move { here.read(&mut [0; 8]).await });
        let accepting = spawn(async move { listener.accept().await.map(drop) });
        let share = share(sleep(WHILE)).await;
        assert!(share < LAZY, "{:.1} % of a CPU", share * 100.0);
        there.write_all(b"now").await.unwrap();
        assert_eq!(reading.await.unwrap().unwrap(), 3);
        accepting.cancel();
    });
}

#[test]
fn a_runtime_that_waits_for_an_event_makes_no_turns() {
    run_on_each(|| async {
        drop(spawn(pending::<()>()));
        let before = metrics();
        let (came, mut waiter) = (Arc::new(AtomicBool::new(false)), None);
        let event = poll_fn(|cx| {
            let (waker, flag) = (cx.waker().clone(), came.clone());
            waiter.get_or_insert_with(|| {
                thread::spawn(move || {
                    thread::sleep(WHILE);
                    flag.store(true, SeqCst);
                    waker.wake();
                })
            });
            if came.load(SeqCst) { Poll::Ready(()) } else { Poll::Pending }
        });
        let share = share(event).await;
        let after = metrics();
        assert!(share < LAZY, "{:.1} % of a CPU", share * 100.0);
        let turns = after.turns - before.turns;
        assert!(turns <= 8, "{turns} turns for one event");
        let syscalls = after.syscalls - before.syscalls;
        assert!(syscalls <= 16, "{syscalls} system calls for one event");
    });
}

#[test]
fn a_tick_costs_a_few_turns_and_no_more() {
    run_on_each(|| async {
        let mut interval = interval(Duration::from_millis(2));
        interval.tick().await;
        let before = metrics();
        for _ in 0..100 {
            interval.tick().await;
        }
        let after = metrics();
        let (turns, calls) = (after.turns - before.turns, after.syscalls - before.syscalls);
        assert!(turns <= 500, "{turns} turns for 100 ticks");
        assert!(calls <= 1000, "{calls} system calls for 100 ticks");
    });
}
