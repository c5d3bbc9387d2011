//! compio, with its io_uring driver and the flags that its documentation recommends.
//!
//! It has no function that yields; a task wakes itself. It brings nothing to synchronize tasks, and
//! its documentation recommends nothing: `tokio::sync`.

use std::io;
use std::mem;
use std::path::Path;
use std::time::Duration;

use compio::BufResult;
use compio::driver::{DriverType, ProactorBuilder};
use compio::fs::File;
use compio::io::AsyncReadAt as _;
use compio::runtime::Runtime as CompioRuntime;
use tokio::sync;

use super::runtime::Runtime;
use super::tokio_sync::{TokioMpsc, TokioOneshot};
use crate::servers::no_ring;

#[derive(Clone, Copy)]
pub(super) struct Compio;

impl Runtime for Compio {
    type File = File;
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
        let mut proactor = ProactorBuilder::new();
        proactor.driver_type(DriverType::IoUring).coop_taskrun(true).taskrun_flag(true);
        let runtime = CompioRuntime::builder()
            .with_proactor(proactor)
            .build()
            .map_err(|error| no_ring("compio", error))?;
        Ok(runtime.block_on(async { main(Self).await }))
    }

    fn spawn<F>(self, future: F) -> impl Future<Output = F::Output> + 'static
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let handle = compio::runtime::spawn(future);
        async { handle.await.expect("it ends by itself") }
    }

    fn sleep(self, duration: Duration) -> impl Future + 'static {
        compio::time::sleep(duration)
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
        let mut lent = mem::take(buf);
        lent.clear();
        let BufResult(read, lent) = file.read_at(lent, offset).await;
        *buf = lent;
        check(&buf[..read?]);
        Ok(())
    }
}
