//! The file that a bound path leaves: who may replace it, and who removes it.

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::runtime::Core;
use crate::sys::path::{self, Inode};

/// The file of a listener. Dropped, it is removed, if it still is the one that the listener made, and
/// before the descriptor is closed: until then the kernel keeps its inode, so that no other file gets
/// the number.
#[derive(Debug)]
pub(super) struct SocketFile {
    core: Rc<Core>,
    /// Absolute: a working directory may change.
    path: PathBuf,
    /// `None` where it was gone before it could be looked at, or stays.
    inode: Option<Inode>,
}

impl SocketFile {
    /// The file that a bind at `path` has just made.
    pub(super) fn new(core: &Rc<Core>, path: &Path) -> Self {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let inode = path::inode(&path).ok().filter(|inode| inode.is_socket);
        Self { core: core.clone(), path, inode }
    }

    /// Grants what the umask took away. The file never had more than `mode`.
    pub(super) fn widen(&self, mode: u32) -> io::Result<()> {
        if self.is_ours() && path::mode(&self.path)? != mode {
            path::set_mode(&self.path, mode)?;
        }
        Ok(())
    }

    fn is_ours(&self) -> bool {
        self.inode.is_some() && path::inode(&self.path).ok() == self.inode
    }

    /// Leaves it where it is.
    pub(super) fn keep(mut self) {
        self.inode = None;
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // In a forked child it is the parent's.
        if !self.core.is_foreign() && self.is_ours() {
            let _ = path::unlink(&self.path);
        }
    }
}

/// Makes room for a bind: removes what an earlier socket left. Of what it finds or cannot do the bind
/// will tell.
pub(super) fn make_room(path: &Path) {
    if path::inode(path).is_ok_and(|inode| inode.is_socket) {
        let _ = path::unlink(path);
    }
}

/// As [`in_use`], of an abstract name.
pub(super) fn name_in_use(name: &[u8]) -> io::Error {
    let says = format!("the abstract name \"{}\" is in use", name.escape_ascii());
    io::Error::new(io::ErrorKind::AddrInUse, says)
}

/// Why `path` cannot be bound, in words.
pub(super) fn in_use(path: &Path) -> io::Error {
    let says = match path::inode(path) {
        Ok(inode) if !inode.is_socket => "is in use by a file that is not a socket",
        _ => "is in use by another socket",
    };
    io::Error::new(io::ErrorKind::AddrInUse, format!("{path:?} {says}"))
}
