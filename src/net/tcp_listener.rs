//! A TCP socket that listens.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use super::accept::{Acceptor, bind_patiently};
use super::addr::{Family, ToSocketAddrs, resolve, resolve_to_bind};
use super::options::{self, Setting, TcpListenerOptions};
use super::socket::Socket;
use super::tcp_stream::{TcpStream, local_addr, peer_addr};
use crate::op::Call;
use crate::runtime::{Core, Fd, current};
use crate::sys::SockAddr;

/// A TCP socket that listens.
///
/// Connections are accepted ahead, up to [`TcpListenerOptions::parked`], and kept until somebody
/// takes them: a dropped `accept` loses none. Dropping the listener closes those that nobody took.
///
/// # Examples
///
/// ```no_run
/// use ringloop::net::TcpListener;
///
/// ringloop::run(async {
///     let listener = TcpListener::bind("127.0.0.1:8080").await?;
///     loop {
///         let (mut stream, peer) = listener.accept().await?;
///         ringloop::spawn(async move {
///             println!("{peer} is here");
///             stream.write_all(b"hello\n").await
///         });
///     }
///     #[allow(unreachable_code)]
///     std::io::Result::Ok(())
/// }).unwrap();
/// ```
#[derive(Debug)]
pub struct TcpListener {
    acceptor: Rc<Acceptor>,
}

impl TcpListener {
    /// Listens on the first address that can be bound, with the defaults of
    /// [`TcpListenerOptions`]; port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// The last address's: `AddrInUse`, `PermissionDenied`, …; `InvalidInput` for text that is no
    /// address; `NotConnected` outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping it binds nothing, or closes again.
    pub async fn bind(to: impl ToSocketAddrs) -> io::Result<Self> {
        TcpListenerOptions::new().bind(to).await
    }

    /// Listens on each address, with the defaults of [`TcpListenerOptions`]; see
    /// [`TcpListenerOptions::bind_each`].
    ///
    /// # Errors
    ///
    /// As [`TcpListenerOptions::bind_each`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it binds nothing, or closes again.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringloop::net::TcpListener;
    ///
    /// ringloop::run(async {
    ///     for listener in TcpListener::bind_each("localhost:0").await? {
    ///         println!("listening on {}", listener.local_addr()?);
    ///     }
    ///     std::io::Result::Ok(())
    /// }).unwrap();
    /// ```
    #[doc(alias = "create_server")]
    pub async fn bind_each(to: impl ToSocketAddrs) -> io::Result<Vec<Self>> {
        TcpListenerOptions::new().bind_each(to).await
    }

    /// Takes over a listening socket of std.
    ///
    /// # Errors
    ///
    /// `NotConnected` outside a runtime; what `fcntl(2)` says.
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<Self> {
        let core = current()?;
        let fd = Fd::new(crate::sys::file::into_raw(listener.into()), core);
        fd.core().call(Call::SetNonblocking { fd: fd.raw(), on: true })?;
        Ok(Self::new(fd, TcpListenerOptions::new().parked))
    }

    fn new(fd: Fd, parked: usize) -> Self {
        Self { acceptor: Acceptor::new(fd, parked) }
    }

    /// Waits for a connection. Several tasks may wait at once; they are served in turn.
    ///
    /// Short of descriptors (`EMFILE`) it waits until there are some. A connection that its peer
    /// reset before anybody took it is left out.
    ///
    /// # Errors
    ///
    /// The socket is not fit for accepting; the listener is [closed](Self::close) and nothing is left;
    /// `NotConnected` once the runtime has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing: the connection stays for the next `accept`.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let mut next = self.acceptor.accept();
        loop {
            let fd = (&mut next).await?;
            if let Ok(peer) = peer_addr(&fd) {
                return Ok((TcpStream::new(Socket::new(fd)), peer));
            }
        }
    }

    /// Stops listening. Connections that were accepted, or that the kernel had queued, are still
    /// handed out by [`accept`](Self::accept); then it says that the listener is closed.
    pub fn close(&self) {
        self.acceptor.close();
    }

    /// Begins to listen, where the options [deferred](TcpListenerOptions::deferred) that.
    pub(crate) fn listen(&self, backlog: u32) -> io::Result<()> {
        let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
        let listen = |fd: &Fd| fd.core().call(Call::Listen { fd: fd.raw(), backlog });
        self.acceptor.with_fd(listen).map(drop)
    }

    /// Sets what connections inherit from their listener.
    pub(crate) fn hand_down(&self, nodelay: bool, keepalive: Option<Duration>) -> io::Result<()> {
        let nodelay = Setting::flag(libc::IPPROTO_TCP, libc::TCP_NODELAY, nodelay);
        self.acceptor.with_fd(|fd| {
            let set = |setting| options::set(fd.core(), fd.raw(), setting);
            set(nodelay)?;
            if let Some(idle) = keepalive {
                let idle = options::seconds(idle);
                set(Setting::int(libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, idle))?;
                set(Setting::flag(libc::SOL_SOCKET, libc::SO_KEEPALIVE, true))?;
            }
            Ok(())
        })
    }

    /// The address it listens on.
    ///
    /// # Errors
    ///
    /// The listener is closed, or the runtime has ended.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.acceptor.with_fd(local_addr)
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        self.acceptor.abandon();
    }
}

/// Whether this machine does not have the address, or not even its family.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT))
}

impl TcpListenerOptions {
    /// Listens on the first address that can be bound; port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// As [`TcpListener::bind`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it binds nothing, or closes again.
    pub async fn bind(&self, to: impl ToSocketAddrs) -> io::Result<TcpListener> {
        let mut error = None;
        for address in resolve(to).await? {
            match self.bind_one(address).await {
                Ok(listener) => return Ok(listener),
                Err(e) => error = Some(e),
            }
        }
        Err(error.expect("resolve gives an address"))
    }

    /// Listens on each of the addresses: a listener each, in their order. All of them or none, except that
    /// addresses which this machine does not have are left out, as long as there is one that it has.
    ///
    /// Text without a host (`":80"`, or `("", 80)`) means every address of this machine. IPv6 leaves IPv4
    /// alone unless [`only_v6`](Self::only_v6) says otherwise, so `[::]:80` and `0.0.0.0:80` can both be
    /// bound. Port 0 takes a free port **for each**, and they differ.
    ///
    /// The sockets of asyncio's [`create_server`].
    ///
    /// [`create_server`]: https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.create_server
    ///
    /// # Errors
    ///
    /// As [`TcpListener::bind`]; the text names the address. `AddrNotAvailable`: this machine has none of
    /// them.
    ///
    /// # Cancel safety
    ///
    /// Dropping it binds nothing, or closes again.
    #[doc(alias = "create_server")]
    pub async fn bind_each(&self, to: impl ToSocketAddrs) -> io::Result<Vec<TcpListener>> {
        let options = Self { only_v6: self.only_v6.or(Some(true)), ..self.clone() };
        let (mut listeners, mut seen, mut absent) = (Vec::new(), Vec::new(), None);
        for address in resolve_to_bind(to).await? {
            if seen.contains(&address) {
                continue;
            }
            seen.push(address);
            match options.bind_one(address).await {
                Ok(listener) => listeners.push(listener),
                Err(error) => {
                    let text = format!("cannot listen on {address}: {error}");
                    let named = io::Error::new(error.kind(), text);
                    if !is_absent(&error) {
                        return Err(named);
                    }
                    absent = Some(named);
                }
            }
        }
        match absent {
            Some(error) if listeners.is_empty() => Err(error),
            _ => Ok(listeners),
        }
    }

    async fn bind_one(&self, address: SocketAddr) -> io::Result<TcpListener> {
        let core = current()?;
        bind_patiently(|| self.bind_now(&core, address)).await
    }

    fn bind_now(&self, core: &Rc<Core>, address: SocketAddr) -> io::Result<TcpListener> {
        let fd = Fd::socket(core, Family::of(&address).domain(), libc::SOCK_STREAM)?;
        let flags = [(libc::SO_REUSEADDR, self.reuse_addr), (libc::SO_REUSEPORT, self.reuse_port)];
        for (name, _) in flags.into_iter().filter(|(_, on)| *on) {
            options::set(core, fd.raw(), Setting::flag(libc::SOL_SOCKET, name, true))?;
        }
        if let (Some(only), SocketAddr::V6(_)) = (self.only_v6, address) {
            let only = Setting::flag(libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, only);
            options::set(core, fd.raw(), only)?;
        }
        core.call(Call::Bind { fd: fd.raw(), address: &SockAddr::from(address) })?;
        let listener = TcpListener::new(fd, self.parked);
        if !self.deferred {
            listener.listen(self.backlog)?;
        }
        Ok(listener)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Shutdown;
    use std::os::fd::OwnedFd;

    use super::*;
    use crate::task::spawn;

    // Seen to hang, with an inbox of none, when only the accept that had called was told.
    #[test]
    fn all_who_wait_are_told_when_their_listener_fails() {
        for parked in [256, 0] {
            crate::runtime::run(async {
                let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
                let copy = std::net::TcpStream::from(OwnedFd::from(listener.try_clone().unwrap()));
                let fd = TcpListener::from_std(listener).unwrap().acceptor.with_fd(|fd| {
                    let copy = fd.core().call(Call::Duplicate { fd: fd.raw() })?;
                    Ok(Fd::new(copy, fd.core().clone()))
                });
                let listener = Rc::new(TcpListener::new(fd.unwrap(), parked));
                let waiters = [(); 3].map(|()| {
                    let listener = listener.clone();
                    spawn(async move { listener.accept().await.map(drop) })
                });
                crate::task::yield_now().await;
                copy.shutdown(Shutdown::Both).unwrap();
                for waiter in waiters {
                    let error = waiter.await.unwrap().unwrap_err();
                    assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
                }
                listener.accept().await.unwrap_err();
            });
        }
    }

    #[test]
    fn what_a_listener_hands_down_its_connections_have() {
        crate::runtime::run(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            for (nodelay, keepalive) in [(false, None), (true, Some(Duration::from_secs(7)))] {
                listener.hand_down(nodelay, keepalive).unwrap();
                let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
                let (stream, _) = listener.accept().await.unwrap();
                assert_eq!(stream.nodelay().unwrap(), nodelay);
                assert_eq!(stream.keepalive().unwrap(), keepalive);
            }
        });
    }
}
