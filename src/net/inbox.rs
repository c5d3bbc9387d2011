//! The inbox: what has been received and nobody has read.
//!
//! ```text
//!            arm                       !F_MORE
//!   Idle ──────────► Armed(token) ───────────────► Idle
//!     ▲                  │ cancel (paused, closing)   │ ENOBUFS
//!     │                  ▼                            ▼
//!     └──── !F_MORE ── Ending                     Starved ──rearm──► Idle
//! ```
//!
//! Flow control: a multishot receive is armed for a total of [`TOTAL`] bytes and ends by itself;
//! it is armed again only while at most [`LIMIT`] bytes are parked. Kernels before 6.17 know no
//! total: there a socket that was ever above 2 × `LIMIT` is cancelled and receives one-shot from
//! then on (`uring-sys-notes/multishot-receive.md`).

use std::io;
use std::task::Waker;

use crate::buf::{Block, Lease, Short};
use crate::op::Token;

/// asyncio's stream limit: receiving goes on while no more than this is parked.
pub(super) const LIMIT: usize = 64 * 1024;

/// Bytes that one arming may bring, but for the last piece.
pub(super) const TOTAL: u32 = 2 * LIMIT as u32;

/// What the receive side is doing.
#[derive(Debug)]
pub(super) enum Receive {
    /// Nothing is asked of the kernel.
    Idle,
    /// A receive is in flight; with a block where it goes to the heap.
    Armed(Token, Option<Block>),
    /// As Armed, and asked to end.
    Ending(Option<Block>),
    /// Found no buffer; stands in the core's queue.
    Starved,
}

/// How receiving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Eof,
    /// An errno.
    Error(i32),
}

#[derive(Debug)]
pub(super) struct Inbox {
    leases: Short<Lease>,
    /// Bytes in `leases`.
    parked: usize,
    pub(super) receive: Receive,
    pub(super) end: Option<End>,
    /// Set for good when a kernel without totals had to be stopped by a cancel.
    pub(super) one_shot: bool,
    /// Whoever waits for bytes, or for the receive to end.
    pub(super) reader: Option<Waker>,
}

impl Inbox {
    pub(super) const fn new() -> Self {
        Self {
            leases: Short::new(),
            parked: 0,
            receive: Receive::Idle,
            end: None,
            one_shot: false,
            reader: None,
        }
    }

    pub(super) fn parked(&self) -> usize {
        self.parked
    }

    pub(super) fn is_empty(&self) -> bool {
        self.leases.is_empty()
    }

    /// Parks what has come.
    pub(super) fn push(&mut self, lease: Lease) {
        if !lease.is_empty() {
            self.parked += lease.len();
            self.leases.push(lease);
        }
    }

    /// Lends the oldest piece.
    pub(super) fn pop(&mut self) -> Option<Lease> {
        let lease = self.leases.pop()?;
        self.parked -= lease.len();
        Some(lease)
    }

    /// Copies out as much as fits, across pieces.
    pub(super) fn read(&mut self, mut into: &mut [u8]) -> usize {
        let mut copied = 0;
        while let Some(lease) = self.leases.front_mut() {
            let n = lease.len().min(into.len());
            into[..n].copy_from_slice(&lease[..n]);
            copied += n;
            into = &mut into[n..];
            if n < lease.len() {
                lease.advance(n);
                break;
            }
            self.leases.pop();
            if into.is_empty() {
                break;
            }
        }
        self.parked -= copied;
        copied
    }

    /// Copies out as much as fits and keeps it.
    pub(super) fn peek(&self, mut into: &mut [u8]) -> usize {
        let mut copied = 0;
        for lease in self.leases.iter() {
            let n = lease.len().min(into.len());
            into[..n].copy_from_slice(&lease[..n]);
            copied += n;
            into = &mut into[n..];
        }
        copied
    }

    /// What a reader gets who finds no bytes: the end, or nothing yet.
    pub(super) fn ended(&self) -> Option<io::Result<()>> {
        self.end.map(|end| match end {
            End::Eof => Ok(()),
            End::Error(errno) => Err(io::Error::from_raw_os_error(errno)),
        })
    }

    /// Everything that is parked, in one piece.
    pub(super) fn drain(&mut self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.parked);
        while let Some(lease) = self.pop() {
            all.extend_from_slice(&lease);
        }
        all
    }

    /// Whether the receive may be armed: nobody is at it, it has not ended, and little is parked.
    pub(super) fn wants_more(&self) -> bool {
        matches!(self.receive, Receive::Idle) && self.end.is_none() && self.parked <= LIMIT
    }
}
