//! Names of hosts and services, and the addresses that they stand for.

use std::io;
use std::net::SocketAddr;

use super::addr::{ToSocketAddrs, resolve};
use crate::blocking;
use crate::sys::{SockAddr, names};

/// Looks up the addresses of a host; asyncio's [`getaddrinfo`].
///
/// They come in the order of the system's resolver (`getaddrinfo(3)`, RFC 6724: the best first), each
/// once. The resolver is asked on threads of its own ([`Builder::lookup_threads`]), so that neither
/// look-ups nor [`spawn_blocking`](crate::spawn_blocking) hold up the other. What is an address already is
/// given back, and nobody is asked. Nothing is kept: each call asks anew.
///
/// [`TcpStream::connect`](super::TcpStream::connect) takes names itself, and tries all of their addresses.
///
/// [`getaddrinfo`]: https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.getaddrinfo
/// [`Builder::lookup_threads`]: crate::Builder::lookup_threads
///
/// # Errors
///
/// Its text names the host. `NotFound`: there is no such name, or it has no address. `TimedOut`: the name
/// servers gave no answer for now. `InvalidInput`: there is no such service, or it is no name.
/// `NotConnected` outside a runtime; what else `getaddrinfo(3)` says.
///
/// # Cancel safety
///
/// Dropped, it takes the look-up back if it has not begun; else its result is dropped.
///
/// # Examples
///
/// ```
/// use ringloop::net::lookup_host;
///
/// ringloop::run(async {
///     for address in lookup_host("localhost:80").await? {
///         assert!(address.ip().is_loopback());
///     }
///     // Nobody is asked: it is an address.
///     let mut found = lookup_host(("::1", 80)).await?;
///     assert_eq!(found.next(), Some("[::1]:80".parse().unwrap()));
///     std::io::Result::Ok(())
/// }).unwrap();
/// ```
#[doc(alias = "getaddrinfo")]
#[doc(alias = "resolve")]
pub async fn lookup_host(host: impl ToSocketAddrs) -> io::Result<std::vec::IntoIter<SocketAddr>> {
    Ok(resolve(host).await?.into_iter())
}

/// Looks up the names of an address's host and service, or says them as numbers where there are none;
/// asyncio's [`getnameinfo`]. [`NameLookup`] asks for more or for less.
///
/// [`getnameinfo`]: https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.getnameinfo
///
/// # Errors
///
/// As [`NameLookup::look_up`].
///
/// # Cancel safety
///
/// As [`lookup_host`].
///
/// # Examples
///
/// ```
/// use ringloop::net::lookup_addr;
///
/// ringloop::run(async {
///     let (host, service) = lookup_addr("127.0.0.1:22".parse().unwrap()).await?;
///     println!("{host}, {service}");
///     std::io::Result::Ok(())
/// }).unwrap();
/// ```
#[doc(alias = "getnameinfo")]
pub async fn lookup_addr(address: SocketAddr) -> io::Result<(String, String)> {
    NameLookup::new().look_up(address).await
}

/// How the names of an address are looked up: the flags of `getnameinfo(3)`.
///
/// # Examples
///
/// ```
/// use ringloop::net::NameLookup;
///
/// ringloop::run(async {
///     let address = "127.0.0.1:80".parse().unwrap();
///     let names = NameLookup::new().numeric_host(true).numeric_service(true).look_up(address).await?;
///     assert_eq!(names, ("127.0.0.1".to_owned(), "80".to_owned()));
///     std::io::Result::Ok(())
/// }).unwrap();
/// ```
#[derive(Clone, Debug, Default)]
pub struct NameLookup {
    flags: i32,
}

impl NameLookup {
    /// Names where there are some, numbers elsewhere; services of TCP.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the host as a number, and asks no name server (`NI_NUMERICHOST`; off).
    #[doc(alias = "NI_NUMERICHOST")]
    pub fn numeric_host(&mut self, on: bool) -> &mut Self {
        self.flag(libc::NI_NUMERICHOST, on)
    }

    /// Gives the service as a number (`NI_NUMERICSERV`; off).
    #[doc(alias = "NI_NUMERICSERV")]
    pub fn numeric_service(&mut self, on: bool) -> &mut Self {
        self.flag(libc::NI_NUMERICSERV, on)
    }

    /// Makes a host without a name an error (`NI_NAMEREQD`; off).
    #[doc(alias = "NI_NAMEREQD")]
    pub fn name_required(&mut self, on: bool) -> &mut Self {
        self.flag(libc::NI_NAMEREQD, on)
    }

    /// Takes the service for UDP's (`NI_DGRAM`; off): a few ports differ.
    #[doc(alias = "NI_DGRAM")]
    pub fn datagram(&mut self, on: bool) -> &mut Self {
        self.flag(libc::NI_DGRAM, on)
    }

    /// Looks up the names of the host and of the service.
    ///
    /// # Errors
    ///
    /// Its text names the address. `NotFound`: it has no name, and one is
    /// [required](Self::name_required). `TimedOut`: the name servers gave no answer for now.
    /// `NotConnected` outside a runtime; what else `getnameinfo(3)` says.
    ///
    /// # Cancel safety
    ///
    /// As [`lookup_host`].
    pub async fn look_up(&self, address: SocketAddr) -> io::Result<(String, String)> {
        let flags = self.flags;
        let names =
            blocking::look_up(move || names::names(&SockAddr::from(address), flags)).await?;
        names.map_err(|error| {
            io::Error::new(error.kind(), format!("cannot look up a name of {address}: {error}"))
        })
    }

    fn flag(&mut self, flag: i32, on: bool) -> &mut Self {
        if on {
            self.flags |= flag;
        } else {
            self.flags &= !flag;
        }
        self
    }
}
