//! monoio, with its io_uring driver and its timers.
//!
//! It has no function that yields; a task wakes itself, which it knows and takes as one.

use std::io;
use std::mem;
use std::path::Path;
use std::time::Duration;

use monoio::fs::File;
use monoio::{IoUringDriver, RuntimeBuilder};

use super::runtime::Runtime;
use crate::servers::no_ring;

#[derive(Clone, Copy)]
pub(super) struct Monoio;

impl Runtime for Monoio {
    type File = File;

    fn run<F>(main: impl FnOnce(Self) -> F + 'static) -> io::Result<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let mut runtime = RuntimeBuilder::<IoUringDriver>::new()
            .enable_timer()
            .build()
            .map_err(|error| no_ring("monoio", error))?;
        Ok(runtime.block_on(async { main(Self).await }))
    }

    fn spawn<F>(self, future: F) -> impl Future<Output = F::Output> + 'static
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        monoio::spawn(future)
    }

    fn sleep(self, duration: Duration) -> impl Future + 'static {
        monoio::time::sleep(duration)
    }

    async fn open(self, path: &Path) -> io::Result<File> {
        File::open(path).await
    }

    async fn read(
        file: &File,
        buf: &mut Vec<u8>,
        offset: u64,
        check: impl Fn(&[u8]),
    ) -> io::Result<()> {
        let read;
        (read, *buf) = file.read_at(mem::take(buf), offset).await;
        check(&buf[..read?]);
        Ok(())
    }
}
