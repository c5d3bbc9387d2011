//! kimojio: its operations on descriptors; its ring takes no settings.

use std::fs::File;
use std::io;
use std::panic;
use std::path::Path;
use std::time::Duration;

use kimojio::configuration::Configuration;
use kimojio::operations;

use super::runtime::Runtime;
use crate::servers::find_ring;

#[derive(Clone, Copy)]
pub(super) struct Kimojio;

impl Runtime for Kimojio {
    type File = File;

    fn run<F>(main: impl FnOnce(Self) -> F + 'static) -> io::Result<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        find_ring("kimojio")?;
        let mut runtime = kimojio::Runtime::new(0, Configuration::new());
        match runtime.block_on(async { main(Self).await }) {
            Some(Ok(output)) => Ok(output),
            Some(Err(panic)) => panic::resume_unwind(panic),
            None => Err(io::Error::other("kimojio ended before its main task")),
        }
    }

    fn spawn<F>(self, future: F) -> impl Future<Output = F::Output> + 'static
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let handle = operations::spawn_task(future);
        async { handle.await.expect("it ends by itself") }
    }

    fn yield_now(self) -> impl Future<Output = ()> + 'static {
        operations::yield_io()
    }

    fn sleep(self, duration: Duration) -> impl Future + 'static {
        operations::sleep(duration)
    }

    async fn open(self, path: &Path) -> io::Result<File> {
        File::open(path)
    }

    async fn read(
        file: &File,
        buf: &mut Vec<u8>,
        offset: u64,
        check: impl Fn(&[u8]),
    ) -> io::Result<()> {
        let n = operations::pread(file, buf, offset).await?;
        check(&buf[..n]);
        Ok(())
    }
}
