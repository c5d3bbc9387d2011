//! Waiting until a foreign descriptor is ready.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::ops::BitOr;
use std::os::fd::{AsFd, AsRawFd};
use std::rc::Rc;
use std::task::{Poll, ready};
use std::time::Duration;

use super::op::PollOp;
use crate::op::Call;
use crate::runtime::{Fd, Submit, current};
use crate::task::{poll_proceed, spend};
use crate::time::sleep;

/// Waits until a descriptor that belongs to somebody else can be read or written; asyncio's
/// [`add_reader` and `add_writer`][watching], as futures.
///
/// It watches a duplicate of its own, so the descriptor may be closed at any time. It is level-triggered: what
/// is ready is said again and again. Any number of tasks may wait by one `Readiness`, and there may be any
/// number of them for one descriptor.
///
/// With [`async_io`](Self::async_io) a non-blocking socket of one's own is used within a task, as by asyncio's
/// `sock_recv` and its kin.
///
/// [watching]: https://docs.python.org/3/library/asyncio-eventloop.html#watching-file-descriptors
///
/// # Examples
///
/// ```
/// use std::io::Write;
/// use std::os::unix::net::UnixStream;
///
/// ringloop::run(async {
///     let (ours, mut theirs) = UnixStream::pair()?;
///     theirs.write_all(b"x")?;
///     ringloop::net::Readiness::new(&ours)?.readable().await
/// }).unwrap();
/// ```
#[doc(alias = "add_reader")]
#[doc(alias = "add_writer")]
#[derive(Debug)]
pub struct Readiness {
    fd: Rc<Fd>,
}

impl Readiness {
    /// Watches `fd`.
    ///
    /// # Errors
    ///
    /// No descriptor is left for the duplicate; `NotConnected` outside a runtime.
    pub fn new(fd: &impl AsFd) -> io::Result<Self> {
        let core = current()?;
        let copy = core.call(Call::Duplicate { fd: fd.as_fd().as_raw_fd() })?;
        Ok(Self { fd: Rc::new(Fd::new(copy, core)) })
    }

    /// Waits until it can be read: there are bytes, the end, or an error. A regular file always can,
    /// as for `poll(2)`.
    ///
    /// # Errors
    ///
    /// `NotConnected` once the runtime has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping it changes nothing.
    pub async fn readable(&self) -> io::Result<()> {
        self.ready(Interest::READABLE).await.map(drop)
    }

    /// Waits until it can be written: there is room, or an error.
    ///
    /// # Errors
    ///
    /// As [`readable`](Self::readable).
    ///
    /// # Cancel safety
    ///
    /// Dropping it changes nothing.
    pub async fn writable(&self) -> io::Result<()> {
        self.ready(Interest::WRITABLE).await.map(drop)
    }

    /// Waits until it shows something of `interest`, and says what it shows. Unasked as well: an error and a
    /// hang-up. That the peer has shut down writing is told to who asks for [`READABLE`](Interest::READABLE).
    ///
    /// # Errors
    ///
    /// As [`readable`](Self::readable).
    ///
    /// # Cancel safety
    ///
    /// Dropping it changes nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringloop::net::{Interest, Readiness};
    ///
    /// ringloop::run(async {
    ///     let (reader, writer) = std::io::pipe()?;
    ///     let ready = Readiness::new(&writer)?.ready(Interest::WRITABLE).await?;
    ///     assert!(ready.is_writable() && !ready.is_error());
    ///     drop(reader);
    ///     let ready = Readiness::new(&writer)?.ready(Interest::ERROR).await?;
    ///     assert!(ready.is_error());
    ///     std::io::Result::Ok(())
    /// }).unwrap();
    /// ```
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        loop {
            let poll = PollOp { fd: self.fd.clone(), events: interest.0 as u32 };
            let shown = Submit::new(self.fd.core().clone(), poll).await?;
            if shown & interest.told() != 0 {
                return Ok(Ready(shown));
            }
            // Unasked, it shows that the peer has shut down writing, at once and each time.
            sleep(UNASKED).await;
        }
    }

    /// Calls `call` until it answers something else than `WouldBlock`, and gives its answer; between two calls it
    /// waits for `interest`. The first call comes at once.
    ///
    /// `call` reads or writes the descriptor that is watched, without waiting: it is non-blocking, or `call` says
    /// so with each call (`MSG_DONTWAIT`); else the loop stands still. asyncio's [`sock_recv`], `sock_sendto`,
    /// `sock_accept` and their kin are this with the call of that name.
    ///
    /// [`sock_recv`]: https://docs.python.org/3/library/asyncio-eventloop.html#working-with-socket-objects-directly
    ///
    /// # Errors
    ///
    /// What `call` says; `NotConnected` once the runtime has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing: `call` has either not been called, or answered `WouldBlock`, or this future has
    /// resolved with its answer.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::net::UdpSocket;
    /// use ringloop::net::{Interest, Readiness};
    ///
    /// ringloop::run(async {
    ///     let socket = UdpSocket::bind("127.0.0.1:0")?;
    ///     socket.set_nonblocking(true)?;
    ///     let ready = Readiness::new(&socket)?;
    ///     let other = UdpSocket::bind("127.0.0.1:0")?;
    ///     other.send_to(b"hello", socket.local_addr()?)?;
    ///     let mut buf = [0; 16];
    ///     let (n, from) =
    ///         ready.async_io(Interest::READABLE, || socket.recv_from(&mut buf)).await?;
    ///     assert_eq!((&buf[..n], from), (&b"hello"[..], other.local_addr()?));
    ///     std::io::Result::Ok(())
    /// }).unwrap();
    /// ```
    #[doc(alias = "sock_recv")]
    #[doc(alias = "sock_recv_into")]
    #[doc(alias = "sock_recvfrom")]
    #[doc(alias = "sock_recvfrom_into")]
    #[doc(alias = "sock_sendto")]
    #[doc(alias = "sock_accept")]
    pub async fn async_io<R>(
        &self,
        interest: Interest,
        mut call: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        // How often in a row `call` had no use for what was shown.
        let mut useless = 0_u32;
        loop {
            let tried = poll_fn(|cx| {
                ready!(poll_proceed(cx));
                self.fd.core().may_wait()?;
                match call() {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        Poll::Ready(Ok(None))
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                        cx.waker().wake_by_ref();
                        Poll::Pending
                    }
                    answer => {
                        spend();
                        Poll::Ready(answer.map(Some))
                    }
                }
            });
            if let Some(answer) = tried.await? {
                return Ok(answer);
            }
            if useless > 1 {
                // An error in the queue of errors, or room that is not the peer's: it is shown each time.
                sleep(UNASKED).await;
            }
            self.ready(interest).await?;
            useless = useless.saturating_add(1);
        }
    }
}

/// How long it takes to look again where a poll ends at once for something that nobody asked for, or has
/// no use for.
const UNASKED: Duration = Duration::from_millis(1);

/// What is waited for on a descriptor; several are joined with `|`.
///
/// # Examples
///
/// ```
/// use ringloop::net::Interest;
///
/// let both = Interest::READABLE | Interest::WRITABLE;
/// assert_ne!(both, Interest::READABLE);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interest(libc::c_short);

impl Interest {
    /// There is something to read: bytes, a connection to accept, the end.
    pub const READABLE: Self = Self(libc::POLLIN);
    /// There is room to write.
    pub const WRITABLE: Self = Self(libc::POLLOUT);
    /// There is something that goes before the rest: out-of-band data, a change of state; `POLLPRI`.
    pub const PRIORITY: Self = Self(libc::POLLPRI);
    /// Nothing but an error or a hang-up, which are told in any case. On the end of a pipe that is written, that
    /// its last reader has gone.
    pub const ERROR: Self = Self(0);
}

impl Interest {
    /// What is told.
    fn told(self) -> u32 {
        let end = if self.0 & libc::POLLIN != 0 { libc::POLLRDHUP } else { 0 };
        (self.0 | libc::POLLERR | libc::POLLHUP | end) as u32
    }
}

impl BitOr for Interest {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = names(
            self.0 as u32,
            &[(libc::POLLIN, "READABLE"), (libc::POLLOUT, "WRITABLE"), (libc::POLLPRI, "PRIORITY")],
        );
        f.write_str(if names.is_empty() { "ERROR" } else { &names })
    }
}

/// What a descriptor shows; from [`Readiness::ready`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ready(u32);

impl Ready {
    /// Reading would not wait: there are bytes, or the end, or an error.
    pub fn is_readable(self) -> bool {
        self.shows(libc::POLLIN | libc::POLLRDHUP | libc::POLLHUP | libc::POLLERR)
    }

    /// Writing would not wait: there is room, or an error.
    pub fn is_writable(self) -> bool {
        self.shows(libc::POLLOUT | libc::POLLERR)
    }

    /// There is something that goes before the rest; `POLLPRI`.
    pub fn is_priority(self) -> bool {
        self.shows(libc::POLLPRI)
    }

    /// The peer writes no more: behind what has come stands the end. `POLLRDHUP` or `POLLHUP`.
    pub fn is_read_closed(self) -> bool {
        self.shows(libc::POLLRDHUP | libc::POLLHUP)
    }

    /// The other side has gone altogether; `POLLHUP`.
    pub fn is_hangup(self) -> bool {
        self.shows(libc::POLLHUP)
    }

    /// There is an error, which the next call tells; on the end of a pipe that is written, its last reader has
    /// gone. `POLLERR`.
    pub fn is_error(self) -> bool {
        self.shows(libc::POLLERR)
    }

    fn shows(self, events: libc::c_short) -> bool {
        self.0 & events as u32 != 0
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&names(
            self.0,
            &[
                (libc::POLLIN, "READABLE"),
                (libc::POLLOUT, "WRITABLE"),
                (libc::POLLPRI, "PRIORITY"),
                (libc::POLLRDHUP, "READ_CLOSED"),
                (libc::POLLHUP, "HANGUP"),
                (libc::POLLERR, "ERROR"),
            ],
        ))
    }
}

/// The names of the bits that are set.
fn names(bits: u32, all: &[(libc::c_short, &str)]) -> String {
    let set: Vec<_> =
        all.iter().filter(|(bit, _)| bits & *bit as u32 != 0).map(|(_, name)| *name).collect();
    set.join(" | ")
}
