//! All ways to send back what came. Each ends when the client has ended writing, and loses nothing.

use std::io;
use std::net::Shutdown;
use std::time::Duration;

use bytes::Bytes;
use ringloop::net::TcpStream;
use ringloop::task::yield_now;
use ringloop::time::{sleep, timeout};
use ringloop::{Lease, spawn};

use super::beside::Travelling;
use super::{Talk, add};
use crate::pattern::Track;

/// Leases that one connection keeps at a time.
const KEPT: usize = 12;

/// Half of the streams are shut down first, half just dropped.
async fn end(talk: &mut Talk, mut stream: TcpStream) -> io::Result<()> {
    match talk.numbers.below(4) {
        0 => stream.shutdown(Shutdown::Write).await,
        1 => stream.flush().await,
        _ => Ok(()),
    }
}

/// The simplest, of which there may be 100,000.
pub(super) async fn idle(mut talk: Talk, mut stream: TcpStream) -> io::Result<()> {
    while let Some(chunk) = stream.read_chunk().await? {
        talk.take(&chunk)?;
        stream.write_chunk(chunk).await?;
    }
    Ok(())
}

pub(super) async fn slices(mut talk: Talk, mut stream: TcpStream) -> io::Result<()> {
    let size = talk.numbers.pick(&[100, 4096, 65_536]);
    let mut buf = vec![0; size];
    loop {
        let n = stream.read(&mut buf).await?;
        if n == 0 {
            return end(&mut talk, stream).await;
        }
        talk.take(&buf[..n])?;
        stream.write_all(&buf[..n]).await?;
    }
}

pub(super) async fn chunks(mut talk: Talk, mut stream: TcpStream) -> io::Result<()> {
    while let Some(mut chunk) = stream.read_chunk().await? {
        talk.take(&chunk)?;
        if talk.numbers.one_in(4) {
            let head = chunk.split_to(chunk.len() / 2);
            stream.write_chunk(head).await?;
        }
        stream.write_chunk(chunk).await?;
    }
    end(&mut talk, stream).await
}

pub(super) async fn bytes(mut talk: Talk, mut stream: TcpStream) -> io::Result<()> {
    while let Some(chunk) = stream.read_chunk().await? {
        talk.take(&chunk)?;
        stream.write_bytes(chunk.into_bytes()).await?;
    }
    end(&mut talk, stream).await
}

pub(super) async fn halves(mut talk: Talk, stream: TcpStream) -> io::Result<()> {
    let (mut reader, mut writer) = stream.into_split();
    while let Some(chunk) = reader.read_chunk().await? {
        talk.take(&chunk)?;
        writer.write_chunk(chunk).await?;
        if talk.numbers.one_in(16) {
            writer.flush().await?;
        }
    }
    match talk.numbers.below(3) {
        0 => {
            drop(reader);
            yield_now().await;
            drop(writer);
        }
        1 => {
            drop(writer);
            sleep(Duration::from_micros(talk.numbers.below(2000))).await;
            drop(reader);
        }
        _ => {
            let stream = reader.reunite(writer).map_err(|_| io::Error::other("not one stream"))?;
            return end(&mut talk, stream).await;
        }
    }
    Ok(())
}

/// Runs `call` again and again, each time for a moment only, until it has an answer.
async fn retried<T>(
    talk: &mut Talk,
    mut call: impl AsyncFnMut() -> io::Result<T>,
) -> io::Result<T> {
    loop {
        // From 0, which polls once, up to some milliseconds.
        let limit = Duration::from_micros(talk.numbers.size(12) - 1);
        match timeout(limit, call()).await {
            Ok(answer) => return answer,
            Err(_) => add(&talk.server.counts.cancels, 1),
        }
    }
}

pub(super) async fn hasty(mut talk: Talk, mut stream: TcpStream) -> io::Result<()> {
    let mut buf = vec![0; 20_000];
    loop {
        let bytes = if talk.numbers.one_in(2) {
            let n = retried(&mut talk, async || stream.read(&mut buf).await).await?;
            Bytes::copy_from_slice(&buf[..n])
        } else {
            let chunk = retried(&mut talk, async || stream.read_chunk().await).await?;
            chunk.map_or_else(Bytes::new, Lease::into_bytes)
        };
        if bytes.is_empty() {
            break;
        }
        talk.take(&bytes)?;
        retried(&mut talk, async || stream.write_bytes(bytes.clone()).await).await?;
        if talk.numbers.one_in(4) {
            retried(&mut talk, async || stream.flush().await).await?;
        }
    }
    retried(&mut talk, async || stream.shutdown(Shutdown::Write).await).await
}

/// What is kept must stay what it was.
struct Kept {
    lease: Lease,
    track: Track<'static>,
    at: u64,
}

pub(super) async fn hoard(mut talk: Talk, mut stream: TcpStream) -> io::Result<()> {
    let mut kept = Vec::new();
    loop {
        let at = talk.position;
        let chunk = stream.read_chunk().await?;
        let ended = chunk.is_none();
        if let Some(mut lease) = chunk {
            talk.take(&lease)?;
            stream.write_all(&lease).await?;
            if talk.numbers.one_in(4) {
                lease = lease.split_to(lease.len().div_ceil(2));
            }
            kept.push(Kept { lease, track: talk.track, at });
        }
        if ended || kept.len() >= KEPT {
            lay_aside(&mut talk, std::mem::take(&mut kept));
        }
        if ended {
            return end(&mut talk, stream).await;
        }
    }
}

/// Drops the leases a while later, in a task of their own.
fn lay_aside(talk: &mut Talk, kept: Vec<Kept>) {
    let (server, a_while) = (talk.server.clone(), Duration::from_millis(talk.numbers.below(300)));
    spawn(async move {
        sleep(a_while).await;
        for Kept { lease, track, at } in kept {
            if let Err(wrong) = track.check(at, &lease) {
                server.fault(&format!("a kept lease has changed: {wrong:?}"));
            }
        }
    });
}

pub(super) async fn travel(mut talk: Talk, mut stream: TcpStream) -> io::Result<()> {
    loop {
        let at = talk.position;
        let Some(chunk) = stream.read_chunk().await? else {
            return end(&mut talk, stream).await;
        };
        talk.take(&chunk)?;
        stream.write_all(&chunk).await?;
        talk.server.elsewhere.send(Travelling { bytes: chunk.into_bytes(), track: talk.track, at });
    }
}

pub(super) async fn hand_over(mut talk: Talk, mut stream: TcpStream) -> io::Result<()> {
    let mut buf = vec![0; 4096];
    let mut next = talk.numbers.size(18);
    loop {
        let n = stream.read(&mut buf).await?;
        if n == 0 {
            return end(&mut talk, stream).await;
        }
        talk.take(&buf[..n])?;
        stream.write_all(&buf[..n]).await?;
        if talk.position >= next {
            next = talk.position + talk.numbers.size(18);
            let (std, parked) = stream.into_std().await?;
            stream = TcpStream::from_std(std)?;
            talk.take(&parked)?;
            stream.write_all(&parked).await?;
        }
    }
}
