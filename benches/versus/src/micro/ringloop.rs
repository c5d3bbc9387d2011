//! ringloop, with the backend that it chooses by itself.

use std::io;
use std::path::Path;
use std::time::Duration;

use ringloop::fs::File;

use super::runtime::Runtime;

#[derive(Clone, Copy)]
pub(super) struct Ringloop;

impl Runtime for Ringloop {
    type File = File;

    fn run<F>(main: impl FnOnce(Self) -> F + 'static) -> io::Result<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        Ok(ringloop::Builder::new().build()?.block_on(async { main(Self).await }))
    }

    fn spawn<F>(self, future: F) -> impl Future<Output = F::Output> + 'static
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let handle = ringloop::spawn(future);
        async { handle.await.expect("it ends by itself") }
    }

    fn yield_now(self) -> impl Future<Output = ()> + 'static {
        ringloop::task::yield_now()
    }

    fn sleep(self, duration: Duration) -> impl Future + 'static {
        ringloop::time::sleep(duration)
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
        let n = file.read_at(buf, offset).await?;
        check(&buf[..n]);
        Ok(())
    }
}
