//! What a protocol holds of its connection.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::net::SocketAddr as UnixAddr;
use std::rc::{Rc, Weak};

use bytes::Bytes;

use super::IntoProtocol;
use super::base::Phase;
use super::state::{State, Ways};
use crate::buf::Lease;

/// The connection of a protocol: takes what is to be sent, and never waits. asyncio's [`Transport`].
///
/// Clones are handles on the same connection; dropping all of them changes nothing. All methods may be called from
/// anywhere on the thread, also from within callbacks of this or another connection; none of them calls a protocol.
///
/// [`Transport`]: https://docs.python.org/3/library/asyncio-protocol.html#transports
#[derive(Clone)]
#[doc(alias = "WriteTransport")]
#[doc(alias = "ReadTransport")]
pub struct Transport(pub(super) Rc<State>);

/// A transport that keeps nothing open.
#[derive(Clone, Debug)]
pub(crate) struct WeakTransport(Weak<State>);

impl WeakTransport {
    pub(crate) fn upgrade(&self) -> Option<Transport> {
        self.0.upgrade().map(Transport)
    }
}

impl Transport {
    /// The transport, as long as its connection lives or others hold it.
    pub(crate) fn downgrade(&self) -> WeakTransport {
        WeakTransport(Rc::downgrade(&self.0))
    }

    /// Takes `data` in and sends it behind what was written before. What is written in one turn of the loop leaves
    /// together.
    ///
    /// Whether more than the high mark is buffered now: then
    /// [`resume_writing`](super::Protocol::resume_writing) says when it is time to go on. See
    /// [`set_write_buffer_limits`](Self::set_write_buffer_limits).
    ///
    /// # Errors
    ///
    /// None comes back: a connection that fails tells its protocol, by
    /// [`connection_lost`](super::Protocol::connection_lost). After a [`close`](Self::close), an
    /// [`abort`](Self::abort) and the loss of the connection `data` is dropped, and from the fifth such write on the
    /// hook of [`Builder::on_unhandled`](crate::Builder::on_unhandled) is told. After a
    /// [`write_eof`](Self::write_eof) it is a mistake of the program's: dropped as well, and the hook is told each
    /// time.
    pub fn write(&self, data: &[u8]) -> bool {
        self.0.write(|link| link.put(data))
    }

    /// As [`write`](Self::write), without copying `data`.
    pub fn write_bytes(&self, data: impl Into<Bytes>) -> bool {
        let data = data.into();
        self.0.write(|link| link.put_bytes(data))
    }

    /// As [`write`](Self::write), of received bytes, without copying them; they may come from any stream of the
    /// runtime.
    pub fn write_chunk(&self, lease: Lease) -> bool {
        self.0.write(|link| link.put_chunk(lease))
    }

    /// As [`write`](Self::write), of one piece after the other.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn answer(transport: &ringloop::protocol::Transport, body: &[u8]) {
    /// transport.writelines([b"200 ", body, b"\n"]);
    /// # }
    /// ```
    #[doc(alias = "write_vectored")]
    pub fn writelines<I>(&self, pieces: I) -> bool
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        let mut over = false;
        for piece in pieces {
            over = self.write(piece.as_ref());
        }
        over
    }

    /// Ends writing: the peer sees the end behind what was written, and may still send.
    ///
    /// Does nothing the second time, and after a [`close`](Self::close). Of the write end of a pipe it is the close.
    #[doc(alias = "shutdown")]
    pub fn write_eof(&self) {
        self.0.write_eof();
    }

    /// Whether [`write_eof`](Self::write_eof) does what it says: not on the read end of a pipe.
    pub fn can_write_eof(&self) -> bool {
        self.0.ways != Ways::In
    }

    /// Closes the connection: nothing is received any more, what was written is sent, then
    /// [`connection_lost`](super::Protocol::connection_lost) is called with `None`, never from within this.
    ///
    /// A peer that takes nothing has as long as [`Builder::linger`](crate::Builder::linger) says; then the connection is
    /// reset, and lost with `TimedOut`. What had been received and not delivered is dropped.
    ///
    /// Does nothing the second time.
    pub fn close(&self) {
        self.0.close();
    }

    /// Closes the connection at once, with a reset: what was written and has not left is discarded, also after a
    /// [`close`](Self::close). [`connection_lost`](super::Protocol::connection_lost) is called with `None`, never from
    /// within this.
    pub fn abort(&self) {
        self.0.abort();
    }

    /// Whether it is closed, or about to be: by either side, or by an error.
    pub fn is_closing(&self) -> bool {
        self.0.phase.get() != Phase::Open
    }

    /// Waits until [`connection_lost`](super::Protocol::connection_lost) has returned; the descriptor is closed then.
    ///
    /// It does not close: somebody must, or the peer.
    ///
    /// # Cancel safety
    ///
    /// Dropping it changes nothing.
    pub async fn wait_closed(&self) {
        self.0.ended.wait().await;
        // How it ended was told.
        let _ = self.0.link.closed().await;
    }

    /// Holds back what comes: the protocol is told nothing of it, nor of the peer's end, until
    /// [`resume_reading`](Self::resume_reading). Up to 128 KiB (and what was on the way) are received; the rest waits at
    /// the peer's.
    ///
    /// Does nothing the second time, and on a closed transport.
    pub fn pause_reading(&self) {
        if self.0.phase.get() == Phase::Open {
            self.0.reading.set(false);
        }
    }

    /// Lets the protocol have what comes, from the loop's next turn on (or after the callback that calls this).
    ///
    /// Does nothing where nothing is paused, and on a closed transport.
    pub fn resume_reading(&self) {
        if self.0.phase.get() == Phase::Open && !self.0.reading.replace(true) {
            self.0.wake_pump();
        }
    }

    /// Whether the protocol is told of what comes: reading is not paused, and the transport not closing.
    pub fn is_reading(&self) -> bool {
        self.0.is_reading()
    }

    /// Sets the marks, in bytes: above `high` the protocol is told to
    /// [pause](super::Protocol::pause_writing), then at or below `low` to [resume](super::Protocol::resume_writing).
    ///
    /// Without `high` it is four times `low`, or 64 KiB; without `low` it is a quarter of `high`. Where what is
    /// buffered is above the new mark, the protocol is told.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if `low` is above `high`; nothing changes then.
    pub fn set_write_buffer_limits(
        &self,
        high: impl Into<Option<usize>>,
        low: impl Into<Option<usize>>,
    ) -> io::Result<()> {
        self.0.set_marks(high.into(), low.into(), self.0.buffered())
    }

    /// Bytes that were written and that the kernel has not taken, those on their way among them.
    pub fn get_write_buffer_size(&self) -> usize {
        self.0.buffered()
    }

    /// The marks: the low one, then the high one.
    pub fn get_write_buffer_limits(&self) -> (usize, usize) {
        self.0.marks()
    }

    /// Gives the connection another protocol, of either kind: the next callback is its. It is not told that the
    /// connection was made, nor that writing is paused. The old one is dropped.
    ///
    /// After the end of the connection it is dropped.
    pub fn set_protocol<Kind>(&self, protocol: impl IntoProtocol<Kind>) {
        let protocol = protocol.into_any();
        if self.0.phase.get() == Phase::Lost {
            return drop(protocol);
        }
        let old = self.0.next.replace(Some(protocol));
        self.0.wake_pump();
        drop(old);
    }

    /// The address of the peer, of TCP; also after the end of the connection.
    ///
    /// # Errors
    ///
    /// `NotConnected` where the peer had gone before the protocol was told of the connection; that it has no such
    /// address.
    #[doc(alias = "peername")]
    #[doc(alias = "get_extra_info")]
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.link.peer_addr()?.to_inet()
    }

    /// The local address, of TCP; also after the end of the connection.
    ///
    /// # Errors
    ///
    /// What `getsockname(2)` says; that it has no such address.
    #[doc(alias = "sockname")]
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.link.local_addr()?.to_inet()
    }

    /// The address of the peer, of a Unix socket; also after the end of the connection. Whoever connects has none, as a
    /// rule.
    ///
    /// # Errors
    ///
    /// As [`peer_addr`](Self::peer_addr).
    pub fn unix_peer_addr(&self) -> io::Result<UnixAddr> {
        self.0.link.peer_addr()?.to_unix()
    }

    /// The local address, of a Unix socket; also after the end of the connection.
    ///
    /// # Errors
    ///
    /// As [`local_addr`](Self::local_addr).
    pub fn unix_local_addr(&self) -> io::Result<UnixAddr> {
        self.0.link.local_addr()?.to_unix()
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("phase", &self.0.phase.get())
            .field("is_reading", &self.is_reading())
            .field("buffered", &self.get_write_buffer_size())
            .finish_non_exhaustive()
    }
}
