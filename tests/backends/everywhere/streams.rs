//! Readers and writers of `stream`: what is cut off has taken nothing, or has written it all.

use std::io::{Read, Write};

use ringloop::stream::{
    Reader, Writer, copy, copy_bidirectional, open_connection, open_unix_connection,
};

use super::cut::{Cut, How};
use super::{Case, Ends, case, once};
use crate::tcp::{pair, pattern, turns, until, with_std};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("open_connection"; open()),
        case!("open_unix_connection"; open_unix()),
        case!("Reader::read"; read()),
        case!("Reader::read_chunk"; read_chunk()),
        case!("Reader::read_exact"; read_exact(64 * 1024)),
        case!("Reader::read_exact"; read_exact(4)),
        case!("Reader::read_to_end"; read_to_end()),
        case!("Reader::read_to_string"; read_to_string()),
        case!("Reader::read_line"; read_line()),
        case!("Reader::read_until"; read_until()),
        case!("Reader::read_until_any"; read_until_any()),
        case!("Reader::skip_line"; skip_line()),
        case!("Lines::next_line"; next_line()),
        case!("Writer::write_all"; write_all()),
        case!("Writer::drain"; drain()),
        case!("Writer::flush"; flush()),
        case!("Writer::wait_closed"; wait_closed()),
        case!("copy"; copying()),
        case!("copy_bidirectional"; copying_both_ways()),
    ]
}

const TEXT: &[u8] = b"hello,\nworld";

/// A reader and its peer, which sends [`TEXT`] when it is told to.
async fn reader() -> (Reader, Writer, impl FnMut()) {
    let (ours, mut theirs) = with_std().await;
    let (reader, writer) = ours.into_stream();
    (reader, writer, once(move || theirs.write_all(TEXT).unwrap()))
}

/// What is left behind `got` is the rest of [`TEXT`], and then the end.
async fn the_rest_comes(mut reader: Reader, got: &[u8]) {
    let mut all = got.to_vec();
    reader.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, TEXT);
}

async fn open(cut: Cut) -> Ends {
    let listener = std::net::TcpListener::bind(crate::tcp::LOCAL).unwrap();
    let address = listener.local_addr().unwrap();
    let got = cut.off(open_connection(address), || {}).await;
    let (mut reader, writer) = open_connection(address).await.unwrap();
    writer.write_all(b"x").await.unwrap();
    drop(listener);
    // It goes with its listener.
    assert!(reader.read(&mut [0]).await.is_err());
    got.map(Result::unwrap).is_some()
}

async fn open_unix(cut: Cut) -> Ends {
    let name = format!("\0ringloop-open-{}", std::process::id());
    let listener = ringloop::net::UnixListener::bind(&name).await.unwrap();
    let got = cut.off(open_unix_connection(&name), || {}).await;
    let (mut reader, writer) = open_unix_connection(&name).await.unwrap();
    writer.write_all(b"x").await.unwrap();
    listener.close();
    drop(listener);
    // It goes with its listener, in its end or with an error.
    assert!(!matches!(reader.read(&mut [0]).await, Ok(1..)));
    got.map(Result::unwrap).is_some()
}

async fn read(cut: Cut) -> Ends {
    let (mut reader, _writer, send) = reader().await;
    let mut buf = vec![0; 7];
    let got = cut.off(reader.read(&mut buf), send).await;
    let n = got.as_ref().map_or(0, |n| *n.as_ref().unwrap());
    let all = buf[..n].to_vec();
    drop(buf);
    the_rest_comes(reader, &all).await;
    got.is_some()
}

async fn read_chunk(cut: Cut) -> Ends {
    let (mut reader, _writer, send) = reader().await;
    let got = cut.off(reader.read_chunk(), send).await;
    let ends = got.is_some();
    let all = got.map_or(Vec::new(), |lease| lease.unwrap().unwrap().to_vec());
    the_rest_comes(reader, &all).await;
    ends
}

async fn read_exact(cut: Cut, limit: usize) -> Ends {
    let (mut reader, _writer, send) = reader().await;
    reader.set_limit(limit).unwrap();
    let mut buf = vec![0; 9];
    let got = cut.off(reader.read_exact(&mut buf), send).await;
    buf.truncate(if got.is_some() { 9 } else { 0 });
    the_rest_comes(reader, &buf).await;
    got.map(Result::unwrap).is_some()
}

async fn read_to_end(cut: Cut) -> Ends {
    let (mut reader, _writer, send) = reader().await;
    let mut all = Vec::new();
    let got = cut.off(reader.read_to_end(&mut all), send).await;
    the_rest_comes(reader, &all).await;
    got.map(Result::unwrap).is_some()
}

async fn read_to_string(cut: Cut) -> Ends {
    let (mut reader, _writer, send) = reader().await;
    let mut all = String::new();
    let got = cut.off(reader.read_to_string(&mut all), send).await;
    the_rest_comes(reader, all.as_bytes()).await;
    got.map(Result::unwrap).is_some()
}

async fn read_line(cut: Cut) -> Ends {
    let (mut reader, _writer, send) = reader().await;
    let mut line = String::new();
    let got = cut.off(reader.read_line(&mut line), send).await;
    assert_eq!(line.len(), got.as_ref().map_or(0, |n| *n.as_ref().unwrap()));
    the_rest_comes(reader, line.as_bytes()).await;
    got.is_some()
}

async fn read_until(cut: Cut) -> Ends {
    let (mut reader, _writer, send) = reader().await;
    let mut record = Vec::new();
    let got = cut.off(reader.read_until(b"wo", &mut record), send).await;
    assert_eq!(record.len(), got.as_ref().map_or(0, |n| *n.as_ref().unwrap()));
    the_rest_comes(reader, &record).await;
    got.is_some()
}

async fn read_until_any(cut: Cut) -> Ends {
    let (mut reader, _writer, send) = reader().await;
    let mut record = Vec::new();
    let got = cut.off(reader.read_until_any(&[b"wo", b",\n"], &mut record), send).await;
    assert_eq!(record.len(), got.as_ref().map_or(0, |n| *n.as_ref().unwrap()));
    the_rest_comes(reader, &record).await;
    got.is_some()
}

async fn skip_line(cut: Cut) -> Ends {
    let (mut reader, _writer, send) = reader().await;
    let got = cut.off(reader.skip_line(), send).await;
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).await.unwrap();
    // The line comes whole; it is gone if it was seen.
    assert_eq!(rest, if got.is_some() { &TEXT[7..] } else { TEXT });
    got.is_some()
}

async fn next_line(cut: Cut) -> Ends {
    let (mut reader, _writer, send) = reader().await;
    let mut lines = reader.lines();
    let got = cut.off(lines.next_line(), send).await;
    let got = got.map(|line| line.unwrap().map(|line| format!("{line}\n")));
    let ends = got.is_some();
    the_rest_comes(reader, got.flatten().unwrap_or_default().as_bytes()).await;
    ends
}

const LEN: usize = 400_000;

/// A writer and its peer, which has read so much of the pattern so far.
struct Written {
    reader: Reader,
    writer: Writer,
    theirs: std::net::TcpStream,
    got: usize,
    ended: bool,
}

impl Written {
    async fn new() -> Self {
        let (ours, theirs) = with_std().await;
        ours.set_send_buffer_size(8 << 10).unwrap();
        theirs.set_nonblocking(true).unwrap();
        let (reader, writer) = ours.into_stream();
        Self { reader, writer, theirs, got: 0, ended: false }
    }

    fn drain(theirs: &mut std::net::TcpStream, got: &mut usize, ended: &mut bool) {
        let mut buf = [0; 1 << 14];
        while let Ok(n) = theirs.read(&mut buf) {
            if n == 0 {
                *ended = true;
                return;
            }
            *got = crate::tcp::check(&buf[..n], *got);
        }
    }

    /// The peer sees the pattern so far, and then the end.
    async fn sees(self, len: usize) {
        let Self { reader, writer, mut theirs, mut got, mut ended } = self;
        drop((reader, writer));
        until(|| {
            Self::drain(&mut theirs, &mut got, &mut ended);
            ended
        })
        .await;
        assert_eq!(got, len);
    }

    /// Writes so much of the pattern.
    fn write(&self, from: usize, mut len: usize) {
        let mut at = from;
        while len > 0 {
            let piece = pattern(at, len.min(1 << 20));
            self.writer.write(piece).unwrap();
            at += piece.len();
            len -= piece.len();
        }
    }
}

async fn write_all(cut: Cut) -> Ends {
    let mut it = Written::new().await;
    it.write(0, LEN);
    let Written { writer, theirs, got, ended, .. } = &mut it;
    // Its own memory: it is gone when the bytes are sent.
    let bytes = pattern(LEN, 100_000).to_vec();
    let writing = cut.off(writer.write_all(&bytes), || Written::drain(theirs, got, ended));
    let result = writing.await;
    drop(bytes);
    // Taken in the first poll, or not at all.
    let taken = cut.polls > 0 || cut.how == How::TimedOut;
    let len = if taken { LEN + 100_000 } else { LEN };
    it.sees(len).await;
    result.map(Result::unwrap).is_some()
}

async fn drain(cut: Cut) -> Ends {
    let mut it = Written::new().await;
    it.write(0, LEN);
    let Written { writer, theirs, got, ended, .. } = &mut it;
    let result = cut.off(writer.drain(), || Written::drain(theirs, got, ended)).await;
    assert!(result.is_none() || it.writer.write_buffer_size() <= 16 * 1024);
    it.write(LEN, 100);
    it.sees(LEN + 100).await;
    result.map(Result::unwrap).is_some()
}

async fn flush(cut: Cut) -> Ends {
    let mut it = Written::new().await;
    it.write(0, LEN);
    let Written { writer, theirs, got, ended, .. } = &mut it;
    let result = cut.off(writer.flush(), || Written::drain(theirs, got, ended)).await;
    assert!(result.is_none() || it.writer.write_buffer_size() == 0);
    it.write(LEN, 100);
    it.sees(LEN + 100).await;
    result.map(Result::unwrap).is_some()
}

async fn wait_closed(cut: Cut) -> Ends {
    let mut it = Written::new().await;
    it.write(0, LEN);
    it.writer.close();
    let Written { writer, theirs, got, ended, .. } = &mut it;
    let result = cut.off(writer.wait_closed(), || Written::drain(theirs, got, ended)).await;
    assert!(result.is_none() || it.writer.write_buffer_size() == 0);
    it.sees(LEN).await;
    result.map(Result::unwrap).is_some()
}

async fn copying(cut: Cut) -> Ends {
    let (mut reader, _writer, send) = reader().await;
    let (to, from) = pair().await;
    let ((_reader, to), (from, _writer2)) = (to.into_stream(), from.into_stream());
    let copied = cut.off(copy(&mut reader, &to), send).await.map(Result::unwrap);
    // What was not copied comes with the next.
    if copied.is_none() {
        copy(&mut reader, &to).await.unwrap();
    }
    to.write_eof().unwrap();
    the_rest_comes(from, b"").await;
    copied.is_some()
}

async fn copying_both_ways(cut: Cut) -> Ends {
    let (mut reader, writer, send) = reader().await;
    let (ours, theirs) = pair().await;
    let ((mut back, to), (from, to_back)) = (ours.into_stream(), theirs.into_stream());
    to_back.write_eof().unwrap();
    let both = copy_bidirectional((&mut reader, &writer), (&mut back, &to));
    let copied = cut.off(both, send).await.map(Result::unwrap);
    if copied.is_none() {
        turns(1).await;
        copy_bidirectional((&mut reader, &writer), (&mut back, &to)).await.unwrap();
    }
    the_rest_comes(from, b"").await;
    copied.is_some()
}
