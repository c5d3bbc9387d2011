//! An open file.

use std::ffi::CString;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;
use std::task::{Poll, ready};

use super::cached::Cached;
use super::op::{SyncOp, WriteOp};
use crate::buf::Block;
use crate::runtime::{Fd, OpenOp, ReadOp, Submit, current};
use crate::sys::file;
use crate::task::poll_proceed;

/// An open file, read and written at positions.
///
/// Closing it (by dropping) waits for what is in flight and for nothing else; errors of a delayed
/// write show in [`sync_all`](Self::sync_all).
///
/// # Examples
///
/// ```
/// use ringloop::fs::File;
///
/// # let path = std::env::temp_dir().join(format!("ringloop-doc-{}", std::process::id()));
/// ringloop::run(async {
///     let file = File::create(&path).await?;
///     file.write_all_at(b"hello", 0).await?;
///     file.sync_all().await?;
///     let mut buf = [0; 16];
///     let n = file.read_at(&mut buf, 1).await?;
///     assert_eq!(&buf[..n], b"ello");
///     std::io::Result::Ok(())
/// })?;
/// # std::fs::remove_file(&path)?;
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct File {
    fd: Rc<Fd>,
    cached: Cached,
}

impl File {
    /// Opens a file to read it.
    ///
    /// # Errors
    ///
    /// `NotFound`, `PermissionDenied` and what else `open(2)` says; `InvalidInput` for a path with a
    /// zero byte; `NotConnected` outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping it closes what was opened.
    pub async fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::open_with(path.as_ref(), libc::O_RDONLY).await
    }

    /// Opens a file to read and write it; makes it if it is not there, empties it if it is.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    ///
    /// # Cancel safety
    ///
    /// Dropping it closes what was opened; the file may have been made or emptied.
    pub async fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::open_with(path.as_ref(), libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC).await
    }

    async fn open_with(path: &Path, flags: i32) -> io::Result<Self> {
        let core = current()?;
        let path = CString::new(path.as_os_str().as_bytes())?;
        let path = Block::copy_of(path.as_bytes_with_nul());
        let open = OpenOp { core: core.clone(), path, flags, mode: 0o666 };
        let fd = Submit::new(core.clone(), open).await?;
        let cached = Cached::new(flags, core.limits().direct);
        Ok(Self { fd: Rc::new(fd), cached })
    }

    /// Reads at `offset` into `buf`; 0 is the end of the file.
    ///
    /// What is in the page cache comes at once, up to 1 MiB a call; else the call waits, and brings up to
    /// 64 KiB. Less than there is room for says nothing but that: read on behind it. A task that finds
    /// everything in the cache still gives way to others.
    ///
    /// # Errors
    ///
    /// What `pread(2)` says; `InvalidInput` for an offset above `i64::MAX`.
    ///
    /// # Cancel safety
    ///
    /// Dropping it changes nothing, neither the file nor `buf`.
    pub async fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        check(offset)?;
        let core = self.fd.core();
        let n = poll_fn(|cx| {
            ready!(poll_proceed(cx));
            core.may_begin()?;
            Poll::Ready(io::Result::Ok(self.cached.read(&self.fd, buf, offset)))
        });
        if let n @ 1.. = n.await? {
            return Ok(n);
        }
        let block = core.spares().block(buf.len());
        let len = u32::try_from(buf.len()).unwrap_or(u32::MAX);
        let read = ReadOp { fd: self.fd.clone(), block, len, offset };
        let block = Submit::new(core.clone(), read).await?;
        buf[..block.len()].copy_from_slice(&block);
        let n = block.len();
        core.spares().keep_block(block);
        Ok(n)
    }

    /// Writes from `buf` at `offset`: at most 64 KiB a call; returns how many bytes.
    ///
    /// # Errors
    ///
    /// What `pwrite(2)` says; `InvalidInput` for an offset above `i64::MAX`.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the write may or may not have happened.
    pub async fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        check(offset)?;
        let core = self.fd.core();
        let mut block = core.spares().block(buf.len());
        block.push(buf);
        let write = WriteOp { fd: self.fd.clone(), block, offset };
        let (n, block) = Submit::new(core.clone(), write).await?;
        core.spares().keep_block(block);
        Ok(n)
    }

    /// Writes all of `buf` at `offset`.
    ///
    /// # Errors
    ///
    /// As [`write_at`](Self::write_at); `WriteZero` where the file takes no more.
    ///
    /// # Cancel safety
    ///
    /// Dropped, a part may have been written.
    pub async fn write_all_at(&self, mut buf: &[u8], mut offset: u64) -> io::Result<()> {
        while !buf.is_empty() {
            match self.write_at(buf, offset).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                n => {
                    buf = &buf[n..];
                    offset += n as u64;
                }
            }
        }
        Ok(())
    }

    /// Waits until the file's data and metadata are on the disk; `fsync(2)`.
    ///
    /// # Errors
    ///
    /// What `fsync(2)` says, also of earlier writes.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it may or may not have happened.
    pub async fn sync_all(&self) -> io::Result<()> {
        self.sync(false).await
    }

    /// Waits until the file's data is on the disk; `fdatasync(2)`.
    ///
    /// # Errors
    ///
    /// As [`sync_all`](Self::sync_all).
    ///
    /// # Cancel safety
    ///
    /// Dropped, it may or may not have happened.
    pub async fn sync_data(&self) -> io::Result<()> {
        self.sync(true).await
    }

    async fn sync(&self, data_only: bool) -> io::Result<()> {
        let sync = SyncOp { fd: self.fd.clone(), data_only };
        Submit::new(self.fd.core().clone(), sync).await
    }
}

/// For calls that know more of files than these, and for [`TcpStream::send_file`].
///
/// [`TcpStream::send_file`]: crate::net::TcpStream::send_file
impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        file::borrow(self.fd.raw(), self)
    }
}

/// Whether a file can have the offset. The largest one would mean the file's own position.
fn check(offset: u64) -> io::Result<()> {
    match i64::try_from(offset) {
        Ok(_) => Ok(()),
        Err(_) => Err(io::Error::from_raw_os_error(libc::EINVAL)),
    }
}
