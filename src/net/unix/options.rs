//! How a listener is made.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;

use super::UnixListener;
use super::addr::address;
use super::file::{SocketFile, in_use, make_room, name_in_use};
use crate::net::accept::bind_patiently;
use crate::op::Call;
use crate::runtime::{Core, Fd, current};
use crate::sys::SockAddr;

/// How a [`UnixListener`] is made.
///
/// # Examples
///
/// ```
/// use ringloop::net::UnixListenerOptions;
///
/// # let path = std::env::temp_dir().join(format!("ringloop-doc-options-{}", std::process::id()));
/// ringloop::run(async {
///     // The group may connect as well.
///     let listener = UnixListenerOptions::new().mode(0o660).backlog(64).bind(&path).await?;
///     assert_eq!(listener.local_addr()?.as_pathname(), Some(path.as_path()));
///     std::io::Result::Ok(())
/// }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct UnixListenerOptions {
    backlog: u32,
    pub(super) parked: usize,
    /// Bound only: [`UnixListener::listen`] follows.
    deferred: bool,
    mode: Option<u32>,
    replace: bool,
    cleanup: bool,
}

impl UnixListenerOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            backlog: 4096,
            parked: 256,
            deferred: false,
            mode: Some(0o600),
            replace: true,
            cleanup: true,
        }
    }

    /// How many connections the kernel keeps before they are accepted (4096; the kernel lowers it to
    /// `net.core.somaxconn`). See `listen(2)`. Where it is full, whoever dials waits.
    pub fn backlog(&mut self, connections: u32) -> &mut Self {
        self.backlog = connections;
        self
    }

    /// How many accepted connections may wait for [`accept`](UnixListener::accept) (256) before
    /// accepting pauses; the rest stays in the kernel's backlog. As
    /// [`TcpListenerOptions::parked`](crate::net::TcpListenerOptions::parked).
    pub fn parked(&mut self, connections: usize) -> &mut Self {
        self.parked = connections;
        self
    }

    /// Binds without listening yet: dials are refused until then.
    pub(crate) fn deferred(&mut self) -> &mut Self {
        self.deferred = true;
        self
    }

    /// The permissions of the file (`0o600`): who may write to it may connect. They are set before
    /// anybody can. An abstract name has none: everybody may connect.
    pub fn mode(&mut self, mode: u32) -> &mut Self {
        self.mode = Some(mode & 0o777);
        self
    }

    /// Leaves the permissions of the file to the `umask(2)` of the process, as asyncio does.
    pub fn mode_of_umask(&mut self) -> &mut Self {
        self.mode = None;
        self
    }

    /// Whether a socket's file at the path is replaced (on). It is, as in asyncio, whether or not a
    /// server still listens there: that one keeps its connections, and gets no new ones. Off, a bind
    /// finds the path in use.
    ///
    /// What is not a socket (a regular file, a symbolic link) is never replaced.
    pub fn replace(&mut self, on: bool) -> &mut Self {
        self.replace = on;
        self
    }

    /// Whether the file is removed when the listener is closed or dropped (on), unless another file has
    /// taken its place by then.
    #[doc(alias = "cleanup_socket")]
    pub fn cleanup(&mut self, on: bool) -> &mut Self {
        self.cleanup = on;
        self
    }

    /// Listens at a path, or under an abstract name where `path` begins with a zero byte.
    ///
    /// # Errors
    ///
    /// As [`UnixListener::bind`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it binds nothing, or closes again.
    pub async fn bind(&self, path: impl AsRef<Path>) -> io::Result<UnixListener> {
        let address = address(path.as_ref())?;
        self.bind_addr(&address).await
    }

    /// Listens at an address of std's; at an unnamed one under an abstract name of the kernel's choice.
    ///
    /// # Errors
    ///
    /// As [`UnixListener::bind`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it binds nothing, or closes again.
    pub async fn bind_addr(&self, address: &SocketAddr) -> io::Result<UnixListener> {
        let core = current()?;
        match address.as_pathname() {
            Some(path) => self.bind_path(&core, path, address),
            // A listener that was dropped a moment ago has its name until it is closed.
            None => bind_patiently(|| {
                let fd = bound(&core, address, None)?;
                self.listen(fd, None)
            })
            .await
            .map_err(|error| match (error.kind(), address.as_abstract_name()) {
                (io::ErrorKind::AddrInUse, Some(name)) => name_in_use(name),
                _ => error,
            }),
        }
    }

    fn bind_path(
        &self,
        core: &Rc<Core>,
        path: &Path,
        address: &SocketAddr,
    ) -> io::Result<UnixListener> {
        if self.replace {
            make_room(path);
        }
        let fd = bound(core, address, self.mode).map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => in_use(path),
            _ => error,
        })?;
        // From here on an error removes it.
        let file = SocketFile::new(core, path);
        if let Some(mode) = self.mode {
            file.widen(mode)?;
        }
        self.listen(fd, Some(file))
    }

    fn listen(&self, fd: Fd, file: Option<SocketFile>) -> io::Result<UnixListener> {
        if !self.deferred {
            listen(&fd, self.backlog)?;
        }
        let file = match file {
            Some(file) if !self.cleanup => {
                file.keep();
                None
            }
            file => file,
        };
        Ok(UnixListener::new(fd, self.parked, file))
    }
}

impl Default for UnixListenerOptions {
    fn default() -> Self {
        Self::new()
    }
}

pub(super) fn listen(fd: &Fd, backlog: u32) -> io::Result<()> {
    let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
    fd.core().call(Call::Listen { fd: fd.raw(), backlog }).map(drop)
}

/// A socket with that address; its file has no permissions beyond `mode`, from its first moment.
fn bound(core: &Rc<Core>, address: &SocketAddr, mode: Option<u32>) -> io::Result<Fd> {
    let fd = Fd::socket(core, libc::AF_UNIX, libc::SOCK_STREAM)?;
    if let Some(mode) = mode {
        core.call(Call::SetMode { fd: fd.raw(), mode })?;
    }
    core.call(Call::Bind { fd: fd.raw(), address: &SockAddr::from(address) })?;
    Ok(fd)
}
