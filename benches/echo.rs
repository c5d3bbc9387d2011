//! 64 bytes on each of 50 connections, to a server on another thread: an iteration is one echo.

mod backends;

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use ringloop::net::{TcpListener, TcpStream};
use ringloop::{BackendChoice, Builder};

const CONNECTIONS: u64 = 50;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("echo");
    group.throughput(Throughput::Elements(1));
    backends::each(|backend, mut runtime| {
        let server = serve(backend.parse().expect("its own name"));
        group.bench_function(backend, |b| {
            b.iter_custom(|n| runtime.block_on(load(server, n)).expect("the echo comes back"));
        });
    });
    group.finish();
    criterion.final_summary();
}

/// Starts a server that lives as long as the process.
fn serve(backend: BackendChoice) -> SocketAddr {
    let (address, ready) = mpsc::channel();
    thread::spawn(move || {
        let mut runtime = Builder::new().backend(backend).build().expect("a second runtime");
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            address.send(listener.local_addr().expect("its address")).expect("somebody asked");
            while let Ok((mut stream, _)) = listener.accept().await {
                ringloop::spawn(async move {
                    stream.set_nodelay(true)?;
                    while let Some(chunk) = stream.read_chunk().await? {
                        stream.write_chunk(chunk).await?;
                    }
                    Ok::<_, io::Error>(())
                });
            }
        });
    });
    ready.recv().expect("the server starts")
}

/// The time that `echoes` take, spread over the connections.
async fn load(server: SocketAddr, echoes: u64) -> io::Result<Duration> {
    let mut streams = Vec::new();
    for _ in 0..CONNECTIONS.min(echoes) {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        streams.push(stream);
    }
    let start = Instant::now();
    let tasks: Vec<_> = (0..)
        .zip(streams)
        .map(|(number, mut stream)| {
            let share = (echoes + number) / CONNECTIONS.min(echoes);
            ringloop::spawn(async move {
                for i in 0..share {
                    let sent = [i as u8; 64];
                    stream.write_all(&sent).await?;
                    let mut seen = 0;
                    while seen < sent.len() {
                        match stream.read_chunk().await? {
                            Some(chunk) if chunk.iter().all(|&byte| byte == i as u8) => {
                                seen += chunk.len();
                            }
                            _ => return Err(io::Error::other("an echo came back short or wrong")),
                        }
                    }
                }
                Ok(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(start.elapsed())
}
