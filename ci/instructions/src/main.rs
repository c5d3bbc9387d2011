//! What `ci/bench` counts the instructions of: one operation, so many times, on one thread.
//!
//! ```text
//! ringloop-instructions NAME TIMES
//! ```
//!
//! The backend is that of `RINGLOOP_BACKEND`. What an operation costs is the difference between two
//! lengths: what is done once falls out.

use std::cell::Cell;
use std::future::poll_fn;
use std::hint::black_box;
use std::io;
use std::process::ExitCode;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use ringloop::net::{TcpListener, TcpStream};
use ringloop::task::yield_now;
use ringloop::time::sleep;
use ringloop::{Builder, spawn};

const MESSAGE: [u8; 64] = [7; 64];

/// The exit status where the backend is not to be had here: the line above says why.
const NO_BACKEND: u8 = 77;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let told = match args.as_slice() {
        [name, times] => times.parse().ok().map(|times| (name.as_str(), times)),
        _ => None,
    };
    let Some((name, times)) = told else {
        eprintln!(
            "usage: ringloop-instructions echo-leases|echo-slices|connect|spawn|yield|wake|timer TIMES"
        );
        return ExitCode::from(2);
    };
    // Staying awake is counted in time, and so would not repeat.
    let mut runtime = match Builder::new().spin(Duration::ZERO).build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(NO_BACKEND);
        }
    };
    let done = runtime.block_on(async {
        match name {
            "echo-leases" => echo(times, true).await,
            "echo-slices" => echo(times, false).await,
            "connect" => connections(times).await,
            "spawn" => Ok(spawns(times).await),
            "yield" => Ok(yields(times).await),
            "wake" => Ok(wakes(times).await),
            "timer" => Ok(timers(times).await),
            _ => Err(io::Error::other(format!("{name} is none of the operations"))),
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ringloop-instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

/// 64 bytes to a server on the same thread and back: two receives, two sends, two tasks.
async fn echo(times: u32, leases: bool) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut client = TcpStream::connect(listener.local_addr()?).await?;
    let (server, _) = listener.accept().await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let serving = spawn(serve(server, leases));
    let mut buf = [0; MESSAGE.len()];
    for _ in 0..times {
        client.write_all(&MESSAGE).await?;
        let n = client.read(&mut buf).await?;
        assert_eq!(buf[..n], MESSAGE, "64 bytes come in one piece on loopback");
    }
    drop(client);
    serving.await.map_err(io::Error::other)?
}

async fn serve(mut stream: TcpStream, leases: bool) -> io::Result<()> {
    if leases {
        while let Some(chunk) = stream.read_chunk().await? {
            stream.write_chunk(chunk).await?;
        }
        return Ok(());
    }
    let mut buf = [0; 4096];
    loop {
        match stream.read(&mut buf).await? {
            0 => return Ok(()),
            n => stream.write_all(&buf[..n]).await?,
        }
    }
}

/// A connection each: made, served by a task of its own, closed.
async fn connections(times: u32) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    for _ in 0..times {
        let mut client = TcpStream::connect(address).await?;
        let (server, _) = listener.accept().await?;
        let serving = spawn(serve(server, true));
        client.write_all(&MESSAGE).await?;
        let echoed = client.read_chunk().await?;
        assert_eq!(echoed.as_deref(), Some(&MESSAGE[..]), "64 bytes come in one piece on loopback");
        drop(client);
        serving.await.map_err(io::Error::other)??;
    }
    Ok(())
}

/// A task is spawned and awaited.
async fn spawns(times: u32) {
    for number in 0..times {
        let task = spawn(async move { black_box(number) });
        assert_eq!(task.await.expect("it ends"), number);
    }
}

/// A trip through the ready queue.
async fn yields(times: u32) {
    for _ in 0..times {
        yield_now().await;
    }
}

/// A task wakes another, which waits for it.
async fn wakes(times: u32) {
    let turn = Rc::new((Cell::new(false), Cell::new(Waker::noop().clone())));
    let other = turn.clone();
    let waits = spawn(async move {
        for _ in 0..times {
            poll_fn(|cx| {
                if other.0.replace(false) {
                    return Poll::Ready(());
                }
                other.1.set(cx.waker().clone());
                Poll::Pending
            })
            .await;
        }
    });
    for _ in 0..times {
        yield_now().await;
        turn.0.set(true);
        turn.1.replace(Waker::noop().clone()).wake();
        yield_now().await;
    }
    waits.await.expect("it ends");
}

/// A timer is set, far away, and given up; a thousand others live.
async fn timers(times: u32) {
    let live: Vec<_> =
        (0..1000).map(|number| spawn(sleep(Duration::from_secs(100 + number)))).collect();
    yield_now().await;
    for number in 0..times {
        let far = Duration::from_millis(100_000 + u64::from(number) * 7919 % 900_000);
        let mut timer = Box::pin(sleep(far));
        poll_fn(|cx| Poll::Ready(timer.as_mut().poll(cx).is_pending())).await;
    }
    drop(live);
}
