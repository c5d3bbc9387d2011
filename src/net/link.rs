//! What floor 5 holds of a stream socket: shared by its reader, its writer and its transport.
//!
//! Writing never waits here, as in asyncio: whoever writes looks at [`Link::buffered`], or waits for
//! it to fall. Closing is for all who share it: what has been received and not read stays to be
//! read, what was written is sent in the background, and then the descriptor goes, whoever is left.

mod accepted;
mod read;

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::inbox::Inbox;
use super::options::{self, Setting};
use super::outbox::Piece;
use super::pipe::PipeReader;
use super::pipe_writer::PipeWriter;
use super::socket::{Heir, Socket};
use super::stream_socket::StreamSocket;
use super::tcp_stream::{Handle, TcpStream};
use super::unix::UnixStream;
use crate::buf::Lease;
use crate::note::{self, On};
use crate::op::Call;
use crate::runtime::Core;
use crate::sys::SockAddr;
use crate::task::{discard, poll_proceed, spend, wake};

pub(crate) use accepted::WeakLink;

/// A shared handle on a stream socket. The last one to go closes it.
#[derive(Clone)]
pub(crate) struct Link(Rc<State>);

struct State {
    core: Rc<Core>,
    /// `None` once it has been closed.
    handle: RefCell<Option<Handle>>,
    /// What had come and was not read when it was closed; an open one has no need of it.
    rest: RefCell<Option<Box<Inbox>>>,
    /// The socket while a close sends what was written.
    closing: RefCell<Weak<Socket>>,
    heir: Rc<Heir>,
    peer: RefCell<Option<Box<SockAddr>>>,
    local: RefCell<Option<Box<SockAddr>>>,
}

impl From<TcpStream> for Link {
    fn from(stream: TcpStream) -> Self {
        Self::new(stream.into_handle())
    }
}

impl From<PipeReader> for Link {
    fn from(pipe: PipeReader) -> Self {
        Self::new(pipe.into_handle())
    }
}

impl From<PipeWriter> for Link {
    fn from(pipe: PipeWriter) -> Self {
        Self::new(pipe.into_handle())
    }
}

impl From<UnixStream> for Link {
    fn from(stream: UnixStream) -> Self {
        Self::new(stream.into_handle())
    }
}

impl Link {
    pub(crate) fn of(stream: impl StreamSocket) -> Self {
        Self::new(stream.into_handle())
    }

    pub(super) fn new(handle: Handle) -> Self {
        Self(Rc::new(State {
            core: handle.0.core().clone(),
            handle: RefCell::new(Some(handle)),
            rest: RefCell::new(None),
            closing: RefCell::new(Weak::new()),
            heir: Rc::default(),
            peer: RefCell::new(None),
            local: RefCell::new(None),
        }))
    }

    /// The socket, held by itself: what follows may close the link.
    fn socket(&self) -> Option<Rc<Socket>> {
        self.0.handle.borrow().as_ref().map(|handle| handle.0.clone())
    }

    fn open(&self) -> io::Result<Rc<Socket>> {
        self.socket().ok_or_else(closed)
    }

    /// Lends the oldest piece that came; `None` is the end.
    pub(crate) fn poll_chunk(&self, cx: &Context<'_>) -> Poll<io::Result<Option<Lease>>> {
        match self.socket() {
            Some(socket) => socket.poll_chunk(cx),
            None => self.poll_rest(cx, Inbox::pop),
        }
    }

    /// Copies out what has come; 0 is the end.
    pub(crate) fn poll_read(&self, cx: &Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        match self.socket() {
            Some(socket) => socket.poll_read(cx, into),
            None => self.poll_rest(cx, |rest| rest.read(into)),
        }
    }

    fn poll_rest<T>(
        &self,
        cx: &Context<'_>,
        take: impl FnOnce(&mut Inbox) -> T,
    ) -> Poll<io::Result<T>> {
        ready!(poll_proceed(cx));
        spend();
        Poll::Ready(Ok(self.with_rest(take)))
    }

    fn with_rest<T>(&self, f: impl FnOnce(&mut Inbox) -> T) -> T {
        let mut rest = self.0.rest.borrow_mut();
        f(rest.get_or_insert_with(|| Box::new(Inbox::new())))
    }

    /// Takes all of `bytes` in, however much is before them.
    ///
    /// # Errors
    ///
    /// The connection's, if it is known; `BrokenPipe` after the end of writing; `NotConnected` after the
    /// close, and after the end of the runtime.
    pub(crate) fn put(&self, bytes: &[u8]) -> io::Result<()> {
        self.open()?.put(bytes)
    }

    /// Takes `bytes` in without copying.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put).
    pub(crate) fn put_bytes(&self, bytes: Bytes) -> io::Result<()> {
        self.open()?.put_piece(Piece::Bytes(bytes))
    }

    /// Takes received bytes in without copying.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put).
    pub(crate) fn put_chunk(&self, lease: Lease) -> io::Result<()> {
        self.open()?.put_piece(Piece::Lease(lease))
    }

    /// Bytes that were written and that the kernel has not taken, those in flight among them.
    pub(crate) fn buffered(&self) -> usize {
        let socket = self.socket().or_else(|| self.0.closing.borrow().upgrade());
        socket.map_or(0, |socket| socket.buffered())
    }

    /// Waits until no more than `low` bytes are buffered.
    ///
    /// # Errors
    ///
    /// The connection's, at once; `NotConnected` after the close.
    pub(crate) fn poll_drained(&self, cx: &Context<'_>, low: usize) -> Poll<io::Result<()>> {
        match self.socket() {
            Some(socket) => socket.poll_drained(cx, low),
            None => Poll::Ready(Err(closed())),
        }
    }

    /// Waits until no more than `low` bytes are buffered, which it asks each time; after the close, until all
    /// has been sent.
    ///
    /// # Errors
    ///
    /// The connection's, at once.
    pub(crate) async fn drained(&self, low: impl Fn() -> usize) -> io::Result<()> {
        let mut place = Drain { socket: Weak::new(), ticket: None };
        let open = poll_fn(|cx| {
            let Some(socket) = self.socket() else { return Poll::Ready(None) };
            place.socket = Rc::downgrade(&socket);
            socket.poll_drained_beside(cx, low(), &mut place.ticket).map(Some)
        });
        match open.await {
            Some(drained) => drained,
            None => self.closed().await,
        }
    }

    /// Waits until sending fails.
    pub(crate) fn poll_failed(&self, cx: &Context<'_>) -> Poll<io::Error> {
        match self.socket() {
            Some(socket) => socket.poll_failed(cx),
            None => Poll::Ready(closed()),
        }
    }

    /// Ends writing: the peer sees the end behind what was written. Does not wait. Of a pipe it is the close.
    ///
    /// # Errors
    ///
    /// The connection's, if it has failed; what `shutdown(2)` says, if nothing is to be sent before;
    /// `NotConnected` after the close.
    pub(crate) fn write_eof(&self) -> io::Result<()> {
        let socket = self.open()?;
        if socket.pipe.is_some() {
            // A pipe has no other way to tell its reader.
            self.close();
            return Ok(());
        }
        socket.write_eof()
    }

    /// Waits until nobody can read what would be written: see [`PipeWriter::closed`].
    ///
    /// # Errors
    ///
    /// As there; `NotConnected` after the close.
    pub(crate) async fn hangup(&self) -> io::Result<()> {
        self.open()?.hangup().await
    }

    /// Why writing has ended, if it has failed.
    pub(crate) fn write_error(&self) -> Option<io::Error> {
        let errno = match self.socket() {
            Some(socket) => return socket.outbox.borrow().check().err(),
            None => self.0.heir.failed.get(),
        };
        errno.map(io::Error::from_raw_os_error)
    }

    /// Whether it has been closed, or aborted.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.handle.borrow().is_none()
    }

    /// Receives no more and closes, when what was written has been sent.
    pub(crate) fn close(&self) {
        let Some(handle) = self.0.handle.take() else { return };
        handle.0.bequeath(self.0.heir.clone());
        let rest = handle.0.take_parked();
        let old = self.0.rest.replace(Some(Box::new(rest)));
        self.0.closing.replace(Rc::downgrade(&handle.0));
        let reader = handle.0.take_reader();
        drop(handle);
        drop(old);
        // It reads what is left, and then sees the end.
        reader.into_iter().for_each(wake);
    }

    /// Receives no more and sends what was written, in as much time as a [`close`](Self::close) has, which
    /// is to follow: until then the descriptor stays.
    pub(crate) fn shut(&self) {
        if let Some(socket) = self.socket() {
            socket.close();
        }
    }

    /// Receives no more and discards what was written: the [`close`](Self::close) that is to follow will
    /// be a reset.
    pub(crate) fn discard(&self) {
        if let Some(socket) = self.socket() {
            socket.abort();
        }
    }

    /// Discards what was written and closes with a reset.
    pub(crate) fn abort(&self) {
        let socket = self.socket().or_else(|| self.0.closing.borrow().upgrade());
        if let Some(socket) = socket {
            if socket.outbox.borrow().errno().is_none() {
                self.0.heir.whole.set(socket.buffered() == 0);
            }
            let reader = socket.take_reader();
            socket.abort();
            self.close();
            reader.into_iter().for_each(wake);
        }
    }

    /// Waits until it has been closed and the descriptor is gone.
    ///
    /// # Errors
    ///
    /// Why what was written could not be sent.
    pub(crate) async fn closed(&self) -> io::Result<()> {
        let mut place = Place { heir: &self.0.heir, ticket: None };
        poll_fn(|cx| self.poll_closed(cx, &mut place.ticket)).await
    }

    fn poll_closed(&self, cx: &Context<'_>, ticket: &mut Option<u64>) -> Poll<io::Result<()>> {
        ready!(poll_proceed(cx));
        // Whoever waits before the close is told as well, when somebody has closed it.
        let closing = self.0.closing.borrow().upgrade().or_else(|| self.socket());
        if let Some(socket) = closing
            && socket.core().may_wait().is_ok()
        {
            // Its clone is user code; and this may be the last to hold the socket.
            let waker = cx.waker().clone();
            let fd = socket.fd.raw();
            let old = self.0.heir.waiting.borrow_mut().wait(ticket, waker);
            discard(old);
            drop(socket);
            note::waits("close", On::Fd(fd));
            return Poll::Pending;
        }
        spend();
        Poll::Ready(match self.0.heir.failed.get() {
            Some(errno) => Err(io::Error::from_raw_os_error(errno)),
            None => Ok(()),
        })
    }

    /// Sets an option of the socket.
    ///
    /// # Errors
    ///
    /// What `setsockopt(2)` says; `NotConnected` after the close.
    fn set_option(&self, setting: Setting) -> io::Result<()> {
        let socket = self.open()?;
        options::set(socket.core(), socket.fd.raw(), setting)
    }

    /// `TCP_NODELAY`.
    ///
    /// # Errors
    ///
    /// What `setsockopt(2)` says; `NotConnected` after the close.
    pub(crate) fn set_nodelay(&self, on: bool) -> io::Result<()> {
        self.set_option(Setting::flag(libc::IPPROTO_TCP, libc::TCP_NODELAY, on))
    }

    /// The address of the peer; known for good once it was asked for, or given by an accept.
    ///
    /// # Errors
    ///
    /// What `getpeername(2)` says; `NotConnected` after the close.
    pub(crate) fn peer_addr(&self) -> io::Result<SockAddr> {
        cached(&self.0.peer, || {
            let (socket, mut address) = (self.open()?, SockAddr::empty());
            socket.core().call(Call::PeerAddr { fd: socket.fd.raw(), address: &mut address })?;
            Ok(address)
        })
    }

    /// The local address; known for good once it was asked for.
    ///
    /// # Errors
    ///
    /// What `getsockname(2)` says; `NotConnected` after the close.
    pub(crate) fn local_addr(&self) -> io::Result<SockAddr> {
        cached(&self.0.local, || {
            let (socket, mut address) = (self.open()?, SockAddr::empty());
            socket.core().call(Call::LocalAddr { fd: socket.fd.raw(), address: &mut address })?;
            Ok(address)
        })
    }
}

/// A place among those who wait for the close, given back when it is not needed: they may come and go
/// as long as the connection lives.
struct Place<'a> {
    heir: &'a Heir,
    ticket: Option<u64>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let waker = self.heir.waiting.borrow_mut().remove(self.ticket);
        discard(waker);
    }
}

/// As [`Place`], among those who wait for bytes to leave. It holds no socket open.
struct Drain {
    socket: Weak<Socket>,
    ticket: Option<u64>,
}

impl Drop for Drain {
    fn drop(&mut self) {
        if let Some(socket) = self.socket.upgrade() {
            let waker = socket.outbox.borrow_mut().drains.remove(self.ticket);
            discard(waker);
        }
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.socket() {
            Some(socket) => socket.fmt(f),
            None => f.write_str("closed"),
        }
    }
}

fn cached(
    cell: &RefCell<Option<Box<SockAddr>>>,
    ask: impl FnOnce() -> io::Result<SockAddr>,
) -> io::Result<SockAddr> {
    if let Some(known) = &*cell.borrow() {
        return Ok(**known);
    }
    let address = ask()?;
    cell.replace(Some(Box::new(address)));
    Ok(address)
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the connection has been closed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::TcpListener;

    async fn pair() -> (Link, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Link::from(ours), listener.accept().await.unwrap().0)
    }

    async fn read_to_end(peer: &mut TcpStream) -> io::Result<Vec<u8>> {
        let (mut all, mut buf) = (Vec::new(), [0; 4096]);
        loop {
            match peer.read(&mut buf).await? {
                0 => return Ok(all),
                n => all.extend_from_slice(&buf[..n]),
            }
        }
    }

    // Seen to fail when `put` looks for room as `write_all` does.
    #[test]
    fn put_takes_what_no_outbox_has_room_for_and_drained_waits_for_the_low_mark() {
        crate::runtime::run(async {
            let (ours, mut peer) = pair().await;
            let large = vec![7; 4 << 20];
            ours.put(&large).unwrap();
            ours.put(b"end").unwrap();
            assert!(ours.buffered() > 64 * 1024, "nobody reads");
            ours.write_eof().unwrap();
            assert_eq!(ours.put(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
            let reading = crate::task::spawn(async move { read_to_end(&mut peer).await });
            poll_fn(|cx| ours.poll_drained(cx, 1000)).await.unwrap();
            assert!(ours.buffered() <= 1000);
            let all = reading.await.unwrap().unwrap();
            assert_eq!((all.len(), &all[4 << 20..]), ((4 << 20) + 3, &b"end"[..]));
        });
    }

    #[test]
    fn after_a_close_the_rest_is_read_and_the_bytes_and_the_descriptor_go() {
        crate::runtime::run(async {
            let (ours, mut peer) = pair().await;
            peer.write_all(b"unread").await.unwrap();
            let mut one = [0; 1];
            assert_eq!(poll_fn(|cx| ours.poll_read(cx, &mut one)).await.unwrap(), 1);
            let peer_addr = ours.peer_addr().unwrap().to_inet().unwrap();
            ours.put(&vec![1; 3 << 20]).unwrap();
            let other = ours.clone();
            ours.close();
            ours.close();
            assert!(other.is_closed());
            assert_eq!(other.put(b"x").unwrap_err().kind(), io::ErrorKind::NotConnected);
            let reading = crate::task::spawn(async move { read_to_end(&mut peer).await });
            other.closed().await.unwrap();
            assert!(other.0.closing.borrow().upgrade().is_none(), "the socket is gone");
            assert_eq!(reading.await.unwrap().unwrap().len(), 3 << 20);
            let mut rest = [0; 16];
            let n = poll_fn(|cx| other.poll_read(cx, &mut rest)).await.unwrap();
            assert_eq!(&rest[..n], b"nread");
            assert_eq!(poll_fn(|cx| other.poll_read(cx, &mut rest)).await.unwrap(), 0);
            assert_eq!(other.peer_addr().unwrap().to_inet().unwrap(), peer_addr, "it stays");
        });
    }

    #[test]
    fn who_waits_for_the_close_is_told_why_the_bytes_did_not_leave() {
        crate::runtime::run(async {
            let (ours, peer) = pair().await;
            ours.put(&vec![1; 8 << 20]).unwrap();
            ours.close();
            peer.abort();
            let error = ours.closed().await.unwrap_err();
            assert!(
                matches!(error.raw_os_error(), Some(libc::ECONNRESET | libc::EPIPE)),
                "{error}"
            );
            let again = ours.closed().await.unwrap_err();
            assert_eq!(again.raw_os_error(), error.raw_os_error());
        });
    }

    #[test]
    fn an_abort_after_a_close_discards_what_the_close_would_send() {
        crate::runtime::run(async {
            let (ours, mut peer) = pair().await;
            ours.put(&vec![1; 8 << 20]).unwrap();
            ours.close();
            ours.abort();
            let _ = ours.closed().await;
            assert_eq!(ours.buffered(), 0);
            let error = read_to_end(&mut peer).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        });
    }
}
