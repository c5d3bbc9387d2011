//! tokio: `current_thread` with a `LocalSet`, its defaults.
//!
//! A file is read by `pread` on the blocking pool: `tokio::fs` does the same with a seek and a copy
//! more.

use std::fs::File;
use std::io;
use std::mem;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync;
use tokio::task::{LocalSet, spawn_blocking, spawn_local};

use super::runtime::Runtime;
use super::tokio_sync::{TokioMpsc, TokioOneshot};

#[derive(Clone, Copy)]
pub(super) struct Tokio;

impl Runtime for Tokio {
    type File = Arc<File>;
    type Mutex = sync::Mutex<usize>;
    type Semaphore = sync::Semaphore;
    type Oneshot = TokioOneshot;
    type Mpsc = TokioMpsc;
    type Queue = TokioMpsc;

    fn run<F>(main: impl FnOnce(Self) -> F + 'static) -> io::Result<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(LocalSet::new().block_on(&runtime, async { main(Self).await }))
    }

    fn spawn<F>(self, future: F) -> impl Future<Output = F::Output> + 'static
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let handle = spawn_local(future);
        async { handle.await.expect("it ends by itself") }
    }

    fn yield_now(self) -> impl Future<Output = ()> + 'static {
        tokio::task::yield_now()
    }

    fn sleep(self, duration: Duration) -> impl Future + 'static {
        tokio::time::sleep(duration)
    }

    async fn open(self, path: &Path) -> io::Result<Arc<File>> {
        File::open(path).map(Arc::new)
    }

    async fn read(
        file: &Arc<File>,
        buf: &mut Vec<u8>,
        offset: u64,
        check: impl Fn(&[u8]),
    ) -> io::Result<()> {
        let (file, mut lent) = (file.clone(), mem::take(buf));
        let read = spawn_blocking(move || (file.read_at(&mut lent, offset), lent));
        let read_bytes;
        (read_bytes, *buf) = read.await?;
        check(&buf[..read_bytes?]);
        Ok(())
    }
}
