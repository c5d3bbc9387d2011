//! Servers. What the tests share: books that are balanced, and an echo.

mod limits;
mod many;
mod peers;

use std::io;
use std::time::{Duration, Instant};

use ringloop::metrics;
use ringloop::stream::{Reader, Writer, copy};
use ringloop::task::yield_now;

async fn echo(mut reader: Reader, writer: Writer) -> io::Result<()> {
    copy(&mut reader, &writer).await.map(drop)
}

/// Turns the loop until nothing of this runtime is left.
async fn nothing_is_left() {
    let start = Instant::now();
    loop {
        let m = metrics();
        let books = (m.in_flight, m.timers, m.tasks_alive, m.buffered, m.unsent);
        if books == (0, 0, 0, 0, 0) {
            assert_eq!(m.strays, 0);
            return;
        }
        let patience = Duration::from_secs(20) * crate::support::slowness();
        assert!(start.elapsed() < patience, "left: {books:?}");
        yield_now().await;
    }
}
