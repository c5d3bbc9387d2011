//! Completions that lie: no kernel should tell them, and none of them may do harm.
//!
//! The driver is a script here (`src/driver/script.rs`), so these tests are the same on every backend.
//! `ci/fuzz` looks for worse ones.

pub(crate) mod world;

use proptest::prelude::*;
use ringloop::net::{TcpListener, TcpStream, UnixStream};
use ringloop::task::yield_now;
use ringloop::testing::{Step, script};
use ringloop::{Builder, metrics};
use world::live;

use crate::support::Watchdog;

/// Entries' flags: further ones follow; more stands in the socket; the bytes are in buffer `id`.
const MORE: u32 = 2;
const NONEMPTY: u32 = 4;
const fn buffer(id: u32) -> u32 {
    1 | id << 16
}

/// Everything in the world gets going: connected, armed, something sent.
fn begun() -> Vec<Step> {
    let mut steps = Vec::new();
    for _ in 0..6 {
        steps.extend((0..8).map(|nth| Step::Honest { nth }));
        steps.push(Step::Turn);
    }
    steps
}

/// Lives with `lie` told of each request in flight, after a good beginning.
fn told(lie: impl Fn(u8) -> Vec<Step>) -> u64 {
    let mut steps = begun();
    for nth in 0..20 {
        steps.extend(lie(nth));
        steps.push(Step::Turn);
    }
    steps.extend(begun());
    live(steps).strays
}

// Seen to fail when `InFlight::settle` does not compare the serial.
#[test]
fn a_stray_a_late_or_a_repeated_completion_reaches_nobody() {
    let strays = told(|nth| {
        vec![
            Step::Stray { token: u64::from(nth), result: 5, flags: 0 },
            Step::Stray { token: 1 << 40 | u64::from(nth), result: 5, flags: MORE },
            Step::Stray { token: u64::MAX - u64::from(nth), result: -1, flags: buffer(1) },
        ]
    });
    assert_eq!(strays, 60, "each is counted");
    let strays = told(|nth| {
        vec![Step::Complete { nth, result: -libc::ECANCELED, flags: 0 }, Step::Repeat, Step::Repeat]
    });
    assert!(strays > 20, "{strays} of at least 20 repeated completions were counted");
}

// Seen to fail when `Pool::lease` does not ask whether the buffer was taken, or how long it is.
#[test]
fn a_buffer_that_nobody_gave_or_that_is_shorter_is_not_read() {
    for id in [0, 1, 3, 4, 5, 100, 0xffff] {
        for result in [1, 4096, 4097, i32::MAX] {
            for flags in [buffer(id), buffer(id) | MORE] {
                told(|nth| vec![Step::Complete { nth, result, flags }]);
                told(|nth| vec![Step::Take, Step::Complete { nth, result, flags }, Step::Repeat]);
            }
        }
    }
}

#[test]
fn a_length_beyond_all_bounds_is_cut_off() {
    for result in [1, 101, 4097, 65_537, i32::MAX - 1, i32::MAX] {
        told(|nth| vec![Step::Complete { nth, result, flags: 0 }]);
    }
}

// Seen to fail when a send that has more to come counts as ended.
#[test]
fn an_errno_that_does_not_exist_is_an_error_like_others() {
    for result in [-1, -4095, -4096, -100_000, i32::MIN, i32::MIN + 1] {
        for flags in [0, MORE, buffer(0), buffer(2) | MORE] {
            told(|nth| vec![Step::Complete { nth, result, flags }]);
        }
    }
}

// Seen to fail when `SockAddr::to_inet` looks at the family alone.
#[test]
fn an_address_that_is_none_is_an_error() {
    for family in [0u16, 1, 2, 10, 17, 0xffff] {
        for len in [0, 1, 2, 3, 15, 16, 27, 28, 128, 129, u32::MAX] {
            let mut bytes = family.to_ne_bytes().to_vec();
            bytes.resize(30, 0xee);
            script(vec![Step::Address(bytes.clone(), len), Step::Turn]);
            let said = Builder::new().build().unwrap().block_on(async {
                let listener = TcpListener::bind("127.0.0.1:7").await.unwrap();
                yield_now().await;
                yield_now().await;
                let (unix, _peer) = UnixStream::pair().unwrap();
                (listener.local_addr(), unix.local_addr())
            });
            let (said, of_unix) = said;
            // Too short for a family is the kernel's word for no name.
            assert_eq!(of_unix.is_ok(), family == 1 || len < 2, "{family}, {len}: {of_unix:?}");
            // Those of libc: sockaddr_in has 16 bytes, sockaddr_in6 has 28.
            let whole = family == 2 && len >= 16 || family == 10 && len >= 28;
            assert_eq!(said.is_ok(), whole, "family {family}, {len} bytes: {said:?}");
            told(|nth| vec![Step::Address(bytes.clone(), len), Step::Honest { nth }]);
        }
    }
}

// Seen to fail before such a completion ended the stream.
#[test]
fn a_stream_with_bytes_that_nobody_can_find_ends_with_an_error() {
    for flags in [0, MORE, buffer(3), buffer(77) | MORE] {
        let honest = Step::Honest { nth: 0 };
        let hole = Step::Complete { nth: 0, result: 5000, flags };
        script(vec![honest.clone(), Step::Turn, hole, honest, Step::Turn]);
        Builder::new().buffers(8, 4096).build().unwrap().block_on(async {
            let mut stream = TcpStream::connect("127.0.0.1:7").await.unwrap();
            for _ in 0..2 {
                let error = stream.read(&mut [0; 100]).await.unwrap_err();
                assert_eq!(error.raw_os_error(), Some(libc::EIO), "{error}");
            }
            assert!(stream.write_all(b"x").await.is_err());
        });
    }
}

// Seen to fail when `settle_watch` took every end of a watch for readiness: it asked again for ever.
#[test]
fn a_watch_that_fails_ends_its_stream_and_one_that_is_given_up_does_not() {
    let _watchdog = Watchdog::start("a watch that fails".to_owned());
    let given_up = [libc::EINTR, libc::ECANCELED, libc::EAGAIN];
    let mut steps = vec![Step::Honest { nth: 0 }, Step::Turn];
    for id in 0..4 {
        let more = if id < 3 { MORE } else { 0 };
        steps.push(Step::Take);
        let flags = buffer(id) | NONEMPTY | more;
        steps.push(Step::Complete { nth: 0, result: 4096, flags });
    }
    steps.push(Step::Turn);
    for errno in given_up.into_iter().chain([libc::ENOMEM]) {
        steps.extend([Step::Complete { nth: 0, result: -errno, flags: 0 }, Step::Turn]);
    }
    script(steps);
    Builder::new().buffers(8, 4096).build().unwrap().block_on(async {
        let mut stream = TcpStream::connect("127.0.0.1:7").await.unwrap();
        for _ in 0..4 {
            assert_eq!(stream.read(&mut [0; 4096]).await.unwrap(), 4096);
        }
        let before = metrics().direct_calls;
        for _ in 0..2 {
            let error = stream.read(&mut [0; 4096]).await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ENOMEM), "{error}");
        }
        assert_eq!(metrics().direct_calls - before, 4, "one for each watch");
        assert!(stream.write_all(b"x").await.is_err());
    });
}

// Seen to fail when `Submit` hands every completion to its operation.
#[test]
fn what_the_kernel_gives_up_unasked_is_asked_for_again_but_not_for_ever() {
    let given_up = |result| vec![Step::Complete { nth: 0, result, flags: 0 }, Step::Turn];
    let opened = |times, result| {
        let mut steps: Vec<Step> = (0..times).flat_map(|_| given_up(result)).collect();
        steps.push(Step::Honest { nth: 0 });
        script(steps);
        let mut runtime = Builder::new().build().unwrap();
        runtime.block_on(ringloop::fs::File::open("/nobody/makes/this")).map(drop)
    };
    for result in [-libc::EINTR, -libc::ECANCELED] {
        opened(50, result).unwrap();
        assert_eq!(opened(1000, result).unwrap_err().raw_os_error(), Some(-result));
    }
}

// Seen to fail when `ReadOp::complete` takes the kernel's word for how much it read, and when
// `Outbox::advance` does for how much went.
proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_stream_of_completions_does_harm(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut steps = if bytes.len() % 2 == 0 { begun() } else { Vec::new() };
        steps.extend(Step::decode(&bytes));
        live(steps);
    }
}
