//! What may be bound or connected to.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::SocketAddr;
use std::path::Path;

use crate::op::Call;
use crate::runtime::Fd;
use crate::sys::SockAddr;

/// Bytes of a path, at most: a zero follows. As many follow the zero that begins an abstract name.
const LONGEST: usize = 107;

/// The address that `path` names: of a file, or an abstract one where it begins with a zero.
///
/// # Errors
///
/// `InvalidInput` where it is empty, too long, or has a zero in the middle.
pub(in crate::net) fn address(path: &Path) -> io::Result<SocketAddr> {
    let bytes = path.as_os_str().as_bytes();
    let name = bytes.strip_prefix(&[0]);
    let length = name.unwrap_or(bytes).len();
    let refused = |says: String| Err(io::Error::new(io::ErrorKind::InvalidInput, says));
    match name {
        _ if bytes.is_empty() => refused("the path of a Unix socket must not be empty".into()),
        _ if length > LONGEST => refused(format!(
            "{path:?} is too long for a Unix socket: it has {length} bytes, and there is room for {LONGEST}"
        )),
        Some(name) => SocketAddr::from_abstract_name(name),
        None if bytes.contains(&0) => refused(format!("{path:?} has a zero in the middle")),
        None => SocketAddr::from_pathname(path),
    }
}

/// The address of a socket that has none.
pub(in crate::net) fn unnamed() -> SocketAddr {
    SocketAddr::from_pathname("").expect("std takes the empty path for no name")
}

pub(in crate::net) fn peer_addr(fd: &Fd) -> io::Result<SocketAddr> {
    let mut address = SockAddr::empty();
    fd.core().call(Call::PeerAddr { fd: fd.raw(), address: &mut address })?;
    address.to_unix()
}

pub(in crate::net) fn local_addr(fd: &Fd) -> io::Result<SocketAddr> {
    let mut address = SockAddr::empty();
    fd.core().call(Call::LocalAddr { fd: fd.raw(), address: &mut address })?;
    address.to_unix()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_file_an_abstract_name_or_an_error_that_says_why() {
        let of = |text: &str| address(Path::new(text));
        assert_eq!(of("/a").unwrap().as_pathname(), Some(Path::new("/a")));
        assert_eq!(of("\0a\0b").unwrap().as_abstract_name(), Some(&b"a\0b"[..]));
        assert_eq!(of("\0").unwrap().as_abstract_name(), Some(&b""[..]));
        let longest = "x".repeat(LONGEST);
        of(&longest).unwrap();
        of(&format!("\0{longest}")).unwrap();
        let refused = ["", "a\0b", &format!("{longest}x"), &format!("\0{longest}x")];
        let says = ["be empty", "zero in the middle", "has 108 bytes", "has 108 bytes"];
        for (text, says) in refused.into_iter().zip(says) {
            let error = of(text).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains(says), "{error}");
        }
        assert!(unnamed().is_unnamed());
    }
}
