//! A Unix socket that listens.

use std::cell::RefCell;
use std::io;
use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;

use super::addr::{local_addr, peer_addr, unnamed};
use super::file::SocketFile;
use super::options::listen;
use super::{UnixListenerOptions, UnixStream};
use crate::net::accept::Acceptor;
use crate::op::Call;
use crate::runtime::{Fd, current};

/// A Unix socket that listens, at a path or under an abstract name.
///
/// Connections are accepted ahead, up to [`UnixListenerOptions::parked`], and kept until somebody
/// takes them: a dropped `accept` loses none. Dropping the listener closes those that nobody took.
///
/// **The file.** Binding a path makes a file, which only its owner may connect to
/// ([`mode`](UnixListenerOptions::mode)). The file that a socket left there before is replaced
/// ([`replace`](UnixListenerOptions::replace)); any other file is refused. Closing or dropping the
/// listener removes the file ([`cleanup`](UnixListenerOptions::cleanup)), unless another has taken its
/// place. An abstract name has no file.
///
/// See `unix(7)`, and asyncio's
/// [`create_unix_server`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.create_unix_server).
///
/// # Examples
///
/// ```
/// use ringloop::net::{UnixListener, UnixStream};
///
/// # let path = std::env::temp_dir().join(format!("ringloop-doc-listener-{}", std::process::id()));
/// ringloop::run(async {
///     let listener = UnixListener::bind(&path).await?;
///     let mut client = UnixStream::connect(&path).await?;
///     let (mut server, _) = listener.accept().await?;
///     client.write_all(b"hello").await?;
///     let mut buf = [0; 16];
///     let n = server.read(&mut buf).await?;
///     assert_eq!(&buf[..n], b"hello");
///     drop(listener);
///     assert!(!path.exists());
///     std::io::Result::Ok(())
/// }).unwrap();
/// ```
#[doc(alias = "create_unix_server")]
#[derive(Debug)]
pub struct UnixListener {
    acceptor: Rc<Acceptor>,
    file: RefCell<Option<SocketFile>>,
}

impl UnixListener {
    /// Listens at a path, with the defaults of [`UnixListenerOptions`]; under an abstract name where
    /// `path` begins with a zero byte, as in `"\0name"`.
    ///
    /// # Errors
    ///
    /// `AddrInUse` where something that is not a socket is in the way, or the abstract name is taken;
    /// `InvalidInput` for a path that is empty or too long; `NotFound` without the folder;
    /// `PermissionDenied`, and what else `bind(2)` says; `NotConnected` outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping it binds nothing, or closes again.
    pub async fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        UnixListenerOptions::new().bind(path).await
    }

    /// Listens at an address of std's, with the defaults of [`UnixListenerOptions`]; at an unnamed one
    /// under an abstract name of the kernel's choice.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    ///
    /// # Cancel safety
    ///
    /// Dropping it binds nothing, or closes again.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::os::linux::net::SocketAddrExt;
    /// use std::os::unix::net::SocketAddr;
    /// use ringloop::net::{UnixListener, UnixStream};
    ///
    /// ringloop::run(async {
    ///     # let name = format!("ringloop-doc-{}", std::process::id());
    ///     let address = SocketAddr::from_abstract_name(name)?;
    ///     let listener = UnixListener::bind_addr(&address).await?;
    ///     UnixStream::connect_addr(&listener.local_addr()?).await?;
    ///     std::io::Result::Ok(())
    /// }).unwrap();
    /// ```
    pub async fn bind_addr(address: &SocketAddr) -> io::Result<Self> {
        UnixListenerOptions::new().bind_addr(address).await
    }

    /// Takes over a listening socket of std. Its file, if it has one, is left alone.
    ///
    /// # Errors
    ///
    /// `NotConnected` outside a runtime; what `fcntl(2)` says.
    pub fn from_std(listener: std::os::unix::net::UnixListener) -> io::Result<Self> {
        let core = current()?;
        let fd = Fd::new(crate::sys::file::into_raw(listener.into()), core);
        fd.core().call(Call::SetNonblocking { fd: fd.raw(), on: true })?;
        Ok(Self::new(fd, UnixListenerOptions::new().parked, None))
    }

    pub(super) fn new(fd: Fd, parked: usize, file: Option<SocketFile>) -> Self {
        Self { acceptor: Acceptor::new(fd, parked), file: RefCell::new(file) }
    }

    /// Waits for a connection, and says what its other end is called: mostly nothing
    /// ([`is_unnamed`](SocketAddr::is_unnamed)). Several tasks may wait at once; they are served in
    /// turn.
    ///
    /// Short of descriptors (`EMFILE`) it waits until there are some. A connection whose peer has gone
    /// is handed out: its bytes are there.
    ///
    /// # Errors
    ///
    /// The socket is not fit for accepting; the listener is [closed](Self::close) and nothing is left;
    /// `NotConnected` once the runtime has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing: the connection stays for the next `accept`.
    pub async fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let fd = self.acceptor.accept().await?;
        // Without an answer, or with one that std has no room for, it is a connection all the same.
        let peer = peer_addr(&fd).unwrap_or_else(|_| unnamed());
        Ok((UnixStream::of(fd), peer))
    }

    /// Stops listening, and removes the file. Connections that were accepted, or that the kernel had
    /// queued, are still handed out by [`accept`](Self::accept); then it says that the listener is
    /// closed.
    pub fn close(&self) {
        drop(self.file.take());
        self.acceptor.close();
    }

    /// Begins to listen, where the options [deferred](UnixListenerOptions::deferred) that.
    pub(crate) fn listen(&self, backlog: u32) -> io::Result<()> {
        self.acceptor.with_fd(|fd| listen(fd, backlog))
    }

    /// The address it listens on.
    ///
    /// # Errors
    ///
    /// The listener is closed, or the runtime has ended.
    #[doc(alias = "sockname")]
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.acceptor.with_fd(local_addr)
    }
}

impl Drop for UnixListener {
    fn drop(&mut self) {
        drop(self.file.take());
        self.acceptor.abandon();
    }
}
