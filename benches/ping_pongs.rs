//! One byte there and back over TCP, both ends being tasks of one thread.

mod backends;

use std::io;
use std::time::{Duration, Instant};

use criterion::Criterion;
use ringloop::net::{TcpListener, TcpStream};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("ping_pongs");
    backends::each(|backend, mut runtime| {
        group.bench_function(backend, |b| {
            b.iter_custom(|iterations| runtime.block_on(play(iterations)).expect("loopback works"));
        });
    });
    group.finish();
    criterion.final_summary();
}

async fn play(iterations: u64) -> io::Result<Duration> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut ping = TcpStream::connect(listener.local_addr()?).await?;
    let (mut pong, _) = listener.accept().await?;
    ping.set_nodelay(true)?;
    pong.set_nodelay(true)?;
    let other = ringloop::spawn(async move {
        let mut byte = [0];
        while pong.read(&mut byte).await? == 1 {
            pong.write_all(&byte).await?;
        }
        Ok::<_, io::Error>(())
    });

    let mut byte = [0];
    let start = Instant::now();
    for i in 0..iterations {
        let sent = [i as u8];
        ping.write_all(&sent).await?;
        assert_eq!(ping.read(&mut byte).await?, 1);
        assert_eq!(byte, sent);
    }
    let took = start.elapsed();
    drop(ping);
    other.await??;
    Ok(took)
}
