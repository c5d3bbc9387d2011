//! A driver for test builds that does nothing: a script says what has come of the requests.
//!
//! There is no kernel behind it, so a completion may lie: a length beyond the buffer, a buffer that
//! nobody gave, an answer to nobody, or twice the same. What the loop makes of that is the question. Its
//! descriptors are numbers that no process has.

use std::io;
use std::time::Instant;

use super::{Driver, Until};
use crate::buf::Pool;
use crate::op::{Call, Completion, Flags, Into, Request, Token};
use crate::sys::{Bell, SockAddr};
use crate::testing::{self, Step};

/// The driver. Once its script is over everything ends as if it had been cancelled.
#[derive(Debug)]
pub(crate) struct Script {
    steps: std::vec::IntoIter<Step>,
    /// In flight, in order of submission.
    flying: Vec<(Token, Request)>,
    last: Option<Completion>,
    /// What sockets say of their addresses.
    address: SockAddr,
    descriptors: i32,
    bell: Bell,
}

impl Script {
    /// The driver that this thread's test has asked for.
    pub(super) fn asked_for() -> Option<Self> {
        Some(Self {
            steps: testing::take_script()?.into_iter(),
            flying: Vec::new(),
            last: None,
            address: SockAddr::from(std::net::SocketAddr::from(([127, 0, 0, 1], 7))),
            descriptors: 1 << 28,
            bell: Bell::new().ok()?,
        })
    }

    fn descriptor(&mut self) -> i32 {
        self.descriptors += 1;
        self.descriptors
    }

    fn answer(&mut self, completion: Completion, done: &mut Vec<Completion>) {
        if !completion.flags.more() {
            self.flying.retain(|(token, _)| *token != completion.token);
        }
        self.last = Some(completion);
        done.push(completion);
    }

    /// The request that a script means by `nth`.
    fn flying(&self, nth: u8) -> Option<(Token, Request)> {
        let n = self.flying.len();
        (n > 0).then(|| self.flying[usize::from(nth) % n])
    }

    /// As a kernel would that does all of it at once.
    fn honest(&mut self, token: Token, request: Request, pool: &Pool) -> Completion {
        let (result, flags) = match request {
            Request::Recv { into: Into::Group, multi, .. } => match pool.take() {
                Some((id, _)) => {
                    let flags = Flags::with_buffer(id);
                    (pool.size() as i32, if multi { flags.and(Flags::MORE) } else { flags })
                }
                None => (-libc::ENOBUFS, Flags::NONE),
            },
            Request::RecvMsg { .. } => match pool.messages().and_then(Pool::take) {
                Some((id, _)) => (pool.size() as i32, Flags::with_buffer(id).and(Flags::MORE)),
                None => (-libc::ENOBUFS, Flags::NONE),
            },
            Request::Accept { multi, .. } => {
                (self.descriptor(), if multi { Flags::MORE } else { Flags::NONE })
            }
            Request::Open { .. } => (self.descriptor(), Flags::NONE),
            Request::Recv { into: Into::At { len, .. }, .. }
            | Request::Read { len, .. }
            | Request::Write { len, .. }
            | Request::Send { len, .. } => (len as i32, Flags::NONE),
            Request::Poll { events, .. } => (events as i32, Flags::NONE),
            // A message goes byte by byte: its length stands behind a pointer.
            Request::SendMsg { .. } => (1, Flags::NONE),
            Request::Nop
            | Request::Connect { .. }
            | Request::Close { .. }
            | Request::Sync { .. } => (0, Flags::NONE),
        };
        Completion { token, result, flags }
    }

    /// Everything ends.
    fn end(&mut self, done: &mut Vec<Completion>) {
        for (token, request) in std::mem::take(&mut self.flying) {
            let result = if let Request::Close { .. } = request { 0 } else { -libc::ECANCELED };
            done.push(Completion::last(token, result));
        }
    }
}

impl Driver for Script {
    fn submit(&mut self, token: Token, request: Request) {
        self.flying.push((token, request));
    }

    fn cancel(&mut self, _token: Token) {}

    fn wait(&mut self, _until: Until, pool: &Pool, done: &mut Vec<Completion>) -> io::Result<()> {
        pool.collect();
        while let Some(step) = self.steps.next() {
            let completion = match step {
                Step::Turn => return Ok(()),
                Step::Take => {
                    // The kernel holds it, and any completion may name it.
                    let _ = pool.take();
                    continue;
                }
                Step::Address(bytes, len) => {
                    self.address = SockAddr::raw(&bytes, len);
                    continue;
                }
                Step::Repeat => self.last,
                Step::Stray { token, result, flags } => Some(Completion {
                    token: Token::from_user_data(token),
                    result,
                    flags: Flags::from_cqe(flags),
                }),
                Step::Honest { nth } => {
                    self.flying(nth).map(|(token, request)| self.honest(token, request, pool))
                }
                Step::Complete { nth, result, flags } => {
                    self.flying(nth).map(|(token, request)| {
                        // A descriptor must be none of this process's.
                        let opens =
                            matches!(request, Request::Accept { .. } | Request::Open { .. });
                        let result = if opens && result >= 0 { self.descriptor() } else { result };
                        Completion { token, result, flags: Flags::from_cqe(flags) }
                    })
                }
            };
            if let Some(completion) = completion {
                self.answer(completion, done);
            }
        }
        self.end(done);
        Ok(())
    }

    fn is_quiet(&mut self) -> bool {
        false
    }

    fn call(&mut self, call: Call<'_>) -> io::Result<i32> {
        match call {
            Call::Socket { .. } | Call::Duplicate { .. } | Call::Reopen { .. } => {
                Ok(self.descriptor())
            }
            Call::Pair { fds, .. } => {
                *fds = [self.descriptor(), self.descriptor()];
                Ok(0)
            }
            Call::LocalAddr { address, .. } | Call::PeerAddr { address, .. } => {
                *address = self.address;
                Ok(0)
            }
            Call::Pipe { fds } => {
                *fds = [self.descriptor(), self.descriptor()];
                Ok(0)
            }
            Call::AcceptNow { .. }
            | Call::RecvNow { .. }
            | Call::SendNow { .. }
            | Call::RecvFds { .. }
            | Call::SendFds { .. }
            | Call::RecvFromNow { .. }
            | Call::SendDatagram { .. }
            | Call::SendDatagrams { .. }
            | Call::ReadNow { .. }
            | Call::ReadStream { .. }
            | Call::WriteStream { .. }
            | Call::Splice { .. } => Err(io::ErrorKind::WouldBlock.into()),
            _ => Ok(0),
        }
    }

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn bell(&self) -> Bell {
        self.bell.clone()
    }
}
