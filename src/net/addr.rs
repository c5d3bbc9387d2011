//! What may be bound or connected to.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use crate::blocking;

/// Something that names one or several socket addresses: an address, a slice of them, `host:port` as
/// text, or a pair of host and port.
///
/// Names are looked up by the system's resolver (`getaddrinfo(3)`) on a thread of the runtime's;
/// addresses are taken as they are. std's trait of this name, without blocking.
pub trait ToSocketAddrs: sealed::Sealed {}

impl<T: sealed::Sealed + ?Sized> ToSocketAddrs for T {}

/// The addresses of `target`, at least one.
pub(super) async fn resolve(target: impl ToSocketAddrs) -> io::Result<Vec<SocketAddr>> {
    let addresses = match target.target() {
        sealed::Target::Addresses(addresses) => addresses,
        sealed::Target::Name(name) => blocking::look_up(move || resolve_name(&name)).await??,
        sealed::Target::Invalid(message) => {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
    };
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "there is no address to use"));
    }
    Ok(addresses)
}

/// The first address of `target`.
pub(super) async fn resolve_one(target: impl ToSocketAddrs) -> io::Result<SocketAddr> {
    match target.address() {
        Some(address) => Ok(address),
        None => Ok(resolve(target).await?[0]),
    }
}

fn resolve_name(name: &str) -> io::Result<Vec<SocketAddr>> {
    std::net::ToSocketAddrs::to_socket_addrs(name).map(Iterator::collect)
}

mod sealed {
    use super::SocketAddr;

    #[expect(unnameable_types, reason = "sealed: nobody outside may implement or call it")]
    #[derive(Debug)]
    pub enum Target {
        Addresses(Vec<SocketAddr>),
        /// `host:port`.
        Name(String),
        Invalid(String),
    }

    #[expect(unnameable_types, reason = "sealed: nobody outside may implement or call it")]
    pub trait Sealed {
        #[doc(hidden)]
        fn target(&self) -> Target;

        /// The address, where it is one: nothing is to be looked up then, nor allocated.
        #[doc(hidden)]
        fn address(&self) -> Option<SocketAddr> {
            None
        }
    }
}

use sealed::{Sealed, Target};

fn name(host: &str, port: Option<u16>) -> Target {
    match port {
        Some(port) => match host.parse::<IpAddr>() {
            Ok(ip) => Target::Addresses(vec![SocketAddr::new(ip, port)]),
            Err(_) if is_name(host) => Target::Name(format!("{host}:{port}")),
            Err(_) => Target::Invalid(format!("'{host}' is neither an address nor a name")),
        },
        None => match host.parse::<SocketAddr>() {
            Ok(address) => Target::Addresses(vec![address]),
            Err(_) if is_name_and_port(host) => Target::Name(host.to_owned()),
            Err(_) => Target::Invalid(format!(
                "'{host}' is not an address: write host:port, such as 127.0.0.1:80 or [::1]:80"
            )),
        },
    }
}

/// Whether it is worth a look-up. An IPv6 address without its brackets is not: its last group would
/// be taken for a port.
fn is_name(host: &str) -> bool {
    !host.is_empty() && !host.contains(':')
}

fn is_name_and_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| is_name(host) && port.parse::<u16>().is_ok())
}

impl Sealed for str {
    fn target(&self) -> Target {
        name(self, None)
    }
}

impl Sealed for String {
    fn target(&self) -> Target {
        name(self, None)
    }
}

impl Sealed for (&str, u16) {
    fn target(&self) -> Target {
        name(self.0, Some(self.1))
    }
}

impl Sealed for (String, u16) {
    fn target(&self) -> Target {
        name(&self.0, Some(self.1))
    }
}

impl Sealed for [SocketAddr] {
    fn target(&self) -> Target {
        Target::Addresses(self.to_vec())
    }
}

impl<T: Sealed + ?Sized> Sealed for &T {
    fn target(&self) -> Target {
        (**self).target()
    }

    fn address(&self) -> Option<SocketAddr> {
        (**self).address()
    }
}

macro_rules! addresses {
    ($($kind:ty),*) => {$(
        impl Sealed for $kind {
            fn target(&self) -> Target {
                Target::Addresses(vec![SocketAddr::from(*self)])
            }

            fn address(&self) -> Option<SocketAddr> {
                Some(SocketAddr::from(*self))
            }
        }
    )*};
}

addresses!(SocketAddr, SocketAddrV4, SocketAddrV6, (IpAddr, u16), (Ipv4Addr, u16), (Ipv6Addr, u16));
