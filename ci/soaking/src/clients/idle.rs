//! The base: connections that stay open and say something once in a while.

use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use super::Load;
use super::talk::{End, Talk, Work};
use crate::numbers::Numbers;
use crate::plan::{Mode, Plan};

/// Connections from one source address: it has 28,000 ports.
const A_SOURCE: usize = 20_000;

pub(super) struct Idle<'a> {
    talks: Vec<Talk<'a>>,
}

impl<'a> Idle<'a> {
    /// Opens all of them, and has each echo once.
    pub(super) fn open(load: &'a Load<'a>, connections: usize) -> Result<Self, String> {
        let mut talks = Vec::with_capacity(connections);
        for number in 0..connections {
            let from = Ipv4Addr::new(127, 0, 2, 1 + (number / A_SOURCE) as u8);
            let plan = Plan { mode: Mode::Idle, number: number as u32, amount: 0 };
            let mut talk = Talk::open_from(load, from, plan)
                .map_err(|e| format!("idle connection {number} does not open: {e}"))?;
            say(&mut talk, 1)?;
            talks.push(talk);
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

fn say(talk: &mut Talk<'_>, size: u64) -> Result<(), String> {
    let to = talk.sent + size;
    match talk.exchange(Work { send: to, receive: to, ahead: u64::MAX, piece: 65_536 }) {
        Ok(End::Reached) => Ok(()),
        Ok(end) => Err(format!("an idle connection, {:?}, ended: {end:?}", talk.plan())),
        Err(error) => Err(format!("an idle connection, {:?}: {error}", talk.plan())),
    }
}
