//! The system's resolver: names to addresses, and back. These calls block.
#![expect(unsafe_code, reason = "getaddrinfo(3), getnameinfo(3), and the memory that they fill")]

use std::ffi::{CStr, CString};
use std::net::SocketAddr;
use std::{io, mem, ptr};

use super::SockAddr;

/// `getaddrinfo(3)` for TCP: the addresses of `host`, each once, with the port of `service` (a name or
/// a number). `family` is `AF_INET`, `AF_INET6`, or `AF_UNSPEC` for both.
pub(crate) fn addresses(host: &str, service: &str, family: i32) -> io::Result<Vec<SocketAddr>> {
    let (host, service) = (c_string(host)?, c_string(service)?);
    // SAFETY: all zeros is a valid addrinfo: numbers, and pointers to nothing.
    let mut hints: libc::addrinfo = unsafe { mem::zeroed() };
    hints.ai_family = family;
    hints.ai_socktype = libc::SOCK_STREAM;
    let mut first = ptr::null_mut();
    // SAFETY: two C strings, hints that live across the call, and room for a pointer.
    let code = unsafe {
        libc::getaddrinfo(host.as_ptr(), service.as_ptr(), &raw const hints, &raw mut first)
    };
    if code != 0 {
        return Err(failure(code));
    }
    let list = List(first);
    let mut found = Vec::new();
    let mut next = list.0;
    // SAFETY: `next` is null or a member of the list, which lives until the end of this function.
    while let Some(info) = unsafe { next.as_ref() } {
        // SAFETY: the member's address is readable for its length.
        let address = unsafe { SockAddr::read(info.ai_addr, info.ai_addrlen) };
        match address.to_inet() {
            Ok(address) if !found.contains(&address) => found.push(address),
            _ => {}
        }
        next = info.ai_next;
    }
    Ok(found)
}

/// `getnameinfo(3)`: the names of an address's host and service. `flags` are its `NI_*`.
pub(crate) fn names(address: &SockAddr, flags: i32) -> io::Result<(String, String)> {
    // NI_MAXHOST and NI_MAXSERV of glibc, the larger ones.
    let (mut host, mut service) = ([0u8; 1025], [0u8; 32]);
    // SAFETY: the address is readable for its length, and both buffers are writable for theirs.
    let code = unsafe {
        libc::getnameinfo(
            address.as_ptr(),
            address.len(),
            host.as_mut_ptr().cast(),
            host.len() as libc::socklen_t,
            service.as_mut_ptr().cast(),
            service.len() as libc::socklen_t,
            flags,
        )
    };
    if code != 0 {
        return Err(failure(code));
    }
    let text = |bytes: &[u8]| {
        let text = CStr::from_bytes_until_nul(bytes).unwrap_or_default();
        text.to_string_lossy().into_owned()
    };
    Ok((text(&host), text(&service)))
}

/// What `getaddrinfo(3)` has allocated.
struct List(*mut libc::addrinfo);

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: it came from getaddrinfo, and nobody else frees it.
        unsafe { libc::freeaddrinfo(self.0) };
    }
}

fn c_string(text: &str) -> io::Result<CString> {
    CString::new(text).map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidInput, "a name has no NUL character within")
    })
}

/// The hosts of a network that there are no addresses for: glibc's, not in libc.
const EAI_ADDRFAMILY: i32 = -9;

/// What an `EAI_*` is as an error. Called right after the call that gave it.
fn failure(code: i32) -> io::Error {
    use io::ErrorKind;
    let kind = match code {
        libc::EAI_SYSTEM => return io::Error::last_os_error(),
        libc::EAI_NONAME | libc::EAI_NODATA | EAI_ADDRFAMILY => ErrorKind::NotFound,
        libc::EAI_AGAIN => ErrorKind::TimedOut,
        libc::EAI_SERVICE | libc::EAI_FAMILY | libc::EAI_SOCKTYPE | libc::EAI_BADFLAGS => {
            ErrorKind::InvalidInput
        }
        libc::EAI_MEMORY => ErrorKind::OutOfMemory,
        _ => ErrorKind::Other,
    };
    // SAFETY: a number, and any will do.
    let text = unsafe { libc::gai_strerror(code) };
    // SAFETY: it is a C string, and lives for ever.
    let text = unsafe { CStr::from_ptr(text) };
    io::Error::new(kind, text.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_of_the_resolver_has_a_kind_and_its_own_words() {
        use io::ErrorKind::*;
        let codes = [
            (libc::EAI_NONAME, NotFound),
            (libc::EAI_AGAIN, TimedOut),
            (libc::EAI_FAIL, Other),
            (libc::EAI_SERVICE, InvalidInput),
            (libc::EAI_MEMORY, OutOfMemory),
            (i32::MIN, Other),
        ];
        let mut texts = Vec::new();
        for (code, kind) in codes {
            let error = failure(code);
            assert_eq!(error.kind(), kind, "{error}");
            assert!(!texts.contains(&error.to_string()) && !error.to_string().is_empty());
            texts.push(error.to_string());
        }
    }

    #[test]
    fn numbers_are_addresses_without_anybody_being_asked() {
        let found = addresses("127.0.0.1", "80", libc::AF_UNSPEC).unwrap();
        assert_eq!(found, ["127.0.0.1:80".parse().unwrap()]);
        let found = addresses("::1", "0", libc::AF_UNSPEC).unwrap();
        assert_eq!(found, ["[::1]:0".parse().unwrap()]);
        assert!(addresses("::1", "0", libc::AF_INET).is_err());
        let numeric = libc::NI_NUMERICHOST | libc::NI_NUMERICSERV;
        let address: SocketAddr = "[::1]:65535".parse().unwrap();
        let names = names(&SockAddr::from(address), numeric).unwrap();
        assert_eq!(names, ("::1".into(), "65535".into()));
        assert!(super::names(&SockAddr::empty(), numeric).is_err());
    }
}
