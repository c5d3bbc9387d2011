//! The base: connections that stay open and say something once in a while.

use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use super::Load;
use super::talk::{End, Talk, Work};
use crate::numbers::Numbers;
use crate::plan::{Mode, Plan};

/// Connections from one source address. It has 28,000 ports, but the kernel finds a free one slowly when
/// many are taken.
const A_SOURCE: usize = 4000;

/// Connections that are opened before the first of them must have echoed.
const BATCH: usize = 500;

pub(super) struct Idle<'a> {
    talks: Vec<Talk<'a>>,
}

impl<'a> Idle<'a> {
    /// Opens all of them, and has each echo once.
    pub(super) fn open(load: &'a Load<'a>, connections: usize) -> Result<Self, String> {
        let mut talks = Vec::with_capacity(connections);
        while talks.len() < connections {
            let first = talks.len();
            for number in first..connections.min(first + BATCH) {
                let from = Ipv4Addr::new(127, 0, 2, 1 + (number / A_SOURCE) as u8);
                let plan = Plan { mode: Mode::Idle, number: number as u32, amount: 0 };
                let talk = Talk::open_from(load, from, plan);
                talks.push(talk.map_err(|e| format!("idle connection {number}: {e}"))?);
            }
            talks[first..].iter_mut().try_for_each(|talk| ask(talk, 1))?;
            talks[first..].iter_mut().try_for_each(|talk| say(talk, 0))?;
        }
        Ok(Self { talks })
    }

    /// Talks on one after the other until the load is off.
    pub(super) fn chat(&mut self, load: &Load<'_>, mut numbers: Numbers) -> Result<(), String> {
        while !load.stopped() && !self.talks.is_empty() {
            let at = numbers.below(self.talks.len() as u64) as usize;
            say(&mut self.talks[at], numbers.size(12))?;
            thread::park_timeout(Duration::from_millis(1));
        }
        Ok(())
    }

    /// None of them has been forgotten.
    pub(super) fn chat_with_all(&mut self) -> Result<(), String> {
        self.talks.iter_mut().try_for_each(|talk| say(talk, 100))
    }
}

/// Sends, and has all of it echoed.
fn say(talk: &mut Talk<'_>, size: u64) -> Result<(), String> {
    let to = talk.sent + size;
    exchange(talk, Work { send: to, receive: to, ahead: u64::MAX, piece: 65_536 })
}

/// Sends.
fn ask(talk: &mut Talk<'_>, size: u64) -> Result<(), String> {
    let to = talk.sent + size;
    exchange(talk, Work { send: to, receive: 0, ahead: u64::MAX, piece: 65_536 })
}

fn exchange(talk: &mut Talk<'_>, work: Work) -> Result<(), String> {
    match talk.exchange(work) {
        Ok(End::Reached) => Ok(()),
        Ok(end) => Err(format!("an idle connection, {:?}, ended: {end:?}", talk.plan())),
        Err(error) => Err(format!("an idle connection, {:?}: {error}", talk.plan())),
    }
}
