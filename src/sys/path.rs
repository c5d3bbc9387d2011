//! Path syscalls, for the files of Unix sockets.

use std::fs::{Permissions, set_permissions, symlink_metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

use super::count;

/// Which file it is, as long as somebody has it open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Inode {
    device: u64,
    number: u64,
    pub(crate) is_socket: bool,
}

/// `lstat(2)`.
pub(crate) fn inode(path: &Path) -> io::Result<Inode> {
    count::one();
    let it = symlink_metadata(path)?;
    Ok(Inode { device: it.dev(), number: it.ino(), is_socket: it.file_type().is_socket() })
}

/// `lstat(2)`: the permissions.
pub(crate) fn mode(path: &Path) -> io::Result<u32> {
    count::one();
    symlink_metadata(path).map(|it| it.permissions().mode() & 0o777)
}

/// `unlink(2)`.
pub(crate) fn unlink(path: &Path) -> io::Result<()> {
    count::one();
    std::fs::remove_file(path)
}

/// `chmod(2)`.
pub(crate) fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    count::one();
    set_permissions(path, Permissions::from_mode(mode))
}
