//! Socket addresses as the kernel writes them.
//!
//! Only libc's `sockaddr_*` and explicit lengths; no assumption about the layout of std's types.
#![expect(unsafe_code, reason = "reads a sockaddr by its family, after a length check")]

use std::ffi::OsStr;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::SocketAddr as UnixAddr;
use std::{fmt, io, mem};

/// Where the path of a Unix socket begins.
const PATH: usize = mem::offset_of!(libc::sockaddr_un, sun_path);

/// A `sockaddr_storage` and the length that is in use.
#[derive(Clone, Copy)]
pub(crate) struct SockAddr {
    storage: libc::sockaddr_storage,
    len: libc::socklen_t,
}

impl SockAddr {
    /// Room for any address, none in it yet.
    pub(crate) fn empty() -> Self {
        // SAFETY: a sockaddr_storage is plain integers; all zeroes is AF_UNSPEC.
        Self { storage: unsafe { mem::zeroed() }, len: 0 }
    }

    /// An address as a kernel might write it: these bytes, of which it says that there are `len`.
    pub(crate) fn raw(bytes: &[u8], len: libc::socklen_t) -> Self {
        let mut this = Self { len, ..Self::empty() };
        let n = bytes.len().min(size_of::<libc::sockaddr_storage>());
        // SAFETY: `n` bytes fit into the storage, for which every pattern is valid, and come from a
        // slice that is no part of it.
        unsafe { (&raw mut this.storage).cast::<u8>().copy_from_nonoverlapping(bytes.as_ptr(), n) };
        this
    }

    /// A copy of an address, of as much as there is room for.
    ///
    /// # Safety
    ///
    /// `address` is readable for `len` bytes.
    pub(super) unsafe fn read(address: *const libc::sockaddr, len: libc::socklen_t) -> Self {
        let room = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        let mut this = Self { len: len.min(room), ..Self::empty() };
        let storage = (&raw mut this.storage).cast::<u8>();
        // SAFETY: readable says the caller; the storage has room for so many bytes, and is new.
        unsafe { storage.copy_from_nonoverlapping(address.cast(), this.len as usize) };
        this
    }

    pub(crate) fn as_ptr(&self) -> *const libc::sockaddr {
        (&raw const self.storage).cast()
    }

    pub(crate) fn len(&self) -> libc::socklen_t {
        self.len
    }

    /// Where a syscall may write an address, and its length (all of the storage before the call).
    pub(super) fn as_out(&mut self) -> (*mut libc::sockaddr, *mut libc::socklen_t) {
        self.len = mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        ((&raw mut self.storage).cast(), &raw mut self.len)
    }

    /// The address, if it is one of the internet's.
    ///
    /// # Errors
    ///
    /// `InvalidData` for other families and for lengths too short for their family.
    pub(crate) fn to_inet(self) -> io::Result<SocketAddr> {
        let family = i32::from(self.storage.ss_family);
        let len = self.len as usize;
        if family == libc::AF_INET && len >= mem::size_of::<libc::sockaddr_in>() {
            // SAFETY: the family says sockaddr_in, the length covers it, and the storage is larger
            // and stricter aligned than any sockaddr.
            let v4 = unsafe { &*(&raw const self.storage).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Ok(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        } else if family == libc::AF_INET6 && len >= mem::size_of::<libc::sockaddr_in6>() {
            // SAFETY: as above, for sockaddr_in6.
            let v6 = unsafe { &*(&raw const self.storage).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            let port = u16::from_be(v6.sin6_port);
            Ok(SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id).into())
        } else {
            Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("not an internet address: family {family}, {len} bytes"),
            ))
        }
    }

    /// The address, if it is a Unix socket's. A length that leaves no room for a family is the kernel's
    /// word for a sender without a name.
    ///
    /// # Errors
    ///
    /// `InvalidData` for other families, and for what std has no room for: a path of all 108 bytes.
    pub(crate) fn to_unix(self) -> io::Result<UnixAddr> {
        let family = i32::from(self.storage.ss_family);
        let bytes = self.bytes();
        if family != libc::AF_UNIX && bytes.len() >= mem::size_of::<libc::sa_family_t>() {
            let message = format!("not the address of a Unix socket: family {family}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let address = match bytes.get(PATH..).unwrap_or_default() {
            // std's word for none.
            [] => UnixAddr::from_pathname(""),
            [0, name @ ..] => UnixAddr::from_abstract_name(name),
            path => {
                let path = path.split(|byte| *byte == 0).next().unwrap_or_default();
                UnixAddr::from_pathname(OsStr::from_bytes(path))
            }
        };
        address.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// What is in use.
    fn bytes(&self) -> &[u8] {
        let len = (self.len as usize).min(mem::size_of::<libc::sockaddr_storage>());
        // SAFETY: the storage is plain integers without padding that matters: all of it was zeroed
        // before anything was written, so each byte has a value. `len` is not more than there are.
        unsafe { std::slice::from_raw_parts((&raw const self.storage).cast::<u8>(), len) }
    }
}

impl From<&UnixAddr> for SockAddr {
    fn from(address: &UnixAddr) -> Self {
        let mut this = Self::empty();
        this.storage.ss_family = libc::AF_UNIX as libc::sa_family_t;
        let (start, name) = match (address.as_pathname(), address.as_abstract_name()) {
            (Some(path), _) => (PATH, path.as_os_str().as_bytes()),
            (_, Some(name)) => (PATH + 1, name),
            _ => (PATH, &[][..]),
        };
        let room = mem::size_of::<libc::sockaddr_un>() - start;
        let name = &name[..name.len().min(room)];
        let to = (&raw mut this.storage).cast::<u8>().wrapping_add(start);
        // SAFETY: the name fits into a sockaddr_un behind its start, and so into the storage, for which
        // every pattern is valid; it is no part of it.
        unsafe { to.copy_from_nonoverlapping(name.as_ptr(), name.len()) };
        // A path ends with a zero, which counts.
        let end = start + name.len() + usize::from(address.as_pathname().is_some());
        this.len = end as libc::socklen_t;
        this
    }
}

impl From<SocketAddr> for SockAddr {
    fn from(address: SocketAddr) -> Self {
        let mut this = Self::empty();
        match address {
            SocketAddr::V4(address) => {
                // SAFETY: the storage is larger and stricter aligned than a sockaddr_in, all of
                // whose bit patterns are valid.
                let v4 = unsafe { &mut *(&raw mut this.storage).cast::<libc::sockaddr_in>() };
                v4.sin_family = libc::AF_INET as libc::sa_family_t;
                v4.sin_port = address.port().to_be();
                v4.sin_addr.s_addr = u32::from(*address.ip()).to_be();
                this.len = mem::size_of::<libc::sockaddr_in>() as libc::socklen_t;
            }
            SocketAddr::V6(address) => {
                // SAFETY: as above, for a sockaddr_in6.
                let v6 = unsafe { &mut *(&raw mut this.storage).cast::<libc::sockaddr_in6>() };
                v6.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                v6.sin6_port = address.port().to_be();
                v6.sin6_flowinfo = address.flowinfo();
                v6.sin6_addr.s6_addr = address.ip().octets();
                v6.sin6_scope_id = address.scope_id();
                this.len = mem::size_of::<libc::sockaddr_in6>() as libc::socklen_t;
            }
        }
        this
    }
}

impl fmt::Debug for SockAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.to_inet(), self.to_unix()) {
            (Ok(address), _) => address.fmt(f),
            (_, Ok(address)) => address.fmt(f),
            _ => write!(f, "SockAddr(family {})", self.storage.ss_family),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_round_trip() {
        for text in ["127.0.0.1:80", "0.0.0.0:0", "[::1]:65535", "[fe80::1%7]:9"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(SockAddr::from(address).to_inet().unwrap(), address);
        }
    }

    #[test]
    fn a_short_or_foreign_address_is_an_error() {
        assert!(SockAddr::empty().to_inet().is_err());
        let mut short = SockAddr::from("127.0.0.1:80".parse::<SocketAddr>().unwrap());
        short.len = 3;
        assert!(short.to_inet().is_err());
    }
    #[test]
    fn unix_addresses_survive_the_round_trip() {
        let longest = "x".repeat(107);
        let addresses = [
            UnixAddr::from_pathname(""),
            UnixAddr::from_pathname("/run/a socket"),
            UnixAddr::from_pathname(&longest),
            UnixAddr::from_abstract_name(b""),
            UnixAddr::from_abstract_name(b"a\0b\0"),
            UnixAddr::from_abstract_name(&longest),
        ];
        for address in addresses {
            let address = address.unwrap();
            let back = SockAddr::from(&address).to_unix().unwrap();
            assert_eq!(back.as_pathname(), address.as_pathname());
            assert_eq!(back.as_abstract_name(), address.as_abstract_name());
            assert_eq!(back.is_unnamed(), address.is_unnamed());
        }
        assert!(UnixAddr::from_pathname("").unwrap().is_unnamed(), "std has another word for none");
    }

    #[test]
    fn a_unix_address_of_the_kernel_is_read_as_far_as_it_goes() {
        let unix = (libc::AF_UNIX as libc::sa_family_t).to_ne_bytes();
        let of = |path: &[u8], len: usize| SockAddr::raw(&[&unix, path].concat(), len as u32);
        let path = |address: SockAddr| address.to_unix().unwrap().as_pathname().unwrap().to_owned();
        assert!(of(b"", 0).to_unix().unwrap().is_unnamed(), "a sender without a name");
        assert!(of(b"", 2).to_unix().unwrap().is_unnamed());
        assert_eq!(path(of(b"/a\0", 5)).to_str(), Some("/a"));
        assert_eq!(path(of(b"/a", 4)).to_str(), Some("/a"), "without its zero");
        assert_eq!(path(of(b"/a\0/b", 7)).to_str(), Some("/a"), "behind its zero");
        // The kernel takes a path of 108 bytes, and says that its zero is the 109th.
        assert!(of(&[b'x'; 108], 111).to_unix().is_err());
        assert!(of(b"/a", 4000).to_unix().is_ok(), "a length beyond all bounds");
        let inet = SockAddr::from("127.0.0.1:80".parse::<SocketAddr>().unwrap());
        assert!(inet.to_unix().is_err() && of(b"/a", 4).to_inet().is_err());
    }
}
