//! Plays steps on one driver and writes down what comes of each.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use super::requests::{Op, Side, kind, length, request, side};
use super::steps::{BIG, How, Show, Step, Thing};
use super::world::{World, digest, info, said};
use crate::buf::Message;
use crate::driver::contract::{Rig, STUCK};
use crate::driver::{Driver, Until};
use crate::op::{Call, Completion, Request};
use crate::sys::file;
use crate::sys::message::{HEAD, Head};

/// Whether this is a Linux before 6.0, whatever a mask says. Rule 16.
static BEFORE_6: LazyLock<bool> = LazyLock::new(|| {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    release.split('.').next().unwrap().parse::<u32>().unwrap() < 6
});

/// How long a driver may take to do what the oracle has done at once.
const PATIENCE: Duration = Duration::from_millis(500);

/// How many turns may bring nothing before what was on its way counts as come.
const LOOKS: u32 = 100;

/// A driver is quiet when nothing has come for this long.
const QUIET: Duration = Duration::from_millis(1);

/// What has come of a request in this step.
#[derive(Default)]
struct News {
    pieces: Vec<Vec<u8>>,
    /// Set where it matters how they were split.
    whole: bool,
    descriptors: Vec<String>,
    end: Option<String>,
}

struct Player<'a> {
    rig: &'a mut Rig,
    world: World,
    /// By the number of their step.
    ops: BTreeMap<usize, Op>,
    news: BTreeMap<usize, News>,
    /// Descriptors that requests have made.
    made: Vec<OwnedFd>,
    totals: bool,
}

/// Plays `steps` and returns a line for each, and the state at the end. With `expected`, it waits for
/// the same to happen, and stops where something else does.
pub(super) fn play(
    rig: &mut Rig,
    steps: &[Step],
    totals: bool,
    expected: Option<&[String]>,
) -> Vec<String> {
    let world = World::new(rig);
    let (ops, news) = (BTreeMap::new(), BTreeMap::new());
    let mut player = Player { rig, world, ops, news, made: Vec::new(), totals };
    let mut lines = Vec::new();
    for number in 0..=steps.len() {
        let said = match steps.get(number) {
            Some(&step) => {
                let said = player.step(number, step);
                format!("#{number} {step:?} {said}")
            }
            None => {
                player.cancel(|_| true);
                "cancel all".into()
            }
        };
        let line = player.settle(&said, expected.map(|lines| lines[number].as_str()));
        player.news.clear();
        lines.push(line);
        if expected.is_some_and(|expected| lines[number] != expected[number]) {
            // What is in flight keeps its memory for ever.
            std::mem::forget(std::mem::take(&mut player.ops));
            return lines;
        }
    }
    if let Some(op) = player.ops.values().next() {
        lines.push(format!("still in flight: {:?}", op.request));
        std::mem::forget(player.ops);
        return lines;
    }
    player.made.clear();
    lines.extend(player.world.state(player.rig));
    lines
}

impl Player<'_> {
    /// Does a step. Returns what is to be said of it at once.
    fn step(&mut self, number: usize, step: Step) -> String {
        let gathers =
            |thing| self.on(thing).any(|(_, op)| matches!(op.request, Request::SendMsg { .. }));
        // Rule 11.
        if let Step::PeerShuts(thing, _) | Step::Shutdown(thing, _) = step
            && gathers(thing)
        {
            return "not while it gathers".into();
        }
        let sends = |thing| self.on(thing).any(|(_, op)| side(&op.request) == Some(Side::Write));
        // Rule 13.
        if let Step::PeerShuts(thing, How::Read) | Step::Shutdown(thing, How::Write) = step
            && thing != Thing::Tcp
            && sends(thing)
        {
            return "not while it sends".into();
        }
        let world = &mut self.world;
        match step {
            Step::PeerSends(thing, len) => world.end(thing).peer_sends(len),
            Step::PeerShuts(thing, how) => world.end(thing).peer_shuts(how),
            // Its port may be somebody else's by now.
            Step::PeerConnects if world.end(Thing::Listener).ours < 0 => "nobody listens".into(),
            Step::PeerConnects => world.connect(),
            Step::PeerReads(thing) => self.peer_reads(thing),
            Step::PeerCloses(thing) | Step::PeerResets(thing) => {
                // Rule 4: one of the two would hear of it.
                if self.on(thing).count() > 1 {
                    return "not with two in flight".into();
                }
                self.world.end(thing).peer_closes(matches!(step, Step::PeerResets(_)))
            }
            Step::Shutdown(thing, _) if world.end(thing).broken => "it is broken".into(),
            // Rule 10.
            Step::Shutdown(thing, How::Read | How::Both) if thing.has_pieces() => "never".into(),
            Step::Shutdown(thing, how) => {
                world.end(thing).half |= !matches!(how, How::Write);
                let fd = world.end(thing).ours;
                said(self.rig.driver.call(Call::Shutdown { fd, how: how as i32 }))
            }
            Step::Cancel(which) => {
                let count = self.ops.len().max(1);
                let Some(&number) = self.ops.keys().nth(usize::from(which) % count) else {
                    return "nothing".into();
                };
                self.cancel(|op| op == number);
                format!("#{number}")
            }
            Step::Close(thing) => {
                let on: Vec<usize> = self.on(thing).map(|(&number, _)| number).collect();
                self.cancel(|op| on.contains(&op));
                let stuck = Instant::now() + *STUCK;
                while self.on(thing).next().is_some() && Instant::now() < stuck {
                    self.turn();
                }
                let fd = std::mem::replace(&mut self.world.end(thing).ours, -1);
                self.submit(number, Some(thing), Request::Close { fd }, Vec::new())
            }
            request => self.request(number, request),
        }
    }

    /// Submits a step's request.
    fn request(&mut self, number: usize, step: Step) -> String {
        // Rule 16.
        if matches!(step, Step::Poll(_, Show::Pri)) && *BEFORE_6 {
            return "never here".into();
        }
        let (thing, request, buf) = match request(&mut self.world, step, self.totals) {
            Ok(request) => request,
            Err(why) => return why.into(),
        };
        let len =
            if let Step::SendMsg(_, len) = step { len } else { length(&request, &buf) as u32 };
        // Rule 2: there may be room by now, and how much depends on the moment.
        if let (Some(thing), Some(Side::Write)) = (thing, side(&request))
            && self.world.end(thing).is_choked()
        {
            return "without room".into();
        }
        // Rule 12.
        if let (Some(thing), Some(side)) = (thing, side(&request))
            && let Some(waited) = self.world.end(thing).waited[side as usize]
            && (waited != kind(&request) || len == 0)
        {
            return "behind another that waited".into();
        }
        if self.is_busy(thing, &request) {
            return "while it is busy".into();
        }
        match (step, request, thing) {
            (Step::SendMsg(_, len), Request::SendMsg { .. }, Some(thing)) => {
                self.send_message(number, thing, len)
            }
            _ => self.submit(number, thing, request, buf),
        }
    }

    fn send_message(&mut self, number: usize, thing: Thing, len: u32) -> String {
        let end = self.world.end(thing);
        let mut message = Box::<Message>::default();
        let bytes = end.next(len);
        let header = message.gather(bytes.chunks(bytes.len().div_ceil(3).max(1)));
        let request = Request::SendMsg { fd: end.ours, message: header };
        let said = self.submit(number, Some(thing), request, vec![0; len as usize]);
        if let Some(op) = self.ops.get_mut(&number) {
            op._message = Some(message);
        }
        said
    }

    fn submit(
        &mut self,
        number: usize,
        thing: Option<Thing>,
        request: Request,
        buf: Vec<u8>,
    ) -> String {
        if let (Some(thing), true) = (thing, side(&request) == Some(Side::Write)) {
            let end = self.world.end(thing);
            end.unread += 1;
            end.big |= length(&request, &buf) == BIG as usize;
        }
        let token = self.rig.submit(request);
        self.ops
            .insert(number, Op { token, thing, request, cancelled: false, buf, _message: None });
        String::new()
    }

    /// What is in flight on a descriptor.
    fn on(&self, thing: Thing) -> impl Iterator<Item = (&usize, &Op)> {
        self.ops.iter().filter(move |(_, op)| op.thing == Some(thing))
    }

    /// Promise 5 of the contract, and rule 4: a poll and another would hear of the same bytes.
    fn is_busy(&self, thing: Option<Thing>, request: &Request) -> bool {
        let Some(thing) = thing else { return false };
        if self.world.ends[thing as usize].broken {
            return true;
        }
        let poll = |request: &Request| matches!(request, Request::Poll { .. });
        self.on(thing).any(|(_, op)| match (poll(request), poll(&op.request)) {
            (true, true) => false,
            (false, false) => side(request).is_some() && side(request) == side(&op.request),
            _ => true,
        })
    }

    fn cancel(&mut self, which: impl Fn(usize) -> bool) {
        for (&number, op) in &mut self.ops {
            if which(number) {
                op.cancelled = true;
                if let (Some(thing), Some(side)) = (op.thing, side(&op.request)) {
                    self.world.end(thing).waited[side as usize] = Some(kind(&op.request));
                }
                self.rig.driver.cancel(op.token);
            }
        }
    }

    /// The peer reads all that we have said is sent, and what a send in flight still sends.
    fn peer_reads(&mut self, thing: Thing) -> String {
        let mut before = self.world.end(thing).counted();
        let mut pieces = String::new();
        let stuck = Instant::now() + *STUCK;
        // Nobody says how much is on its way. Rule 15.
        let mut looks = if self.world.end(thing).forgot { LOOKS } else { 0 };
        while Instant::now() < stuck {
            let sends = self.on(thing).any(|(_, op)| side(&op.request) == Some(Side::Write));
            let end = self.world.end(thing);
            let behind = end.sent > end.read && !thing.has_pieces() && end.ours >= 0;
            match end.read_some() {
                None if sends || behind => self.turn(),
                None if looks > 0 => {
                    looks -= 1;
                    self.turn();
                }
                None => break,
                Some(Ok(n)) if thing.has_pieces() => pieces += &format!("[{n}]"),
                Some(Ok(1..)) => looks = if looks > 0 { LOOKS } else { 0 },
                Some(result) => {
                    pieces += &format!(" then {}", said(result));
                    break;
                }
            }
        }
        let end = self.world.end(thing);
        end.unread = 0;
        before -= end.remember() as isize;
        let lost = end.big && end.read != end.sent;
        if lost { pieces } else { format!("{} bytes{pieces}", end.counted() - before) }
    }

    /// Waits until the driver has done all it can, or what it should.
    fn settle(&mut self, said: &str, expected: Option<&str>) -> String {
        let start = Instant::now();
        loop {
            self.turn();
            // A sync takes as long as the disk does.
            let all_in = !self.ops.values().any(Op::ends_by_itself);
            let done = match expected {
                Some(expected) => {
                    self.line(said) == expected || all_in && start.elapsed() > PATIENCE
                }
                None => all_in,
            };
            if done || start.elapsed() > *STUCK {
                break;
            }
        }
        // And nothing else comes.
        loop {
            let before = self.line(said);
            let until = Instant::now() + if expected.is_some() { QUIET } else { 2 * QUIET };
            while Instant::now() < until {
                self.rig.turn(Until::Instant(until));
                self.hear();
            }
            if self.line(said) == before {
                return before;
            }
        }
    }

    fn turn(&mut self) {
        self.rig.turn(Until::Instant(Instant::now() + QUIET));
        self.hear();
    }

    /// Takes in what has come.
    fn hear(&mut self) {
        while let Some(completion) = self.rig.came.pop_front() {
            let number = *self
                .ops
                .iter()
                .find(|(_, op)| op.token == completion.token)
                .expect("a request of ours")
                .0;
            self.take(number, completion);
        }
    }

    fn take(&mut self, number: usize, completion: Completion) {
        let op = &self.ops[&number];
        let news = self.news.entry(number).or_default();
        news.whole = op.thing.is_some_and(Thing::has_pieces);
        let result = completion.result;
        let makes = matches!(op.request, Request::Accept { .. } | Request::Open { .. });
        if completion.flags.buffer().is_some() {
            let lease = match op.request {
                Request::RecvMsg { .. } => {
                    let mut message = self.rig.message(completion);
                    assert!(!Head::of(&message).expect("a whole head").is_truncated());
                    message.advance(HEAD);
                    message
                }
                _ => self.rig.lease(completion),
            };
            news.pieces.push(lease.to_vec());
            if op.thing == Some(Thing::Tcp) {
                self.world.end(Thing::Tcp).waited[Side::Read as usize] = Some(kind(&op.request));
            }
        } else if makes && result >= 0 {
            news.descriptors.push(info(result, "flags:"));
            self.made.push(file::own(result));
        } else if !op.buf.is_empty() && side(&op.request) == Some(Side::Read) && result > 0 {
            news.pieces.push(op.buf[..result as usize].to_vec());
            if op.thing == Some(Thing::Tcp) {
                self.world.end(Thing::Tcp).waited[Side::Read as usize] = Some(kind(&op.request));
            }
        }
        if completion.flags.more() {
            return;
        }
        let op = self.ops.remove(&number).expect("it has just ended");
        news.end = Some(op.ended(result));
        if let (Some(thing), true) = (op.thing, side(&op.request) == Some(Side::Write)) {
            let end = self.world.end(thing);
            let moved = if op.connects() { 0 } else { result.max(0) as usize };
            end.sent += moved;
            end.broken |=
                op.connects() && [-libc::ECONNREFUSED, -libc::ECANCELED].contains(&result);
            if moved < length(&op.request, &op.buf) {
                end.short += moved;
            }
            end.forgot |= self.rig.forgets() && op.cancelled && result < 0 && !op.connects();
        }
    }

    /// What has come in this step.
    fn line(&self, said: &str) -> String {
        let mut line = said.to_owned();
        for (number, news) in &self.news {
            line += &format!("; #{number}:");
            let pieces = if news.whole { news.pieces.clone() } else { vec![news.pieces.concat()] };
            for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
                line += &format!(" [{}]", digest(piece));
            }
            for descriptor in &news.descriptors {
                line += &format!(" ({descriptor})");
            }
            if let Some(end) = &news.end {
                line += &format!(" ends {end}");
            }
        }
        line
    }
}
