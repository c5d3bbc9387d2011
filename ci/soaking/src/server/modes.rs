//! What the server does by itself: floods, cuts off, aborts, cancels, keeps silent.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use ringloop::net::TcpStream;
use ringloop::spawn;
use ringloop::time::{sleep, timeout};

use super::{Talk, echoes};
use crate::plan::Mode;

pub(super) async fn run(talk: Talk, stream: TcpStream) -> io::Result<()> {
    match talk.plan.mode {
        Mode::Control => Err(io::Error::other("a second control connection")),
        Mode::Slices => echoes::slices(talk, stream).await,
        Mode::Idle => echoes::idle(talk, stream).await,
        Mode::Chunks => echoes::chunks(talk, stream).await,
        Mode::Bytes => echoes::bytes(talk, stream).await,
        Mode::Halves => echoes::halves(talk, stream).await,
        Mode::Hasty => echoes::hasty(talk, stream).await,
        Mode::Hoard => echoes::hoard(talk, stream).await,
        Mode::Travel => echoes::travel(talk, stream).await,
        Mode::HandOver => echoes::hand_over(talk, stream).await,
        Mode::Flood => flood(talk, stream).await,
        Mode::CutWrite => cut_write(talk, stream).await,
        Mode::Abort => abort(talk, stream).await,
        Mode::Cancelled => cancelled(talk, stream).await,
        Mode::Silent => silent(talk, stream).await,
    }
}

/// Writes `amount` bytes of the track in all the ways there are.
async fn pour(talk: &mut Talk, stream: &mut TcpStream) -> io::Result<()> {
    let (mut at, end) = (0, u64::from(talk.plan.amount));
    while at < end {
        let len = talk.numbers.size(16).min(end - at) as usize;
        let piece = talk.track.piece(at, len);
        at += match talk.numbers.below(4) {
            0 => {
                stream.write_bytes(Bytes::copy_from_slice(piece)).await?;
                piece.len()
            }
            1 => {
                let (head, tail) = piece.split_at(piece.len() / 2);
                let slices = [io::IoSlice::new(head), io::IoSlice::new(tail)];
                stream.write_vectored(&slices).await?
            }
            _ => {
                stream.write_all(piece).await?;
                piece.len()
            }
        } as u64;
        if talk.numbers.one_in(8) {
            stream.flush().await?;
        }
    }
    Ok(())
}

/// The stream is dropped with bytes in its outbox.
async fn flood(mut talk: Talk, mut stream: TcpStream) -> io::Result<()> {
    pour(&mut talk, &mut stream).await
}

async fn cut_write(mut talk: Talk, mut stream: TcpStream) -> io::Result<()> {
    let end = u64::from(talk.plan.amount);
    let mut all = Vec::new();
    while (all.len() as u64) < end {
        let at = all.len() as u64;
        all.extend_from_slice(talk.track.piece(at, (end - at) as usize));
    }
    let limit = Duration::from_micros(talk.numbers.below(50_000));
    match timeout(limit, stream.write_all(&all)).await {
        Ok(written) => written,
        Err(_) => {
            talk.server.cancelled();
            Ok(())
        }
    }
}

async fn abort(mut talk: Talk, mut stream: TcpStream) -> io::Result<()> {
    let limit = Duration::from_micros(talk.numbers.below(50_000));
    if timeout(limit, pour(&mut talk, &mut stream)).await.is_err() {
        talk.server.cancelled();
    }
    stream.abort();
    Ok(())
}

async fn cancelled(mut talk: Talk, stream: TcpStream) -> io::Result<()> {
    let (server, limit) = (talk.server.clone(), Duration::from_micros(talk.numbers.below(50_000)));
    let task = spawn(async move {
        if talk.numbers.one_in(2) {
            echoes::chunks(talk, stream).await
        } else {
            echoes::slices(talk, stream).await
        }
    });
    sleep(limit).await;
    task.cancel();
    match task.await {
        Ok(done) => done,
        Err(error) if error.is_cancelled() => {
            server.cancelled();
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

async fn silent(mut talk: Talk, mut stream: TcpStream) -> io::Result<()> {
    if talk.numbers.one_in(2) {
        // It receives, and nobody takes what comes.
        stream.peek(&mut [0; 16]).await?;
    }
    sleep(Duration::from_millis(talk.numbers.below(200))).await;
    Ok(())
}
