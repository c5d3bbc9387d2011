//! One connection, seen from the client: bytes go both ways at once, and each is checked.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Load;
use crate::numbers::Numbers;
use crate::pattern::Track;
use crate::plan::{Mode, Plan};
use crate::sys;

/// How long the server may keep silent while it should do something.
const PATIENCE: Duration = Duration::from_secs(20);

/// The longest read.
const LONGEST: usize = 65_536;

thread_local! {
    /// What a thread reads into: 100,000 connections cannot have a buffer each.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; LONGEST]);
}

pub(super) struct Talk<'a> {
    load: &'a Load<'a>,
    stream: TcpStream,
    plan: Plan,
    track: Track<'a>,
    pub(super) sent: u64,
    pub(super) received: u64,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Everything that was asked for has been sent and received.
    Reached,
    Eof,
    Reset,
}

/// What to exchange.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    /// Send until so many have been sent.
    pub(super) send: u64,
    /// Go on until so many have been received; what comes besides is received too.
    pub(super) receive: u64,
    /// Bytes that may be under way.
    pub(super) ahead: u64,
    /// The longest write and read.
    pub(super) piece: usize,
}

impl<'a> Talk<'a> {
    /// Connects from one of many addresses and says what is wanted.
    pub(super) fn open(
        load: &'a Load<'a>,
        numbers: &mut Numbers,
        mode: Mode,
        amount: u64,
    ) -> io::Result<Self> {
        let from = Ipv4Addr::new(127, 0, 1, 1 + numbers.below(250) as u8);
        let number = numbers.below(1 << 30) as u32;
        Self::open_from(load, from, Plan { mode, number, amount: amount as u32 })
    }

    pub(super) fn open_from(load: &'a Load<'a>, from: Ipv4Addr, plan: Plan) -> io::Result<Self> {
        let stream = sys::connect(from, load.link.address)?;
        load.connections.fetch_add(1, Ordering::Relaxed);
        stream.set_nodelay(true)?;
        (&stream).write_all(&plan.encode())?;
        stream.set_nonblocking(true)?;
        let track = load.pattern.track(plan.number as usize);
        Ok(Self { load, stream, plan, track, sent: 0, received: 0 })
    }

    /// Exchanges until `work` is done or the server ends it.
    ///
    /// # Errors
    ///
    /// A wrong byte, more bytes than there can be, or nothing within the patience.
    pub(super) fn exchange(&mut self, work: Work) -> io::Result<End> {
        loop {
            if self.sent >= work.send && self.received >= work.receive {
                return Ok(End::Reached);
            }
            let ahead = self.sent.saturating_sub(self.received) < work.ahead;
            let writes = self.sent < work.send && ahead;
            let (readable, writable) = sys::poll(&self.stream, writes, PATIENCE)?;
            if !readable && !writable {
                return Err(io::Error::other(format!("nothing within {PATIENCE:?}")));
            }
            if writable && let Some(end) = self.write(work.send, work.piece)? {
                return Ok(end);
            }
            if readable && let Some(end) = self.read(work.piece)? {
                return Ok(end);
            }
        }
    }

    /// Sends without reading until the kernel takes no more for `patience`, or all is sent.
    pub(super) fn push(&mut self, send: u64, patience: Duration) -> io::Result<Option<End>> {
        while self.sent < send {
            if !sys::poll_write(&self.stream, patience)? {
                break;
            }
            if let Some(end) = self.write(send, 65_536)? {
                return Ok(Some(end));
            }
        }
        Ok(None)
    }

    fn write(&mut self, send: u64, piece: usize) -> io::Result<Option<End>> {
        let len = (send - self.sent).min(piece as u64) as usize;
        match self.stream.write(self.track.piece(self.sent, len)) {
            Ok(n) => self.sent += n as u64,
            Err(error) => return ended(error),
        }
        Ok(None)
    }

    fn read(&mut self, piece: usize) -> io::Result<Option<End>> {
        SCRATCH.with_borrow_mut(|buf| match self.stream.read(&mut buf[..piece.min(LONGEST)]) {
            Ok(0) => Ok(Some(End::Eof)),
            Ok(n) => {
                if let Err(wrong) = self.track.check(self.received, &buf[..n]) {
                    return Err(io::Error::other(format!("{wrong:?}")));
                }
                self.received += n as u64;
                self.load.bytes.fetch_add(n as u64, Ordering::Relaxed);
                Ok(None)
            }
            Err(error) => ended(error),
        })
    }

    pub(super) fn end_writing(&self) -> io::Result<()> {
        match self.stream.shutdown(Shutdown::Write) {
            // The server was faster.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            other => other,
        }
    }

    /// Closes; with a reset if `reset` says so.
    pub(super) fn leave(self, reset: bool) {
        if reset {
            sys::reset_on_close(&self.stream);
        }
    }

    pub(super) fn plan(&self) -> Plan {
        self.plan
    }
}

fn ended(error: io::Error) -> io::Result<Option<End>> {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, Interrupted, WouldBlock};
    match error.kind() {
        WouldBlock | Interrupted => Ok(None),
        BrokenPipe | ConnectionReset => Ok(Some(End::Reset)),
        _ => Err(error),
    }
}
