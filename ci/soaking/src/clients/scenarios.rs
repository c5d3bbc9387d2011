//! What clients do to a server. Each takes at most some seconds.

use std::io;
use std::thread::sleep;
use std::time::Duration;

use super::Load;
use super::talk::{End, Talk, Work};
use crate::numbers::Numbers;
use crate::plan::{ECHOES, Mode};

/// Everything, and then the end.
const ALL: u64 = u64::MAX;

/// One scenario; which one, the numbers say.
pub(super) fn one(load: &Load<'_>, numbers: &mut Numbers) -> Result<(), String> {
    let (name, scenario): (&str, Scenario) = match numbers.below(100) {
        0..20 => ("half-close", half_close),
        20..35 => ("ping-pong", ping_pong),
        35..42 => ("byte by byte", byte_by_byte),
        42..50 => ("stalled reader", stalled_reader),
        50..56 => ("leaves unread", leaves_unread),
        56..74 => ("churn", churn),
        74..80 => ("flood", flood),
        80..82 => ("flood, left", flood_left),
        82..86 => ("flood, read late", flood_read_late),
        86..90 => ("cut write", cut_write),
        90..93 => ("abort", abort),
        93..97 => ("cancelled", cancelled),
        _ => ("silent", silent),
    };
    let mut plan = None;
    scenario(load, numbers, &mut plan).map_err(|error| format!("{name}, {plan:?}: {error}"))
}

type Scenario = fn(&Load<'_>, &mut Numbers, &mut Option<crate::plan::Plan>) -> io::Result<()>;
type Wish = Option<crate::plan::Plan>;

fn open<'a>(
    load: &'a Load<'a>,
    numbers: &mut Numbers,
    wish: &mut Wish,
    mode: Mode,
    amount: u64,
) -> io::Result<Talk<'a>> {
    let talk = Talk::open(load, numbers, mode, amount)?;
    *wish = Some(talk.plan());
    Ok(talk)
}

fn expect(condition: bool, sentence: impl FnOnce() -> String) -> io::Result<()> {
    if condition { Ok(()) } else { Err(io::Error::other(sentence())) }
}

/// Everything that was sent comes back, then the end.
fn rest(mut talk: Talk<'_>, piece: usize) -> io::Result<()> {
    talk.end_writing()?;
    let (sent, work) = (talk.sent, Work { send: 0, receive: ALL, ahead: 0, piece });
    let end = talk.exchange(work)?;
    let whole = end == End::Eof && talk.received == sent;
    expect(whole, || format!("{} of {sent} bytes came back, then {end:?}", talk.received))
}

/// A server that may go at any moment sent nothing but what belongs there.
fn prefix(talk: &Talk<'_>, most: u64, end: End) -> io::Result<()> {
    let fits = talk.received <= most && end != End::Reached;
    expect(fits, || format!("{} bytes of at most {most}, then {end:?}", talk.received))
}

fn half_close(load: &Load<'_>, numbers: &mut Numbers, wish: &mut Wish) -> io::Result<()> {
    let mode = numbers.pick(&ECHOES);
    let mut talk = open(load, numbers, wish, mode, 0)?;
    for _ in 0..1 + numbers.below(4) {
        let piece = numbers.size(16) as usize;
        // Byte by byte through a megabyte would take too long.
        let most = if piece < 64 { 12 } else { 20 };
        let send = talk.sent + numbers.size(most);
        // As fast as it goes, reading what comes; or with few bytes under way.
        let ahead = if numbers.one_in(2) { ALL } else { numbers.size(17) };
        let end = talk.exchange(Work { send, receive: 0, ahead, piece })?;
        expect(end == End::Reached, || format!("{end:?} while sending"))?;
    }
    let piece = 64 << numbers.below(11);
    rest(talk, piece)
}

fn ping_pong(load: &Load<'_>, numbers: &mut Numbers, wish: &mut Wish) -> io::Result<()> {
    let mode = numbers.pick(&ECHOES);
    let mut talk = open(load, numbers, wish, mode, 0)?;
    let size = numbers.size(14);
    for _ in 0..numbers.size(7) {
        let to = talk.sent + size;
        let end = talk.exchange(Work { send: to, receive: to, ahead: ALL, piece: 65_536 })?;
        expect(end == End::Reached, || format!("{end:?} instead of an echo"))?;
    }
    if numbers.one_in(2) {
        return rest(talk, 65_536);
    }
    talk.leave(numbers.one_in(2));
    Ok(())
}

fn byte_by_byte(load: &Load<'_>, numbers: &mut Numbers, wish: &mut Wish) -> io::Result<()> {
    let mode = numbers.pick(&ECHOES);
    let mut talk = open(load, numbers, wish, mode, 0)?;
    let send = numbers.size(11);
    let end = talk.exchange(Work { send, receive: 0, ahead: ALL, piece: 1 })?;
    expect(end == End::Reached, || format!("{end:?} while sending"))?;
    rest(talk, 1)
}

fn stalled_reader(load: &Load<'_>, numbers: &mut Numbers, wish: &mut Wish) -> io::Result<()> {
    let mode = numbers.pick(&ECHOES);
    let mut talk = open(load, numbers, wish, mode, 0)?;
    let send = 1 << 20;
    let ended = talk.push(send * 8, Duration::from_millis(50))?;
    expect(ended.is_none(), || format!("{ended:?} while stalled"))?;
    sleep(Duration::from_millis(numbers.below(300)));
    let more = talk.sent + numbers.size(18);
    let end = talk.exchange(Work { send: more, receive: 0, ahead: ALL, piece: 65_536 })?;
    expect(end == End::Reached, || format!("{end:?} while sending"))?;
    rest(talk, 65_536)
}

fn leaves_unread(load: &Load<'_>, numbers: &mut Numbers, wish: &mut Wish) -> io::Result<()> {
    let mode = numbers.pick(&ECHOES);
    let mut talk = open(load, numbers, wish, mode, 0)?;
    let ended = talk.push(numbers.size(23), Duration::from_millis(20))?;
    expect(ended.is_none(), || format!("{ended:?} while sending"))?;
    if numbers.one_in(4) {
        talk.end_writing()?;
    }
    sleep(Duration::from_millis(numbers.below(50)));
    talk.leave(numbers.one_in(2));
    Ok(())
}

fn churn(load: &Load<'_>, numbers: &mut Numbers, wish: &mut Wish) -> io::Result<()> {
    for _ in 0..1 + numbers.below(20) {
        let mode = numbers.pick(&ECHOES);
        let mut talk = open(load, numbers, wish, mode, 0)?;
        let send = numbers.below(200);
        let receive = if numbers.one_in(2) { send } else { 0 };
        let end = talk.exchange(Work { send, receive, ahead: ALL, piece: 65_536 })?;
        expect(end == End::Reached, || format!("{end:?} instead of an echo"))?;
        if numbers.one_in(4) {
            rest(talk, 65_536)?;
        } else {
            talk.leave(numbers.one_in(3));
        }
    }
    Ok(())
}

fn flood(load: &Load<'_>, numbers: &mut Numbers, wish: &mut Wish) -> io::Result<()> {
    let amount = numbers.size(21);
    let mut talk = open(load, numbers, wish, Mode::Flood, amount)?;
    let piece = 512 << numbers.below(8);
    if numbers.one_in(3) {
        // Later than the last write, and before the linger ends.
        sleep(Duration::from_millis(numbers.below(400)));
    }
    let end = talk.exchange(Work { send: 0, receive: ALL, ahead: 0, piece })?;
    let whole = end == End::Eof && talk.received == amount;
    expect(whole, || format!("{} of {amount} bytes came, then {end:?}", talk.received))
}

fn flood_left(load: &Load<'_>, numbers: &mut Numbers, wish: &mut Wish) -> io::Result<()> {
    let mut talk = open(load, numbers, wish, Mode::Flood, 8 << 20)?;
    let receive = numbers.size(18) - 1;
    talk.exchange(Work { send: 0, receive, ahead: 0, piece: 4096 })?;
    sleep(Duration::from_millis(numbers.below(100)));
    talk.leave(numbers.one_in(2));
    Ok(())
}

/// Later than dropped streams may linger: what has not left by then ends in a reset, never in an end
/// that looks like a whole.
fn flood_read_late(load: &Load<'_>, numbers: &mut Numbers, wish: &mut Wish) -> io::Result<()> {
    let amount = numbers.size(24);
    let mut talk = open(load, numbers, wish, Mode::Flood, amount)?;
    sleep(Duration::from_millis(numbers.pick(&[200, 1000, 2300])));
    let end = talk.exchange(Work { send: 0, receive: ALL, ahead: 0, piece: 65_536 })?;
    prefix(&talk, amount, end)?;
    let whole = end == End::Reset || talk.received == amount;
    expect(whole, || format!("{} of {amount} bytes, then {end:?}", talk.received))
}

fn cut_write(load: &Load<'_>, numbers: &mut Numbers, wish: &mut Wish) -> io::Result<()> {
    let amount = 4 << 20;
    let mut talk = open(load, numbers, wish, Mode::CutWrite, amount)?;
    if numbers.one_in(2) {
        sleep(Duration::from_millis(numbers.below(100)));
    }
    let end = talk.exchange(Work { send: 0, receive: ALL, ahead: 0, piece: 65_536 })?;
    prefix(&talk, amount, end)?;
    // What was taken is sent, in order and to its end.
    expect(end == End::Eof, || format!("{end:?} after {} bytes", talk.received))
}

fn abort(load: &Load<'_>, numbers: &mut Numbers, wish: &mut Wish) -> io::Result<()> {
    let amount = numbers.size(21);
    let mut talk = open(load, numbers, wish, Mode::Abort, amount)?;
    sleep(Duration::from_millis(numbers.below(30)));
    let end = talk.exchange(Work { send: 0, receive: ALL, ahead: 0, piece: 16_384 })?;
    prefix(&talk, amount, end)?;
    expect(end == End::Reset, || format!("{end:?} instead of a reset"))
}

fn cancelled(load: &Load<'_>, numbers: &mut Numbers, wish: &mut Wish) -> io::Result<()> {
    let mut talk = open(load, numbers, wish, Mode::Cancelled, 0)?;
    let send = numbers.size(22);
    let mut end = talk.exchange(Work { send, receive: send, ahead: 1 << 17, piece: 65_536 })?;
    if end == End::Reached {
        // It echoed all of it before it was cancelled.
        end = talk.exchange(Work { send, receive: ALL, ahead: 0, piece: 65_536 })?;
    }
    prefix(&talk, send, end)
}

fn silent(load: &Load<'_>, numbers: &mut Numbers, wish: &mut Wish) -> io::Result<()> {
    let mut talk = open(load, numbers, wish, Mode::Silent, 0)?;
    let end = match talk.push(numbers.size(23), Duration::from_millis(30))? {
        Some(end) => end,
        None => talk.exchange(Work { send: 0, receive: ALL, ahead: 0, piece: 65_536 })?,
    };
    prefix(&talk, 0, end)
}
