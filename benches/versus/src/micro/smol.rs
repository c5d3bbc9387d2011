//! smol: a `LocalExecutor` under `block_on`.
//!
//! A file is read by `pread` on its blocking pool, which has no file with positions.

use std::fs::File;
use std::io;
use std::mem;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use smol::{LocalExecutor, Timer};

use super::runtime::Runtime;

/// Never freed: its tasks are to reach it, and the process ends with it.
#[derive(Clone, Copy)]
pub(super) struct Smol(&'static LocalExecutor<'static>);

impl Runtime for Smol {
    type File = Arc<File>;

    fn run<F>(main: impl FnOnce(Self) -> F + 'static) -> io::Result<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let executor: &'static LocalExecutor<'static> = Box::leak(Box::default());
        Ok(smol::block_on(executor.run(async { main(Self(executor)).await })))
    }

    fn spawn<F>(self, future: F) -> impl Future<Output = F::Output> + 'static
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.0.spawn(future)
    }

    fn sleep(self, duration: Duration) -> impl Future + 'static {
        Timer::after(duration)
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
        let read;
        (read, *buf) = smol::unblock(move || (file.read_at(&mut lent, offset), lent)).await;
        check(&buf[..read?]);
        Ok(())
    }
}
