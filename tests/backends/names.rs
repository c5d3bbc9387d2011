//! Names, and connecting to one of several addresses: what the kernel and the resolver hand out is given
//! back, whoever wins and whenever it is cut off.

use std::io::{ErrorKind, Read};
use std::net::SocketAddr;
use std::time::Duration;

use ringloop::net::{
    ConnectError, NameLookup, TcpConnector, TcpListener, TcpStream, lookup_addr, lookup_host,
};
use ringloop::task::yield_now;
use ringloop::{metrics, spawn};

use crate::support::{build, on_each_backend, run_on_each};
use crate::tcp::connect::{DESERTED, full};
use crate::tcp::{LOCAL, descriptors, poll_once, until};

const HOUR: Duration = Duration::from_secs(3600);

fn alone(name: &str, body: impl FnOnce()) {
    crate::support::alone(&format!("names::{name}"), body);
}

fn somebody() -> (std::net::TcpListener, SocketAddr) {
    let listener = std::net::TcpListener::bind(LOCAL).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Everybody who dialled has hung up, except for one if `winner` says where.
async fn hung_up(listener: &std::net::TcpListener, winner: Option<SocketAddr>) {
    listener.set_nonblocking(true).unwrap();
    while let Ok((mut peer, address)) = listener.accept() {
        if Some(address) != winner {
            peer.set_nonblocking(true).unwrap();
            until(|| match peer.read(&mut [0]) {
                Err(e) => e.kind() != ErrorKind::WouldBlock,
                Ok(n) => n == 0,
            })
            .await;
        }
    }
}

/// How many threads the process has for look-ups.
fn look_up_threads() -> usize {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let names = threads
        .filter_map(|thread| std::fs::read_to_string(thread.unwrap().path().join("comm")).ok());
    names.filter(|name| name.starts_with("ringloop-name")).count()
}

// Seen to fail when text was always looked up.
#[test]
fn an_address_wakes_no_resolver_and_a_name_does() {
    alone("an_address_wakes_no_resolver_and_a_name_does", || {
        run_on_each(|| async {
            // Those of the runtime before are about to end.
            until(|| look_up_threads() == 0).await;
            for text in ["127.0.0.1:80", "[::1]:80", "[fe80::1%7]:80"] {
                let mut found = lookup_host(text).await.unwrap();
                assert_eq!(found.next(), Some(text.parse().unwrap()));
                assert_eq!(found.next(), None);
            }
            let found = lookup_host(("::1", 80)).await.unwrap();
            assert!(found.eq(["[::1]:80".parse().unwrap()]));
            let found = lookup_host(("127.0.0.1", "80")).await.unwrap();
            assert!(found.eq(["127.0.0.1:80".parse().unwrap()]));
            let (_listener, address) = somebody();
            TcpStream::connect(address.to_string()).await.unwrap();
            assert_eq!(look_up_threads(), 0);
            let found: Vec<_> = lookup_host("localhost:80").await.unwrap().collect();
            assert!(!found.is_empty() && found.iter().all(|found| found.ip().is_loopback()));
            assert_eq!(look_up_threads(), 1);
        });
    });
}

#[test]
fn a_look_up_that_fails_says_whose_and_why() {
    run_on_each(|| async {
        let error = lookup_host(("127.0.0.1", "no-such-service")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let text = error.to_string();
        assert!(text.starts_with("cannot look up '127.0.0.1' (port no-such-service): "), "{text}");
        let error = lookup_host("nul\0:80").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let error = lookup_host("a..b:80").await.unwrap_err();
        assert!(error.to_string().starts_with("cannot look up 'a..b' (port 80): "), "{error}");
        for text in ["", ":80", "::1", "fe80::1%lo:80", "[::1]", "[fe80::1%]:80", "[x%lo]:80"] {
            let error = lookup_host(text).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "'{text}': {error}");
        }
        for (host, service) in [("", "http"), ("localhost", ""), ("a:b", "http"), ("", "80")] {
            let error = lookup_host((host, service)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "'{host}', '{service}': {error}");
        }

        let address: SocketAddr = "127.9.8.7:6".parse().unwrap();
        let mut lookup = NameLookup::new();
        lookup.numeric_host(true).name_required(true);
        let error = lookup.look_up(address).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().starts_with("cannot look up a name of 127.9.8.7:6: "), "{error}");
        let names = lookup.name_required(false).numeric_service(true).look_up(address).await;
        assert_eq!(names.unwrap(), ("127.9.8.7".into(), "6".into()));
    });
}

#[test]
fn a_zone_is_looked_up_and_becomes_a_number() {
    run_on_each(|| async {
        // The loopback interface is number 1 in each network namespace.
        for found in [
            lookup_host("[fe80::1%lo]:80").await.unwrap(),
            lookup_host(("fe80::1%lo", 80)).await.unwrap(),
            lookup_host(("fe80::1%lo", "80")).await.unwrap(),
        ] {
            assert!(found.eq(["[fe80::1%1]:80".parse().unwrap()]));
        }
        let error = lookup_host("[fe80::1%nowhere]:80").await.unwrap_err();
        assert!(error.to_string().contains("'fe80::1%nowhere'"), "{error}");
        let numeric = NameLookup::new().numeric_host(true).numeric_service(true).clone();
        let names = numeric.look_up("[fe80::1%1]:80".parse().unwrap()).await.unwrap();
        assert_eq!(names, ("fe80::1%lo".into(), "80".into()));
    });
}

#[test]
fn a_look_up_outside_a_runtime_or_after_its_end_is_an_error() {
    on_each_backend(|builder| {
        let runtime = build(builder);
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let address = "127.0.0.1:1".parse().unwrap();
        for _ in 0..2 {
            let mut names = Box::pin(lookup_addr(address));
            let mut addresses = Box::pin(lookup_host("localhost:1"));
            let std::task::Poll::Ready(Err(error)) = names.as_mut().poll(&mut cx) else { panic!() };
            assert_eq!(error.kind(), ErrorKind::NotConnected);
            let std::task::Poll::Ready(Err(error)) = addresses.as_mut().poll(&mut cx) else {
                panic!()
            };
            assert_eq!(error.kind(), ErrorKind::NotConnected);
        }
        drop(runtime);
    });
}

// Seen to hang when the losers were forgotten.
#[test]
fn the_one_that_does_not_answer_is_passed_over_and_closed() {
    alone("the_one_that_does_not_answer_is_passed_over_and_closed", || {
        run_on_each(|| async {
            const DELAY: Duration = Duration::from_millis(5);
            let (silent, _queued) = full().await;
            let (_listener, good) = somebody();
            let before = descriptors();
            let started = ringloop::time::now();
            let addresses = [silent.local_addr().unwrap(), good];
            let mut connector = TcpConnector::new();
            connector.happy_eyeballs_delay(DELAY);
            let stream = connector.connect(&addresses[..]).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), good);
            assert!(ringloop::time::now() - started >= DELAY, "early");
            until(|| metrics().in_flight == 0).await;
            assert_eq!((descriptors(), metrics().timers), (before + 1, 0));

            // Without a delay the first one is waited for.
            connector.happy_eyeballs_delay(None).timeout(Duration::from_millis(20));
            let stream = connector.connect(&addresses[..]).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), good);
            // One that refuses is passed over without waiting.
            let addresses = [DESERTED, good];
            connector.happy_eyeballs_delay(HOUR);
            assert_eq!(connector.connect(&addresses[..]).await.unwrap().peer_addr().unwrap(), good);
            drop(stream);
            until(|| metrics().in_flight == 0).await;
            assert_eq!((descriptors(), metrics().timers), (before + 1, 0));
        });
    });
}

// Seen to hang when the losers were forgotten.
#[test]
fn of_those_that_connect_in_the_same_turn_one_is_kept_and_the_others_are_closed() {
    alone("of_those_that_connect_in_the_same_turn_one_is_kept_and_the_others_are_closed", || {
        run_on_each(|| async {
            let somebodies = [somebody(), somebody(), somebody(), somebody()];
            let addresses = somebodies.each_ref().map(|(_, address)| *address);
            let before = descriptors();
            for race in 0..50 {
                let mut connector = TcpConnector::new();
                connector.happy_eyeballs_delay(Duration::ZERO);
                let mut connect = Box::pin(connector.connect(&addresses[..]));
                // All are started before the first is looked at again, now and then.
                for _ in 0..race % 5 {
                    if let std::task::Poll::Ready(stream) = poll_once(&mut connect).await {
                        drop(stream);
                        connect = Box::pin(connector.connect(&addresses[..]));
                    }
                }
                let stream = connect.await.unwrap();
                for (listener, _) in &somebodies {
                    hung_up(listener, Some(stream.local_addr().unwrap())).await;
                }
                drop(stream);
            }
            until(|| metrics().in_flight == 0 && descriptors() == before).await;
            assert_eq!((metrics().timers, metrics().strays), (0, 0));
        });
    });
}

#[test]
fn whichever_moment_it_is_dropped_at_nothing_of_the_race_is_left() {
    alone("whichever_moment_it_is_dropped_at_nothing_of_the_race_is_left", || {
        run_on_each(|| async {
            let (silent, _queued) = full().await;
            let silent = silent.local_addr().unwrap();
            let (listener, good) = somebody();
            let before = descriptors();
            let addresses = [silent, DESERTED, silent, good];
            for polls in 0..12 {
                let mut connector = TcpConnector::new();
                connector.happy_eyeballs_delay(Duration::ZERO).total_timeout(HOUR).timeout(HOUR);
                let mut connect = Box::pin(connector.connect(&addresses[..]));
                for _ in 0..polls {
                    if poll_once(&mut connect).await.is_ready() {
                        break;
                    }
                    yield_now().await;
                }
                drop(connect);
                until(|| metrics().in_flight == 0).await;
                hung_up(&listener, None).await;
                assert_eq!((descriptors(), metrics().timers), (before, 0), "after {polls} polls");
            }
            // As a task that is cancelled in the middle of it.
            let task = spawn(async move {
                let mut connector = TcpConnector::new();
                connector.happy_eyeballs_delay(Duration::ZERO);
                connector.connect(&[silent, silent][..]).await
            });
            until(|| metrics().in_flight >= 2).await;
            task.cancel();
            assert!(task.await.unwrap_err().is_cancelled());
            until(|| metrics().in_flight == 0).await;
            assert_eq!((descriptors(), metrics().strays), (before, 0));
        });
    });
}

// Seen to fail when the limit was one of each address.
#[test]
fn when_the_time_of_all_is_up_it_says_what_was_tried() {
    alone("when_the_time_of_all_is_up_it_says_what_was_tried", || {
        run_on_each(|| async {
            let (silent, _queued) = full().await;
            let silent = silent.local_addr().unwrap();
            let before = descriptors();
            let mut connector = TcpConnector::new();
            connector.total_timeout(Duration::from_millis(30)).timeout(HOUR);
            for delay in [Some(Duration::ZERO), None] {
                connector.happy_eyeballs_delay(delay);
                let error = connector.connect(&[DESERTED, silent, silent][..]).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::TimedOut);
                let text = error.to_string();
                let begins = format!("no connection within 30ms: {DESERTED}: Connection refused");
                assert!(text.starts_with(&begins), "{text}");
                assert!(text.ends_with(&format!("; {silent}: no answer")), "{text}");
                let inner = error.get_ref().unwrap().downcast_ref::<ConnectError>().unwrap();
                assert_eq!(inner.attempts().len(), if delay.is_some() { 3 } else { 2 });
                until(|| metrics().in_flight == 0).await;
                assert_eq!((descriptors(), metrics().timers), (before, 0));
            }
        });
    });
}

#[test]
fn each_address_is_listened_on_or_none_is() {
    alone("each_address_is_listened_on_or_none_is", || {
        run_on_each(|| async {
            let before = descriptors();
            let (taken, taken_address) = somebody();
            let any: SocketAddr = LOCAL.parse().unwrap();
            let error = TcpListener::bind_each(&[any, taken_address][..]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AddrInUse);
            let text = error.to_string();
            assert!(text.starts_with(&format!("cannot listen on {taken_address}: ")), "{text}");
            drop(taken);
            until(|| descriptors() == before).await;
        });
    });
}
