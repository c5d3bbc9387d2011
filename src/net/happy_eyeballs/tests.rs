use std::cell::{Cell, RefCell};
use std::io::ErrorKind;
use std::pin::pin;
use std::task::{Context, Waker};

use super::*;
use crate::runtime::{Builder, metrics};
use crate::task::yield_now;

const HOUR: Duration = Duration::from_secs(3600);

/// `4` and `6` are the families, the letter is the host.
fn addresses(names: &str) -> Vec<SocketAddr> {
    let address = |name: &str| {
        let host = name.as_bytes()[1];
        match name.as_bytes()[0] {
            b'4' => ([10, 0, 0, host], 1).into(),
            _ => ([0, 0, 0, 0, 0, 0, 0, u16::from(host)], 1).into(),
        }
    };
    names.split_whitespace().map(address).collect()
}

fn found(names: &str, name: bool) -> Found {
    Found { addresses: addresses(names), name: name.then(|| "host:1".into()) }
}

// L-19, check 128. Seen to fail when the second family began.
#[test]
fn the_families_take_turns_after_so_many_of_the_first() {
    let cases = [
        ("", 1, ""),
        ("6a", 1, "6a"),
        ("4a 4b 6x 6y", 1, "4a 6x 4b 6y"),
        ("6x 6y 6z 4a", 1, "6x 4a 6y 6z"),
        ("6x 4a 4b 4c", 1, "6x 4a 4b 4c"),
        ("4a 6x 6y 4b", 1, "4a 6x 4b 6y"),
        ("4a 4b 4c 6x 6y", 2, "4a 4b 6x 4c 6y"),
        ("4a 4b 6x", 9, "4a 4b 6x"),
        ("4a 4b 4c", usize::MAX, "4a 4b 4c"),
    ];
    for (given, first, wanted) in cases {
        assert_eq!(interleave(addresses(given), first), addresses(wanted), "{given}, {first}");
    }
}

// L-19.
#[test]
fn a_name_has_happy_eyeballs_and_a_list_has_none_unless_it_is_said() {
    let plan = |settings: &Settings, by_name| {
        let Plan { addresses: order, delay } = settings.plan(found("4a 4b 6x", by_name));
        (order == addresses("4a 6x 4b"), delay)
    };
    let unsaid = Settings::default();
    assert_eq!(plan(&unsaid, true), (true, Some(DELAY)));
    assert_eq!(plan(&unsaid, false), (false, None));
    let off = Settings { delay: Some(None), interleave: None };
    assert_eq!(plan(&off, true), (false, None));
    let on = Settings { delay: Some(Some(HOUR)), interleave: None };
    assert_eq!(plan(&on, false), (true, Some(HOUR)));
    let in_order = Settings { delay: Some(Some(HOUR)), interleave: Some(0) };
    assert_eq!(plan(&in_order, true), (false, Some(HOUR)));
    let turns = Settings { delay: Some(None), interleave: Some(1) };
    assert_eq!(plan(&turns, false), (true, None));
}

/// What becomes of an attempt.
#[derive(Clone, Copy)]
enum Fate {
    Connects,
    Fails(ErrorKind),
    /// Once everybody may.
    ConnectsLater,
    Hangs,
}
use Fate::*;

/// Attempts with a fate each; what happened to them.
struct World {
    fates: Vec<Fate>,
    started: Cell<usize>,
    /// How many of those that were started have gone again.
    gone: Cell<usize>,
    later: Cell<bool>,
    attempts: RefCell<Attempts>,
}

impl World {
    fn new(fates: &[Fate]) -> Self {
        Self {
            fates: fates.to_vec(),
            started: Cell::new(0),
            gone: Cell::new(0),
            later: Cell::new(false),
            attempts: RefCell::default(),
        }
    }

    /// The number of the winner.
    async fn race(&self, delay: Option<Duration>) -> Option<usize> {
        struct Gone<'a>(&'a Cell<usize>);
        impl Drop for Gone<'_> {
            fn drop(&mut self) {
                self.0.set(self.0.get() + 1);
            }
        }
        let addresses = (0..self.fates.len()).map(|i| ([10, 0, 0, 1], i as u16).into()).collect();
        let mut attempts = Attempts::new();
        let winner = race(Plan { addresses, delay }, &mut attempts, |address| {
            let number = usize::from(address.port());
            assert_eq!(number, self.started.replace(self.started.get() + 1), "out of order");
            let gone = Gone(&self.gone);
            async move {
                let _gone = gone;
                match self.fates[number] {
                    Connects => Ok(number),
                    Fails(kind) => Err(kind.into()),
                    ConnectsLater => {
                        while !self.later.get() {
                            yield_now().await;
                        }
                        Ok(number)
                    }
                    Hangs => std::future::pending().await,
                }
            }
        });
        let winner = winner.await;
        self.attempts.replace(attempts);
        winner
    }
}

fn run(test: impl AsyncFnOnce()) {
    Builder::new().build().unwrap().block_on(test());
}

// L-19, checks 80 and 128. Seen to fail when a failure did not start the next.
#[test]
fn a_failure_starts_the_next_at_once_and_the_first_success_ends_it() {
    run(async || {
        for delay in [None, Some(HOUR)] {
            let world = World::new(&[Fails(ErrorKind::TimedOut), Connects, Connects]);
            assert_eq!(world.race(delay).await, Some(1));
            assert_eq!((world.started.get(), world.gone.get()), (2, 2));
        }
        // One that hangs does not hold up those behind it.
        let fates = [Hangs, Fails(ErrorKind::NotFound), Connects];
        let world = World::new(&fates);
        assert_eq!(world.race(Some(Duration::from_millis(1))).await, Some(2));
        assert_eq!((world.started.get(), world.gone.get()), (3, 3));
        assert_eq!(metrics().timers, 0);
    });
}

// L-19, C-19, check 80. Seen to fail when the last one was polled first.
#[test]
fn two_that_succeed_in_the_same_turn_give_one_winner_and_the_other_goes() {
    run(async || {
        let world = World::new(&[ConnectsLater, ConnectsLater, Hangs]);
        {
            let mut race = pin!(world.race(Some(Duration::ZERO)));
            let mut cx = Context::from_waker(Waker::noop());
            while world.started.get() < 3 {
                assert!(race.as_mut().poll(&mut cx).is_pending());
                yield_now().await;
            }
            world.later.set(true);
            assert_eq!(race.await, Some(0), "the one that was started first");
        }
        assert_eq!((world.gone.get(), metrics().timers), (3, 0));
    });
}

// L-18, check 128.
#[test]
fn when_all_fail_their_errors_stand_in_the_order_of_the_starts() {
    run(async || {
        let kinds = [ErrorKind::NetworkUnreachable, ErrorKind::TimedOut, ErrorKind::NotFound];
        let world = World::new(&kinds.map(Fails));
        assert_eq!(world.race(Some(Duration::ZERO)).await, None);
        let attempts = world.attempts.borrow();
        let told = attempts.iter().map(|(_, error)| error.as_ref().unwrap().kind());
        assert!(told.eq(kinds));
    });
}

// L-19, check 80.
#[test]
fn a_race_that_is_dropped_drops_its_attempts_and_starts_no_more() {
    run(async || {
        let world = World::new(&[Hangs, Hangs, Hangs]);
        {
            let mut race = pin!(world.race(Some(HOUR)));
            let mut cx = Context::from_waker(Waker::noop());
            for _ in 0..3 {
                assert!(race.as_mut().poll(&mut cx).is_pending());
                yield_now().await;
            }
            assert_eq!(metrics().timers, 1);
        }
        assert_eq!((world.started.get(), world.gone.get(), metrics().timers), (1, 1, 0));
    });
}
