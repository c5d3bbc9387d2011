//! glommio: a `LocalExecutor`.
//!
//! A cached file is its `BufferedFile`, which reads into buffers of its own.

use std::io;
use std::path::Path;
use std::time::Duration;

use glommio::io::BufferedFile;
use glommio::timer::Timer;
use glommio::{LocalExecutorBuilder, Placement};

use super::runtime::{PAGE, Runtime};
use crate::servers::find_ring;

#[derive(Clone, Copy)]
pub(super) struct Glommio;

impl Runtime for Glommio {
    type File = BufferedFile;

    fn run<F>(main: impl FnOnce(Self) -> F + 'static) -> io::Result<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        find_ring("glommio")?;
        let executor = LocalExecutorBuilder::new(Placement::Unbound)
            .make()
            .map_err(|error| io::Error::other(format!("glommio made no executor: {error}")))?;
        Ok(executor.run(async { main(Self).await }))
    }

    fn spawn<F>(self, future: F) -> impl Future<Output = F::Output> + 'static
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        glommio::spawn_local(future)
    }

    async fn yield_now(self) {
        glommio::executor().yield_now().await;
    }

    fn sleep(self, duration: Duration) -> impl Future + 'static {
        Timer::new(duration)
    }

    async fn open(self, path: &Path) -> io::Result<BufferedFile> {
        Ok(BufferedFile::open(path).await?)
    }

    async fn read(
        file: &BufferedFile,
        _: &mut Vec<u8>,
        offset: u64,
        check: impl Fn(&[u8]),
    ) -> io::Result<()> {
        check(&file.read_at(offset, PAGE).await?);
        Ok(())
    }
}
