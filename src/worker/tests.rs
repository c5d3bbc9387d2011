//! The pool by itself.

use std::sync::mpsc::{Receiver, channel};

use super::*;

const SOON: Duration = Duration::from_secs(10);

/// Fills one thread of the pool until the sender is dropped or sends.
fn occupy(workers: &Workers) -> std::sync::mpsc::Sender<()> {
    let (release, held) = channel::<()>();
    let (started, starts) = channel();
    let job = move || {
        started.send(()).unwrap();
        let _ = held.recv();
    };
    workers.submit(Box::new(job)).unwrap();
    starts.recv_timeout(SOON).expect("the job starts");
    release
}

fn number(workers: &Workers, n: u32) -> (JobId, Receiver<u32>) {
    let (tx, rx) = channel();
    (workers.submit(Box::new(move || tx.send(n).unwrap())).unwrap(), rx)
}

#[test]
fn jobs_run_in_order_on_one_thread() {
    let workers = Workers::new(1, "test");
    let hold = occupy(&workers);
    let (tx, rx) = channel();
    for n in 0..100 {
        let tx = tx.clone();
        workers.submit(Box::new(move || tx.send(n).unwrap())).unwrap();
    }
    drop((hold, tx));
    assert_eq!(rx.iter().collect::<Vec<u32>>(), (0..100).collect::<Vec<_>>());
}

#[test]
fn a_stuck_job_holds_up_nobody_while_threads_are_left_and_no_more_are_made() {
    let workers = Workers::new(3, "test");
    let holds: Vec<_> = (0..2).map(|_| occupy(&workers)).collect();
    for n in 0..100 {
        assert_eq!(number(&workers, n).1.recv_timeout(SOON), Ok(n));
    }
    let third = occupy(&workers);
    let (_, rx) = number(&workers, 7);
    assert_eq!(workers.shared.state.lock().unwrap().threads, 3);
    assert!(rx.try_recv().is_err(), "a fourth thread ran it");
    drop(third);
    assert_eq!(rx.recv_timeout(SOON), Ok(7));
    drop(holds);
}

#[test]
fn a_burst_of_submits_before_the_threads_wake_still_spreads() {
    let workers = Workers::new(4, "test");
    let (tx, rx) = channel();
    let barrier = Arc::new(std::sync::Barrier::new(4));
    for _ in 0..4 {
        let (tx, barrier) = (tx.clone(), barrier.clone());
        let job = move || {
            barrier.wait();
            tx.send(thread::current().name().map(str::to_owned)).unwrap();
        };
        workers.submit(Box::new(job)).unwrap();
    }
    for _ in 0..4 {
        assert!(rx.recv_timeout(SOON).unwrap().unwrap().starts_with("test-"));
    }
}

#[test]
fn a_withdrawn_job_never_runs_and_a_started_one_cannot_be_withdrawn() {
    let workers = Workers::new(1, "test");
    let hold = occupy(&workers);
    let (first, first_rx) = number(&workers, 1);
    let (second, second_rx) = number(&workers, 2);
    assert!(workers.withdraw(first).is_some());
    assert!(workers.withdraw(first).is_none(), "twice");
    drop(hold);
    assert_eq!(second_rx.recv_timeout(SOON), Ok(2));
    assert!(workers.withdraw(second).is_none(), "it has run");
    assert!(first_rx.try_recv().is_err());
}

#[test]
fn a_panic_costs_no_thread() {
    let workers = Workers::new(1, "test");
    let (tx, rx) = channel::<()>();
    let job = move || {
        let _tx = tx;
        std::panic::resume_unwind(Box::new("quiet, on purpose"));
    };
    workers.submit(Box::new(job)).unwrap();
    assert!(rx.recv_timeout(SOON).is_err(), "the closure is dropped");
    assert_eq!(number(&workers, 3).1.recv_timeout(SOON), Ok(3));
    assert_eq!(workers.shared.state.lock().unwrap().threads, 1);
}

#[test]
fn a_payload_whose_drop_panics_costs_no_thread() {
    struct Twice;
    impl Drop for Twice {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new("quiet, on purpose"));
        }
    }
    let workers = Workers::new(1, "test");
    workers.submit(Box::new(|| std::panic::resume_unwind(Box::new(Twice)))).unwrap();
    assert_eq!(number(&workers, 3).1.recv_timeout(SOON), Ok(3));
}

#[test]
fn a_thread_that_idled_out_is_replaced() {
    let workers = Workers::new(1, "test").idle_for(Duration::ZERO);
    for n in 0..100 {
        assert_eq!(number(&workers, n).1.recv_timeout(SOON), Ok(n));
    }
}

#[test]
fn dropping_the_pool_drops_what_waits_and_does_not_wait_for_what_runs() {
    let workers = Workers::new(1, "test");
    let hold = occupy(&workers);
    let (_, rx) = number(&workers, 1);
    let shared = workers.shared.clone();
    drop(workers);
    assert!(rx.recv_timeout(SOON).is_err(), "it was dropped, not run");
    drop(hold);
    while shared.state.lock().unwrap().threads > 0 {
        thread::yield_now();
    }
}

#[test]
fn a_full_queue_refuses_and_a_free_thread_does_not() {
    for _ in 0..100 {
        let workers = Workers::new(2, "test").max_queued(1);
        // Before a thread has woken up for the first, the second has one that is not made yet.
        let holds: Vec<_> = (0..2).map(|_| occupy(&workers)).collect();
        let (waits, rx) = number(&workers, 1);
        let refused = workers.submit(Box::new(|| unreachable!("it was refused")));
        assert_eq!(refused, Err(Refused::Full(1)));
        assert!(workers.withdraw(waits).is_some(), "it makes room");
        assert!(rx.recv().is_err());
        let (_, rx) = number(&workers, 2);
        drop(holds);
        assert_eq!(rx.recv_timeout(SOON), Ok(2));
    }
}

#[test]
fn the_end_waits_for_what_runs_and_what_waits_and_says_what_is_left() {
    let workers = Workers::new(1, "test");
    let hold = occupy(&workers);
    let (_, rx) = number(&workers, 1);
    assert_eq!(workers.finish(Duration::from_millis(1)), 2);
    assert_eq!(workers.submit(Box::new(|| ())), Err(Refused::Ended));
    drop(hold);
    assert_eq!(workers.finish(Duration::MAX), 0);
    assert_eq!(rx.try_recv(), Ok(1), "it was run");
}
