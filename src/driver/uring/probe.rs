//! Trying a new ring out: what it says it can, and what it really does.

use std::os::fd::{AsRawFd, OwnedFd};

use io_uring::{Probe, opcode};

use super::super::{Driver, Until};
use super::provided::Provided;
use super::setup::{ENTER, REGISTER};
use super::{Caps, Refused, Uring, encode};
use crate::buf::Pool;
use crate::op::{Completion, Into, Request, Token};
use crate::sys;
use crate::sys::message::{HEAD, Head};

/// Operations without which there is no ring for us.
const REQUIRED: [(u8, &str); 14] = [
    (opcode::Nop::CODE, "NOP"),
    (opcode::Read::CODE, "READ"),
    (opcode::Write::CODE, "WRITE"),
    (opcode::Recv::CODE, "RECV"),
    (opcode::Send::CODE, "SEND"),
    (opcode::SendMsg::CODE, "SENDMSG"),
    (opcode::RecvMsg::CODE, "RECVMSG"),
    (opcode::Accept::CODE, "ACCEPT"),
    (opcode::Connect::CODE, "CONNECT"),
    (opcode::Close::CODE, "CLOSE"),
    (opcode::OpenAt::CODE, "OPENAT"),
    (opcode::Fsync::CODE, "FSYNC"),
    (opcode::PollAdd::CODE, "POLL_ADD"),
    (opcode::AsyncCancel::CODE, "ASYNC_CANCEL"),
];

/// Bounded workers of the kernel's own pool for file I/O, and unbounded ones for the rest
/// (`uring-sys-notes/io-wq.md`).
const WORKERS: [u32; 2] = [8, 64];

/// Asks for the operations, makes a round trip, and receives by multishot, as far as `uring.caps`
/// allow; what does not work is taken out of them.
pub(super) fn probe(uring: &mut Uring, pool: &Pool) -> Result<(), Refused> {
    let mut probe = Probe::new();
    uring.ring.submitter().register_probe(&mut probe).map_err(|e| Refused::by(REGISTER, e))?;
    let missing: Vec<&str> = REQUIRED
        .iter()
        .filter(|(code, _)| !probe.is_supported(*code))
        .map(|(_, name)| *name)
        .collect();
    if !missing.is_empty() {
        let missing = missing.join(", ");
        return Err(Refused::new(format!("this kernel's io_uring lacks {missing}")));
    }
    // Since 5.15; without it the kernel's own bounds hold.
    let _ = uring.ring.submitter().register_iowq_max_workers(&mut WORKERS.clone());
    round_trip(uring, pool)?;
    uring.caps = caps(uring, pool)?;
    Ok(())
}

/// What this ring can of `uring.caps`.
fn caps(uring: &mut Uring, pool: &Pool) -> Result<Caps, Refused> {
    let emulated = uring.caps.without(Caps::MULTISHOT.and(Caps::MESSAGES).and(Caps::TOTALS));
    if !uring.caps.has(Caps::MULTISHOT) {
        return Ok(emulated);
    }
    match Provided::register(&uring.ring, pool, encode::GROUP) {
        Ok(provided) => uring.provided = Some(provided),
        // Before 5.19.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => return Ok(emulated),
        Err(error) => return Err(Refused::by(REGISTER, error)),
    }
    let totals = uring.caps.has(Caps::TOTALS);
    if totals && matches!(receive(uring, pool, true)?, Received::Ended) {
        return with_messages(uring, pool, uring.caps);
    }
    if matches!(receive(uring, pool, false)?, Received::Armed) {
        return with_messages(uring, pool, uring.caps.without(Caps::TOTALS));
    }
    // Before 6.0 there are buffer rings and nothing to fill them by: take the buffers back.
    if let Some(provided) = uring.provided.take() {
        provided.unregister(&uring.ring, pool);
    }
    Ok(emulated)
}

/// `caps` as they are if multishot `recvmsg` works, and without it if not. It is tried with a buffer of the
/// pool that streams have: the messages' own is not made before a datagram socket needs it.
fn with_messages(uring: &mut Uring, pool: &Pool, caps: Caps) -> Result<Caps, Refused> {
    if !caps.has(Caps::MESSAGES) {
        return Ok(caps);
    }
    let [ours, theirs] = pair()?;
    let token = Token::new(2, 0);
    let entry = encode::messages(ours.as_raw_fd(), encode::GROUP);
    uring.push(entry.user_data(token.user_data()));
    sys::socket::send_slice(theirs.as_raw_fd(), b"ok").map_err(|e| Refused::by("sendto", e))?;
    drop(theirs);
    let mut came = Vec::new();
    let mut works = false;
    loop {
        let completion = next(uring, pool, &mut came)?;
        let len = u32::try_from(completion.result).unwrap_or(0);
        let message = completion.flags.buffer().and_then(|id| pool.lease(id, len));
        works |= message.is_some_and(|m| Head::of(&m).is_some() && m[HEAD..] == *b"ok");
        if !completion.flags.more() {
            return Ok(if works { caps } else { caps.without(Caps::MESSAGES) });
        }
    }
}

fn round_trip(uring: &mut Uring, pool: &Pool) -> Result<(), Refused> {
    let token = Token::new(0, 0);
    uring.submit(token, Request::Nop);
    match next(uring, pool, &mut Vec::new())? {
        Completion { token: answered, result: 0, .. } if answered == token => Ok(()),
        other => Err(Refused::new(format!("io_uring answered a NOP with {}", other.result))),
    }
}

/// What came of a multishot receive that two bytes were sent to.
enum Received {
    /// The bytes, and the end: it had a total of two.
    Ended,
    /// The bytes, and it goes on.
    Armed,
    /// `EINVAL`: the kernel does not know what we asked for.
    Refused,
}

fn receive(uring: &mut Uring, pool: &Pool, total: bool) -> Result<Received, Refused> {
    let [ours, theirs] = pair()?;
    let token = Token::new(1, 0);
    let request = Request::Recv { fd: ours.as_raw_fd(), into: Into::Group, multi: true, total: 2 };
    uring.push(encode::entry(&request, total).user_data(token.user_data()));
    sys::socket::send_slice(theirs.as_raw_fd(), b"ok").map_err(|e| Refused::by("sendto", e))?;
    let mut came = Vec::new();
    let first = next(uring, pool, &mut came)?;
    if first.result == -libc::EINVAL {
        return Ok(Received::Refused);
    }
    let bytes = first.flags.buffer().and_then(|id| pool.lease(id, first.result.max(0) as u32));
    if bytes.is_none_or(|bytes| bytes[..] != *b"ok") {
        return Err(Refused::new(format!(
            "io_uring's multishot receive does not work here (it answered {})",
            first.result
        )));
    }
    if !first.flags.more() {
        return Ok(if total { Received::Ended } else { Received::Refused });
    }
    // End it: the peer goes, and the receive sees EOF.
    drop(theirs);
    while next(uring, pool, &mut came)?.flags.more() {}
    Ok(Received::Armed)
}

fn pair() -> Result<[OwnedFd; 2], Refused> {
    let mut pair = [0; 2];
    sys::socket::pair(libc::SOCK_STREAM, &mut pair).map_err(|e| Refused::by("socketpair", e))?;
    Ok(pair.map(sys::file::own))
}

/// The next completion. Those that came with it stay in `came`.
fn next(uring: &mut Uring, pool: &Pool, came: &mut Vec<Completion>) -> Result<Completion, Refused> {
    // A ring that works answers within one wait; one that does not must not hang us.
    for _ in 0..1000 {
        if !came.is_empty() {
            return Ok(came.remove(0));
        }
        let until = Until::Instant(uring.now() + std::time::Duration::from_millis(10));
        uring.wait(until, pool, came).map_err(|e| Refused::by(ENTER, e))?;
    }
    // A turn lets pass what does not last, such as ENOMEM; here it lasted.
    uring.enter_once(0, 0, None).map_err(|e| Refused::by(ENTER, e))?;
    Err(Refused::new("io_uring does not answer here"))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Seen to fail when `next` gives the last one and drops the others.
    #[test]
    fn of_completions_that_come_together_each_is_heard() {
        let pool = Pool::new(4, 256, 1 << 20).unwrap();
        let Ok((mut uring, _)) = Uring::new(&pool, Caps::ALL) else { return };
        let tokens = [5, 6, 7].map(|index| Token::new(index, 0));
        tokens.iter().for_each(|&token| uring.submit(token, Request::Nop));
        let mut came = Vec::new();
        for token in tokens {
            assert_eq!(next(&mut uring, &pool, &mut came).unwrap().token, token);
        }
    }

    #[test]
    fn datagrams_are_multishot_where_streams_are() {
        for linux in [(5, 15), (6, 0), (6, 12), (u8::MAX, 0)] {
            let pool = Pool::new(4, 256, 1 << 20).unwrap();
            let Ok((mut uring, _)) = Uring::new(&pool, Caps::of_linux(linux)) else { return };
            assert_eq!(uring.caps.has(Caps::MESSAGES), uring.caps.has(Caps::MULTISHOT));
            assert!(!uring.has_messages(), "there is no pool of messages");
            pool.open_messages().unwrap();
            assert_eq!(uring.has_messages(), uring.caps.has(Caps::MESSAGES), "as Linux {linux:?}");
        }
    }

    // On kernels whose multishot looks for a buffer before it looks for bytes, its end comes together with
    // the first bytes.
    #[test]
    fn a_pool_of_one_buffer_has_a_ring_also_where_receives_have_no_end() {
        let made = |count, linux| {
            let pool = Pool::new(count, 256, 1 << 20).unwrap();
            Uring::new(&pool, Caps::of_linux(linux)).map(|(uring, _)| uring.caps)
        };
        for linux in [(5, 15), (6, 0), (6, 1), (6, 12), (u8::MAX, 0)] {
            let Ok(many) = made(64, linux) else { return };
            assert_eq!(made(1, linux).unwrap(), many, "as Linux {linux:?}");
        }
    }
}
