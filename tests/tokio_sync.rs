//! Programs that use `tokio::sync` between threads, each of which runs a ringloop runtime.
//!
//! Their synchronization is written as for tokio, without an adapter: only `tokio::spawn` on the one
//! multi-threaded runtime has become a thread with a runtime of its own, and `ringloop::spawn` within it.

#[path = "backends/support.rs"]
#[expect(dead_code, reason = "made for another binary, which uses all of it")]
mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use ringloop::Builder;
use ringloop::task::yield_now;
use tokio::sync::{Mutex, Notify, RwLock, Semaphore, broadcast, mpsc, oneshot, watch};

use support::{build, on_each_backend};

/// Runs what `program` makes on a thread and a runtime of its own.
fn on_a_thread<F: Future>(
    builder: &Builder,
    program: impl FnOnce() -> F + Send + 'static,
) -> thread::JoinHandle<F::Output>
where
    F::Output: Send + 'static,
{
    let builder = builder.clone();
    thread::spawn(move || build(&builder).block_on(program()))
}

// A pipeline of three stages: lines are read, measured and summed up, and no stage runs away.
#[test]
fn a_pipeline_holds_back_whoever_is_too_fast() {
    const LINES: usize = 2000;
    const PLACES: usize = 4;
    on_each_backend(|builder| {
        let (lines, mut lines_in) = mpsc::channel::<String>(PLACES);
        let (sizes, mut sizes_in) = mpsc::channel::<usize>(PLACES);
        let (sent, summed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));

        let reader = on_a_thread(builder, {
            let (sent, summed) = (sent.clone(), summed.clone());
            move || async move {
                for number in 0..LINES {
                    lines.send("x".repeat(number % 80)).await.unwrap();
                    let ahead = sent.fetch_add(1, SeqCst) + 1 - summed.load(SeqCst);
                    // In both channels, and in the hands of each stage.
                    assert!(ahead <= 2 * PLACES + 3, "{ahead} ahead");
                }
            }
        });
        let measurer = on_a_thread(builder, move || async move {
            while let Some(line) = lines_in.recv().await {
                let permit = sizes.reserve().await.unwrap();
                permit.send(line.len());
            }
        });
        let adder = on_a_thread(builder, move || async move {
            let mut sum = 0;
            while let Some(size) = sizes_in.recv().await {
                sum += size;
                summed.fetch_add(1, SeqCst);
            }
            sum
        });
        reader.join().unwrap();
        measurer.join().unwrap();
        assert_eq!(adder.join().unwrap(), (0..LINES).map(|number| number % 80).sum());
    });
}

/// What may be asked of the store, and where the answer goes.
enum Command {
    Get { key: String, answer: oneshot::Sender<Option<u64>> },
    Add { key: String, by: u64, answer: oneshot::Sender<u64> },
}

// The actor of tokio's tutorial: one task owns a store, the others ask it.
#[test]
fn an_actor_answers_every_request_of_every_thread() {
    const CLIENTS: u64 = 3;
    const REQUESTS: u64 = 300;
    on_each_backend(|builder| {
        let (commands, mut commands_in) = mpsc::channel::<Command>(32);
        let actor = on_a_thread(builder, move || async move {
            let mut store = HashMap::<String, u64>::new();
            let mut unwanted = 0;
            while let Some(command) = commands_in.recv().await {
                match command {
                    Command::Get { key, answer } => {
                        unwanted += u64::from(answer.send(store.get(&key).copied()).is_err());
                    }
                    Command::Add { key, by, answer } => {
                        let sum = store.entry(key).or_default();
                        *sum += by;
                        unwanted += u64::from(answer.send(*sum).is_err());
                    }
                }
            }
            unwanted
        });
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let commands = commands.clone();
                on_a_thread(builder, move || async move {
                    let mut last = 0;
                    for number in 0..REQUESTS {
                        let (answer, answer_in) = oneshot::channel();
                        let key = String::from("shared");
                        commands.send(Command::Add { key, by: 1, answer }).await.ok().unwrap();
                        let sum = answer_in.await.unwrap();
                        assert!(sum > last, "an answer of the past");
                        last = sum;
                        if number % 100 == client {
                            // Asked, and then not waited for.
                            let (answer, answer_in) = oneshot::channel();
                            drop(answer_in);
                            let key = String::from("shared");
                            commands.send(Command::Get { key, answer }).await.ok().unwrap();
                        }
                    }
                })
            })
            .collect();
        for client in clients {
            client.join().unwrap();
        }
        let (answer, answer_in) = oneshot::channel();
        let key = String::from("shared");
        // A program without a runtime takes part as well.
        commands.blocking_send(Command::Get { key, answer }).ok().unwrap();
        assert_eq!(answer_in.blocking_recv().unwrap(), Some(CLIENTS * REQUESTS));
        drop(commands);
        assert_eq!(actor.join().unwrap(), 3 * CLIENTS);
    });
}

#[derive(Clone, PartialEq, Debug)]
struct Settings {
    version: u32,
    is_over: bool,
}

// Settings that change while servers run: each sees the latest, in order, and the last one surely.
#[test]
fn settings_reach_every_thread_and_the_last_ones_surely() {
    const VERSIONS: u32 = 500;
    on_each_backend(|builder| {
        let (settings, settings_in) = watch::channel(Settings { version: 0, is_over: false });
        let servers: Vec<_> = (0..3)
            .map(|_| {
                let mut settings_in = settings_in.clone();
                on_a_thread(builder, move || async move {
                    // Two tasks of one thread look at the same settings.
                    let mut of_the_other = settings_in.clone();
                    let other = ringloop::spawn(async move {
                        of_the_other.wait_for(|settings| settings.is_over).await.unwrap().version
                    });
                    let mut version = 0;
                    loop {
                        settings_in.changed().await.unwrap();
                        let now = settings_in.borrow_and_update().clone();
                        assert!(now.version >= version, "settings of the past");
                        version = now.version;
                        if now.is_over {
                            break;
                        }
                    }
                    (version, other.await.unwrap())
                })
            })
            .collect();
        drop(settings_in);
        let operator = on_a_thread(builder, move || async move {
            for version in 1..=VERSIONS {
                settings.send_modify(|settings| settings.version = version);
                if version % 10 == 0 {
                    yield_now().await;
                }
            }
            settings.send(Settings { version: VERSIONS + 1, is_over: true }).unwrap();
            settings.closed().await;
        });
        for server in servers {
            assert_eq!(server.join().unwrap(), (VERSIONS + 1, VERSIONS + 1));
        }
        operator.join().unwrap();
    });
}

// A chat: who listens hears all; who sleeps is told how much was missed, and hears the rest.
#[test]
fn a_chat_reaches_all_who_listen_and_tells_who_slept_what_was_missed() {
    const ROOM: usize = 16;
    const WORDS: usize = 100;
    on_each_backend(|builder| {
        let (chat, mut sleeper_in) = broadcast::channel::<(usize, usize)>(ROOM);
        let (heard, mut heard_in) = mpsc::unbounded_channel::<()>();
        let listeners: Vec<_> = (0..2)
            .map(|_| {
                let (mut chat_in, heard) = (chat.subscribe(), heard.clone());
                on_a_thread(builder, move || async move {
                    let mut words = Vec::new();
                    while let Ok((speaker, word)) = chat_in.recv().await {
                        assert_eq!(speaker, 0);
                        words.push(word);
                        heard.send(()).unwrap();
                    }
                    words
                })
            })
            .collect();
        let (wake, wake_in) = oneshot::channel();
        let sleeper = on_a_thread(builder, move || async move {
            wake_in.await.unwrap();
            let mut missed = 0;
            let mut words = Vec::new();
            loop {
                match sleeper_in.recv().await {
                    Ok((_, word)) => words.push(word),
                    Err(broadcast::error::RecvError::Lagged(count)) => missed += count,
                    Err(broadcast::error::RecvError::Closed) => return (missed, words),
                }
            }
        });
        let speaker = on_a_thread(builder, move || async move {
            for word in 0..WORDS {
                assert_eq!(chat.send((0, word)).unwrap(), 3);
                // Speaks on when both have heard it.
                heard_in.recv().await.unwrap();
                heard_in.recv().await.unwrap();
            }
            wake.send(()).unwrap();
        });
        speaker.join().unwrap();
        for listener in listeners {
            assert_eq!(listener.join().unwrap(), (0..WORDS).collect::<Vec<_>>());
        }
        let (missed, words) = sleeper.join().unwrap();
        assert_eq!(missed as usize, WORDS - ROOM);
        assert_eq!(words, (WORDS - ROOM..WORDS).collect::<Vec<_>>());
    });
}

// A crawler: many tasks on many threads, of which three at a time may work.
#[test]
fn a_semaphore_limits_the_work_of_all_threads_together() {
    const THREADS: usize = 4;
    const PAGES: usize = 50;
    on_each_backend(|builder| {
        let limit = Arc::new(Semaphore::new(3));
        let (working, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let pages = Arc::new(Mutex::new(Vec::new()));
        let agents = Arc::new(RwLock::new(String::from("first")));
        let all_done = Arc::new(Notify::new());

        let watcher = on_a_thread(builder, {
            let (pages, all_done) = (pages.clone(), all_done.clone());
            move || async move {
                loop {
                    let done = all_done.notified();
                    if pages.lock().await.len() == THREADS * PAGES {
                        return;
                    }
                    done.await;
                }
            }
        });
        let crawlers: Vec<_> = (0..THREADS)
            .map(|crawler| {
                let (limit, pages, agents) = (limit.clone(), pages.clone(), agents.clone());
                let (working, most) = (working.clone(), most.clone());
                let all_done = all_done.clone();
                on_a_thread(builder, move || async move {
                    let tasks: Vec<_> = (0..PAGES)
                        .map(|page| {
                            let (limit, pages, agents) =
                                (limit.clone(), pages.clone(), agents.clone());
                            let (working, most) = (working.clone(), most.clone());
                            let all_done = all_done.clone();
                            ringloop::spawn(async move {
                                let permit = limit.acquire_owned().await.unwrap();
                                most.fetch_max(working.fetch_add(1, SeqCst) + 1, SeqCst);
                                assert!(!agents.read().await.is_empty());
                                yield_now().await;
                                if page == 0 {
                                    *agents.write().await = format!("agent {crawler}");
                                }
                                // Held across an await, as users do.
                                let mut pages = pages.lock().await;
                                yield_now().await;
                                pages.push((crawler, page));
                                drop(pages);
                                working.fetch_sub(1, SeqCst);
                                drop(permit);
                                all_done.notify_one();
                            })
                        })
                        .collect();
                    // Some give up; their places and locks go on to the others.
                    let gives_up = ringloop::spawn({
                        let limit = limit.clone();
                        async move { limit.acquire_owned().await.map(drop).unwrap() }
                    });
                    yield_now().await;
                    gives_up.cancel();
                    for task in tasks {
                        task.await.unwrap();
                    }
                })
            })
            .collect();
        for crawler in crawlers {
            crawler.join().unwrap();
        }
        watcher.join().unwrap();
        assert!((1..=3).contains(&most.load(SeqCst)), "{most:?} at a time");
        assert_eq!(limit.available_permits(), 3);
        let mut pages = pages.blocking_lock().clone();
        pages.sort_unstable();
        let expected: Vec<_> =
            (0..THREADS).flat_map(|crawler| (0..PAGES).map(move |page| (crawler, page))).collect();
        assert_eq!(pages, expected);
    });
}
