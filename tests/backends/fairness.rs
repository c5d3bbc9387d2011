//! Nobody starves: not a task, not a timer, not the I/O.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::Write;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

use ringloop::fs::File;
use ringloop::net::{TcpListener, TcpStream};
use ringloop::task::yield_now;
use ringloop::time::sleep;
use ringloop::{Handle, JoinHandle, metrics, spawn};

use crate::support::run_on_each;

/// A stream that always has something to read, from a thread of its own.
async fn always_full() -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        // Until the reader goes away.
        while stream.write_all(&[7; 1 << 16]).is_ok() {}
    });
    listener.accept().await.unwrap().0
}

/// Spawns `n` tasks and lets them end.
async fn finished(n: u32) -> Vec<JoinHandle<u32>> {
    let tasks: Vec<_> = (0..n).map(|i| spawn(async move { i })).collect();
    while !tasks.iter().all(JoinHandle::is_finished) {
        yield_now().await;
    }
    tasks
}

async fn await_all(tasks: Vec<JoinHandle<u32>>) {
    for (i, task) in tasks.into_iter().enumerate() {
        assert_eq!(task.await.unwrap() as usize, i);
    }
}

/// Counts how often another task is polled while `work` takes its results.
async fn polls_of_another(work: impl Future<Output = ()>) -> u32 {
    let count = Rc::new(Cell::new(0));
    let counting = count.clone();
    let other = spawn(async move {
        loop {
            counting.set(counting.get() + 1);
            yield_now().await;
        }
    });
    yield_now().await;
    let before = count.get();
    work.await;
    other.cancel();
    count.get() - before
}

#[test]
fn a_task_that_awaits_finished_tasks_gives_way() {
    run_on_each(|| async {
        let tasks = finished(10_000).await;
        // At the latest after 128 results, and not after each.
        let given = polls_of_another(async { spawn(await_all(tasks)).await.unwrap() }).await;
        assert!((70..200).contains(&given), "it gave way {given} times");
    });
}

#[test]
fn a_main_future_that_awaits_finished_tasks_gives_way() {
    run_on_each(|| async {
        let tasks = finished(10_000).await;
        let given = polls_of_another(await_all(tasks)).await;
        assert!((70..200).contains(&given), "it gave way {given} times");
    });
}

/// A stream with 64 KiB parked: it is read byte by byte, and each read is ready at once.
async fn full_inbox() -> TcpStream {
    let mut stream = always_full().await;
    stream.read(&mut [0]).await.unwrap();
    while metrics().buffered < 64 << 10 {
        yield_now().await;
    }
    stream
}

async fn read_bytes(mut stream: TcpStream) {
    for _ in 0..10_000 {
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 1);
    }
}

#[test]
fn a_task_that_reads_what_is_parked_gives_way() {
    run_on_each(|| async {
        let stream = full_inbox().await;
        let given = polls_of_another(async { spawn(read_bytes(stream)).await.unwrap() }).await;
        assert!(given >= 70, "it gave way {given} times");
    });
}

#[test]
fn a_main_future_that_reads_what_is_parked_gives_way() {
    run_on_each(|| async {
        let stream = full_inbox().await;
        let given = polls_of_another(read_bytes(stream)).await;
        assert!(given >= 70, "it gave way {given} times");
    });
}

// Seen to fail when a read from the cache counts for nothing, and when a large one counts for one.
#[test]
fn a_task_that_reads_a_cached_file_gives_way() {
    run_on_each(|| async {
        let path = std::env::temp_dir().join(format!("ringloop-fair-{}", std::process::id()));
        std::fs::write(&path, vec![7; 1 << 20]).unwrap();
        for (reads, len, most) in [(10_000, 1, 200), (200, 1 << 20, 250)] {
            let file = File::open(&path).await.unwrap();
            let before = metrics();
            let work = async {
                let mut buf = vec![0; len];
                for _ in 0..reads {
                    assert!(file.read_at(&mut buf, 0).await.unwrap() > 0);
                }
            };
            let given = polls_of_another(work).await;
            assert!(given >= 70, "it gave way {given} times in {reads} reads of {len}");
            // Not where the file system lets nothing be read at once.
            let direct = metrics().direct_calls - before.direct_calls == reads;
            assert!(!direct || given <= most, "it gave way {given} times");
        }
        std::fs::remove_file(path).unwrap();
    });
}

#[test]
fn io_and_timers_are_served_beside_a_task_that_is_always_ready() {
    const TRIPS: u64 = 100;
    run_on_each(|| async {
        let restless = spawn(async {
            loop {
                yield_now().await;
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            while let Some(chunk) = stream.read_chunk().await.unwrap() {
                stream.write_chunk(chunk).await.unwrap();
            }
        });
        let mut client = TcpStream::connect(address).await.unwrap();
        let before = metrics().turns;
        for _ in 0..TRIPS {
            client.write_all(b"ping").await.unwrap();
            let mut buf = [0; 8];
            assert_eq!(client.read(&mut buf).await.unwrap(), 4);
        }
        let turns = metrics().turns - before;
        // Each trip is a handful of completions; each is looked for every 61 turns at the latest.
        assert!(turns < TRIPS * 61 * 8, "{turns} turns for {TRIPS} trips");
        drop(client);
        server.await.unwrap();
        sleep(Duration::from_millis(2)).await;
        restless.cancel();
    });
}

#[test]
fn io_is_served_beside_more_ready_tasks_than_a_turn_polls() {
    run_on_each(|| async {
        let crowd: Vec<_> = (0..3000)
            .map(|_| {
                spawn(async {
                    loop {
                        yield_now().await;
                    }
                })
            })
            .collect();
        let before = (metrics().turns, metrics().polls);
        sleep(Duration::from_millis(20)).await;
        let m = metrics();
        let (turns, polls) = (m.turns - before.0, m.polls - before.1);
        assert!(turns > 0 && polls / turns <= 1024, "{polls} polls in {turns} turns");
        for task in crowd {
            task.cancel();
        }
    });
}

// Seen to fail when `collect_mail` ran its letters last first.
#[test]
fn what_comes_while_a_task_holds_the_thread_is_served_after_it_once_and_in_order() {
    run_on_each(|| async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut peer = std::net::TcpStream::connect(address).unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        // One that is woken again and again from elsewhere, and counts its polls.
        let polls = Rc::new(Cell::new(0));
        let (counting, waker) = (polls.clone(), Rc::new(RefCell::new(None)));
        let keeping = waker.clone();
        let woken = spawn(poll_fn(move |cx| {
            counting.set(counting.get() + 1);
            *keeping.borrow_mut() = Some(cx.waker().clone());
            if counting.get() < 2 { Poll::Pending } else { Poll::Ready(()) }
        }));
        let fired = Rc::new(RefCell::new(Vec::new()));
        let start = Instant::now();
        let timers: Vec<_> = [3, 1, 2, 4]
            .map(|n| {
                let fired = fired.clone();
                spawn(async move {
                    sleep(Duration::from_millis(n)).await;
                    fired.borrow_mut().push(n);
                })
            })
            .into();
        yield_now().await;
        let letters = Arc::new(Mutex::new(Vec::new()));
        let handle = Handle::current().unwrap();
        let dialled = {
            let (letters, waker) = (letters.clone(), waker.take().unwrap());
            let holds = spawn(async move {
                let elsewhere = std::thread::spawn(move || {
                    let mut dialled = Vec::new();
                    for i in 0..200u8 {
                        waker.wake_by_ref();
                        let letters = letters.clone();
                        handle.call_soon(move || letters.lock().unwrap().push(i)).unwrap();
                        peer.write_all(&[i]).unwrap();
                        if i % 40 == 0 {
                            dialled.push(std::net::TcpStream::connect(address).unwrap());
                        }
                    }
                    dialled
                });
                // In one poll.
                let dialled = elsewhere.join().unwrap();
                while start.elapsed() < Duration::from_millis(6) {
                    std::hint::spin_loop();
                }
                dialled
            });
            holds.await.unwrap()
        };
        for timer in timers {
            timer.await.unwrap();
        }
        assert_eq!(*fired.borrow(), [1, 2, 3, 4]);
        woken.await.unwrap();
        assert_eq!(polls.get(), 2, "many wakes are one poll");
        while letters.lock().unwrap().len() < 200 {
            yield_now().await;
        }
        assert!(letters.lock().unwrap().iter().copied().eq(0..200));
        let mut all = vec![0; 300];
        let mut len = 0;
        while len < 200 {
            len += stream.read(&mut all[len..]).await.unwrap();
        }
        assert!(all[..len].iter().copied().eq(0..200));
        for dial in dialled {
            assert_eq!(listener.accept().await.unwrap().1, dial.local_addr().unwrap());
        }
        yield_now().await;
        assert_eq!((metrics().strays, metrics().tasks_alive), (0, 0));
    });
}
