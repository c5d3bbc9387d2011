//! One descriptor of the world, and what its peer does and has seen.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::LazyLock;
use std::thread;

use super::steps::{BIG, How, Thing};
use super::world::{name, said};
use crate::driver::contract::pattern;
use crate::sys::{file, socket};

/// What streams carry, again and again; twice, so that a big send may begin anywhere in it.
pub(super) static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| pattern(BIG as usize).repeat(2));

/// What an eventfd is written: a one.
static ONE: [u8; 5000] = {
    let mut bytes = [0; 5000];
    bytes[0] = 1;
    bytes
};

/// One descriptor and its peer.
pub(super) struct End {
    pub(super) thing: Thing,
    /// -1 once it is closed.
    pub(super) ours: RawFd,
    pub(super) peer: Option<File>,
    /// Bytes that our sends say they have sent.
    pub(super) sent: usize,
    /// Of those, what sends had sent that were cancelled or broke.
    pub(super) short: usize,
    /// Bytes that the peer has read.
    pub(super) read: usize,
    /// Set by a cancelled send that did not say how much had gone. Rule 15.
    pub(super) forgot: bool,
    /// Bytes that the peer has sent.
    came: usize,
    /// Sends since the peer has read.
    pub(super) unread: u32,
    /// Set by a send that does not fit.
    pub(super) big: bool,
    /// Set when nothing more comes from the peer, and maybe before.
    pub(super) half: bool,
    /// The kind of request that waited on each side. Rule 12.
    pub(super) waited: [Option<u8>; 2],
    /// Set by a connect that failed. Rule 7.
    pub(super) broken: bool,
    /// Whether it is a stream that the kernel can be asked of without waiting. Rule 14.
    pub(super) prompt: bool,
}

impl End {
    pub(super) fn new(thing: Thing, ours: RawFd, peer: Option<File>) -> Self {
        if let Some(peer) = &peer {
            file::set_nonblocking(peer.as_raw_fd(), true).unwrap();
        }
        Self {
            thing,
            ours,
            peer,
            sent: 0,
            short: 0,
            read: 0,
            forgot: false,
            came: 0,
            unread: 0,
            big: false,
            half: false,
            waited: [None; 2],
            broken: false,
            prompt: matches!(thing, Thing::PipeIn | Thing::Listener)
                && file::never_has_to_wait(ours),
        }
    }

    /// What the peer has read, without what sends that broke halfway had sent.
    pub(super) fn counted(&self) -> isize {
        self.read as isize - self.short as isize
    }

    /// Whether a send that did not fit has been cancelled and the peer has not read what went.
    pub(super) fn is_choked(&self) -> bool {
        self.big && (self.sent > self.read || self.forgot)
    }

    /// Takes what the peer has read for what had gone of a send that did not say it: so much was it.
    /// Rule 15.
    pub(super) fn remember(&mut self) -> usize {
        if !std::mem::take(&mut self.forgot) {
            return 0;
        }
        let gone = self.read.saturating_sub(self.sent);
        self.sent += gone;
        self.short += gone;
        gone
    }

    /// What to send next.
    pub(super) fn next(&self, len: u32) -> &'static [u8] {
        if self.thing == Thing::Event {
            return &ONE[..len as usize];
        }
        &BYTES[self.sent % BIG as usize..][..len as usize]
    }

    pub(super) fn peer_sends(&mut self, len: u32) -> String {
        let Some(mut peer) = self.peer.as_ref() else { return "nobody".into() };
        let result = match self.thing {
            Thing::Event => peer.write(&ONE[..8]),
            Thing::PipeIn => peer.write(&BYTES[self.came..][..len as usize]),
            _ => socket::send_slice(peer.as_raw_fd(), &BYTES[self.came..][..len as usize]),
        };
        self.came += *result.as_ref().unwrap_or(&0);
        said(result)
    }

    pub(super) fn peer_shuts(&mut self, how: How) -> String {
        let Some(peer) = &self.peer else { return "nobody".into() };
        self.half |= !matches!(how, How::Read);
        said(socket::shutdown(peer.as_raw_fd(), how as i32))
    }

    /// Closes the peer; `reset`: without a farewell.
    pub(super) fn peer_closes(&mut self, reset: bool) -> String {
        let Some(peer) = self.peer.take() else { return "nobody".into() };
        if reset {
            let linger = [1i32.to_ne_bytes(), 0i32.to_ne_bytes()].concat();
            let fd = peer.as_raw_fd();
            socket::set_option(fd, libc::SOL_SOCKET, libc::SO_LINGER, &linger).unwrap();
        }
        "ok".into()
    }

    /// Reads as much as has come to the peer, at most `most` times; `None`: there is nothing now.
    pub(super) fn read_some(&mut self) -> Option<io::Result<usize>> {
        let mut peer = self.peer.as_ref()?;
        let mut buf = vec![0; 1 << 16];
        let result = match peer.read(&mut buf) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return None,
            result => result,
        };
        if let Ok(n) = result
            && !self.thing.has_pieces()
        {
            let start = self.read % BIG as usize;
            assert!(buf[..n] == BYTES[start..start + n], "wrong bytes in {:?}", self.thing);
            self.read += n;
        }
        Some(result)
    }

    /// Reads what the peer has not read yet of all that we say we have sent.
    pub(super) fn drain(&mut self) -> String {
        if self.thing == Thing::Event || self.peer.is_none() {
            return String::new();
        }
        let mut text = String::new();
        // A big send that was closed over or reset may have lost any part of its bytes.
        let lossy = self.big && (self.ours < 0 || self.sent > self.read || self.forgot);
        for _ in 0..10_000 {
            match self.read_some() {
                None if self.sent > self.read && !self.thing.has_pieces() && self.ours >= 0 => {
                    thread::yield_now();
                }
                None => break,
                Some(Ok(n)) if self.thing.has_pieces() => text += &format!("[{n}]"),
                Some(Ok(0)) => {
                    text += " end";
                    break;
                }
                Some(Ok(_)) => {}
                Some(Err(e)) => {
                    text += &name(&e);
                    break;
                }
            }
        }
        if lossy {
            return String::new();
        }
        format!("{} bytes in all{text}", self.counted())
    }
}

const _: () = assert!(How::Both as i32 == libc::SHUT_RDWR && How::Write as i32 == libc::SHUT_WR);
