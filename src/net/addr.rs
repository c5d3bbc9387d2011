//! What may be bound or connected to.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use crate::blocking;
use crate::sys::names;

/// Something that names one or several socket addresses: an address, a slice of them, `host:port` as
/// text, or a pair of host and port; the port of a pair may be a service, such as `"http"`.
///
/// Names are looked up by the system's resolver (`getaddrinfo(3)`) on threads of their own, and so are
/// the zones of addresses such as `[fe80::1%eth0]:80`; other addresses are taken as they are, and no
/// resolver is asked. std's trait of this name, without blocking.
pub trait ToSocketAddrs: sealed::Sealed {}

impl<T: sealed::Sealed + ?Sized> ToSocketAddrs for T {}

/// IPv4 or IPv6.
#[doc(alias = "AF_INET")]
#[doc(alias = "AF_INET6")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `AF_INET`.
    V4,
    /// `AF_INET6`.
    V6,
}

impl Family {
    pub(super) fn of(address: &SocketAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    pub(super) fn domain(self) -> i32 {
        match self {
            Self::V4 => libc::AF_INET,
            Self::V6 => libc::AF_INET6,
        }
    }
}

impl std::fmt::Display for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// The addresses of a target, at least one.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) addresses: Vec<SocketAddr>,
    /// What was looked up, as `host:port`.
    pub(super) name: Option<String>,
}

/// The addresses of `target`, at least one.
pub(super) async fn resolve(target: impl ToSocketAddrs) -> io::Result<Vec<SocketAddr>> {
    find(target, None).await.map(|found| found.addresses)
}

/// The first address of `target`.
pub(super) async fn resolve_one(target: impl ToSocketAddrs) -> io::Result<SocketAddr> {
    match target.address() {
        Some(address) => Ok(address),
        None => Ok(resolve(target).await?[0]),
    }
}

/// As [`resolve`]; text without a host means every address of this machine.
pub(super) async fn resolve_to_bind(target: impl ToSocketAddrs) -> io::Result<Vec<SocketAddr>> {
    match target.target() {
        sealed::Target::Everywhere(port, _) => {
            Ok(vec![(Ipv6Addr::UNSPECIFIED, port).into(), (Ipv4Addr::UNSPECIFIED, port).into()])
        }
        _ => resolve(target).await,
    }
}

/// The addresses of `target` that are of the family.
pub(super) async fn find(target: impl ToSocketAddrs, family: Option<Family>) -> io::Result<Found> {
    let invalid = |message: String| io::Error::new(io::ErrorKind::InvalidInput, message);
    let mut found = match target.target() {
        sealed::Target::Addresses(addresses) => Found { addresses, name: None },
        sealed::Target::Name(host, service) => {
            let name = Some(match host.contains(':') {
                true => format!("[{host}]:{service}"),
                false => format!("{host}:{service}"),
            });
            let addresses = blocking::look_up(move || look_up(&host, &service, family)).await??;
            Found { addresses, name }
        }
        sealed::Target::Everywhere(_, message) | sealed::Target::Invalid(message) => {
            return Err(invalid(message));
        }
    };
    if found.addresses.is_empty() {
        return Err(invalid("there is no address to use".into()));
    }
    if let Some(family) = family {
        found.addresses.retain(|address| Family::of(address) == family);
        if found.addresses.is_empty() {
            return Err(invalid(format!("none of the addresses is an {family} address")));
        }
    }
    Ok(found)
}

/// Asks the resolver. Blocks.
fn look_up(host: &str, service: &str, family: Option<Family>) -> io::Result<Vec<SocketAddr>> {
    let family = family.map_or(libc::AF_UNSPEC, Family::domain);
    names::addresses(host, service, family).map_err(|error| {
        let text = format!("cannot look up '{host}' (port {service}): {error}");
        io::Error::new(error.kind(), text)
    })
}

mod sealed {
    use super::SocketAddr;

    #[expect(unnameable_types, reason = "sealed: nobody outside may implement or call it")]
    #[derive(Debug)]
    pub enum Target {
        Addresses(Vec<SocketAddr>),
        /// A host, and the name or the number of a port.
        Name(String, String),
        /// A port without a host, and why that is invalid except to bind every address.
        Everywhere(u16, String),
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

/// Of `host:port`.
fn text(text: &str) -> Target {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Target::Addresses(vec![address]);
    }
    let message =
        format!("'{text}' is not an address: write host:port, such as 127.0.0.1:80 or [::1]:80");
    let parts = text.rsplit_once(':');
    let Some((host, Ok(port))) = parts.map(|(host, port)| (host, port.parse::<u16>())) else {
        return Target::Invalid(message);
    };
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match bracketed {
        _ if host.is_empty() => Target::Everywhere(port, message),
        Some(host) if has_zone(host) => Target::Name(host.to_owned(), port.to_string()),
        None if is_name(host) => Target::Name(host.to_owned(), port.to_string()),
        _ => Target::Invalid(message),
    }
}

fn pair(host: &str, port: u16) -> Target {
    match host.parse::<IpAddr>() {
        Ok(ip) => Target::Addresses(vec![SocketAddr::new(ip, port)]),
        Err(_) => match name(host, port.to_string()) {
            Target::Invalid(message) if host.is_empty() => Target::Everywhere(port, message),
            target => target,
        },
    }
}

/// Of a host and a service, which is a name or a number.
fn name(host: &str, service: String) -> Target {
    if is_name(host) || has_zone(host) || host.parse::<IpAddr>().is_ok() {
        Target::Name(host.to_owned(), service)
    } else {
        Target::Invalid(format!("'{host}' is neither an address nor a name"))
    }
}

fn service(host: &str, service: &str) -> Target {
    match service.parse() {
        Ok(port) => pair(host, port),
        Err(_) if service.is_empty() => Target::Invalid("a port is a number or a name".into()),
        Err(_) => name(host, service.to_owned()),
    }
}

/// Whether it is worth a look-up. An IPv6 address without its brackets is not: its last group would
/// be taken for a port.
fn is_name(host: &str) -> bool {
    !host.is_empty() && !host.contains(':')
}

/// Whether it is an IPv6 address with the zone (the interface) that it is valid in.
fn has_zone(host: &str) -> bool {
    host.split_once('%')
        .is_some_and(|(ip, zone)| ip.parse::<Ipv6Addr>().is_ok() && !zone.is_empty())
}

impl Sealed for str {
    fn target(&self) -> Target {
        text(self)
    }

    fn address(&self) -> Option<SocketAddr> {
        self.parse().ok()
    }
}

impl Sealed for String {
    fn target(&self) -> Target {
        text(self)
    }

    fn address(&self) -> Option<SocketAddr> {
        self.parse().ok()
    }
}

impl Sealed for (&str, u16) {
    fn target(&self) -> Target {
        pair(self.0, self.1)
    }
}

impl Sealed for (String, u16) {
    fn target(&self) -> Target {
        pair(&self.0, self.1)
    }
}

impl Sealed for (&str, &str) {
    fn target(&self) -> Target {
        service(self.0, self.1)
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
