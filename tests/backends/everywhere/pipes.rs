//! Pipes.

use std::io::{ErrorKind, IoSlice, Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use bytes::Bytes;
use ringloop::net::{PipeReader, PipeWriter};

use super::cut::{Cut, How};
use super::peer::{END, PIECE, Peer, fill, last};
use super::{Case, Ends, case, once};
use crate::tcp::{pattern, poll_once};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("PipeReader::read"; read()),
        case!("PipeReader::read_chunk"; read_chunk()),
        case!("PipeReader::peek"; peek()),
        case!("PipeReader::open"; open()),
        case!("PipeReader::into_std"; reader_into_std()),
        case!("PipeWriter::write_all"; write_all()),
        case!("PipeWriter::write_bytes"; write_bytes()),
        case!("PipeWriter::write_chunk"; write_chunk()),
        case!("PipeWriter::write_vectored"; write_vectored()),
        case!("PipeWriter::flush"; flush()),
        case!("PipeWriter::close"; close()),
        case!("PipeWriter::closed"; closed()),
        case!("PipeWriter::open"; open_writer()),
        case!("PipeWriter::into_std"; writer_into_std()),
    ]
}

pub(super) const TEXT: &[u8] = b"hello, world";

async fn the_rest_comes(mut reader: PipeReader, mut theirs: std::io::PipeWriter, got: Vec<u8>) {
    let mut all = got;
    theirs.write_all(b" and more").unwrap();
    drop(theirs);
    while let Some(chunk) = reader.read_chunk().await.unwrap() {
        all.extend_from_slice(&chunk);
    }
    assert_eq!(all, b"hello, world and more");
}

pub(super) fn read_end() -> (PipeReader, std::io::PipeWriter) {
    let (reader, theirs) = std::io::pipe().unwrap();
    (PipeReader::from_std(reader).unwrap(), theirs)
}

async fn read(cut: Cut) -> Ends {
    let (mut reader, mut theirs) = read_end();
    let mut buf = vec![0; 7];
    let got = cut.off(reader.read(&mut buf), once(|| theirs.write_all(TEXT).unwrap())).await;
    let all = got.as_ref().map_or(Vec::new(), |n| buf[..*n.as_ref().unwrap()].to_vec());
    drop(buf);
    the_rest_comes(reader, theirs, all).await;
    got.is_some()
}

async fn read_chunk(cut: Cut) -> Ends {
    let (mut reader, mut theirs) = read_end();
    let got = cut.off(reader.read_chunk(), once(|| theirs.write_all(TEXT).unwrap())).await;
    let ends = got.is_some();
    let all = got.map_or(Vec::new(), |lease| lease.unwrap().unwrap().to_vec());
    the_rest_comes(reader, theirs, all).await;
    ends
}

async fn peek(cut: Cut) -> Ends {
    let (mut reader, mut theirs) = read_end();
    let mut buf = vec![0; 7];
    let got = cut.off(reader.peek(&mut buf), once(|| theirs.write_all(TEXT).unwrap())).await;
    let ends = got.map(|n| assert_eq!(buf[..n.unwrap()], TEXT[..7])).is_some();
    the_rest_comes(reader, theirs, Vec::new()).await;
    ends
}

async fn reader_into_std(cut: Cut) -> Ends {
    let (mut reader, mut theirs) = read_end();
    // A watch is in flight: it has to end first.
    assert!(poll_once(&mut Box::pin(reader.read(&mut [0]))).await.is_pending());
    let event = once(|| theirs.write_all(TEXT).unwrap());
    let Some(got) = cut.off(reader.into_std(), event).await else { return false };
    let (mut std, parked) = got.unwrap();
    theirs.write_all(b"!").unwrap();
    drop(theirs);
    let mut all = parked.to_vec();
    std.read_to_end(&mut all).unwrap();
    assert_eq!(all, b"hello, world!");
    true
}

/// A named pipe that goes away with its name.
struct Named(PathBuf);

impl Named {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Relaxed);
        let name = format!("ringloop-cut-pipe-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        // Of a case that was forgotten, in a process that had our number.
        let _ = std::fs::remove_file(&path);
        let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        make(&name);
        Self(path)
    }
}

#[expect(unsafe_code, reason = "mkfifo(3)")]
fn make(name: &std::ffi::CStr) {
    // SAFETY: a C string.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
}

impl Drop for Named {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn open(cut: Cut) -> Ends {
    let path = Named::new();
    let got = cut.off(PipeReader::open(&path.0), || {}).await;
    let ends = got.is_some();
    let mut reader = match got {
        Some(reader) => reader.unwrap(),
        None => PipeReader::open(&path.0).await.unwrap(),
    };
    std::fs::File::options().write(true).open(&path.0).unwrap().write_all(TEXT).unwrap();
    assert_eq!(&reader.read_chunk().await.unwrap().unwrap()[..], TEXT);
    ends
}

async fn open_writer(cut: Cut) -> Ends {
    let path = Named::new();
    let mut reader = PipeReader::open(&path.0).await.unwrap();
    let got = cut.off(PipeWriter::open(&path.0), || {}).await;
    let ends = got.is_some();
    let mut writer = match got {
        Some(writer) => writer.unwrap(),
        None => PipeWriter::open(&path.0).await.unwrap(),
    };
    writer.write_all(TEXT).await.unwrap();
    assert_eq!(&reader.read_chunk().await.unwrap().unwrap()[..], TEXT);
    ends
}

/// A writer, and the other end, which does not wait when it reads.
pub(super) fn write_end() -> (PipeWriter, Peer<std::fs::File>) {
    let path = Named::new();
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::File::options();
    let file = options.read(true).custom_flags(libc::O_NONBLOCK).open(&path.0).unwrap();
    let writer = std::fs::File::options().write(true).open(&path.0).unwrap();
    let writer = PipeWriter::from_std(writer).unwrap();
    (writer, Peer::new(file))
}

async fn full() -> (PipeWriter, Peer<std::fs::File>) {
    let (mut ours, peer) = write_end();
    fill(ours.write_all(pattern(0, 1 << 20))).await;
    (ours, peer)
}

async fn write_all(cut: Cut) -> Ends {
    const LEN: usize = 150_000;
    let (mut writer, mut peer) = write_end();
    let bytes = pattern(0, LEN).to_vec();
    let got = cut.off(writer.write_all(&bytes), || peer.drain()).await;
    drop(bytes);
    last(writer.write_all(END), &mut peer).await;
    drop(writer);
    let ends = got.map(Result::unwrap).is_some();
    let len = peer.sees(false, true).await;
    assert!(len == LEN || !ends, "a write that was done is whole");
    ends
}

async fn write_bytes(cut: Cut) -> Ends {
    let (mut writer, mut peer) = full().await;
    let bytes = Bytes::from(PIECE.to_vec());
    let got = cut.off(writer.write_bytes(bytes), || peer.drain()).await;
    last(writer.write_all(END), &mut peer).await;
    drop(writer);
    let ends = got.map(Result::unwrap).is_some();
    peer.sees(ends, true).await;
    ends
}

async fn write_chunk(cut: Cut) -> Ends {
    let (mut reader, mut theirs) = read_end();
    theirs.write_all(PIECE).unwrap();
    let lease = reader.read_chunk().await.unwrap().unwrap();
    let (mut writer, mut peer) = full().await;
    let got = cut.off(writer.write_chunk(lease), || peer.drain()).await;
    last(writer.write_all(END), &mut peer).await;
    drop(writer);
    let ends = got.map(Result::unwrap).is_some();
    peer.sees(ends, true).await;
    ends
}

async fn write_vectored(cut: Cut) -> Ends {
    let (mut writer, mut peer) = full().await;
    let (one, other) = (PIECE[..10].to_vec(), PIECE[10..].to_vec());
    let slices = [IoSlice::new(&one), IoSlice::new(&[]), IoSlice::new(&other)];
    let got = cut.off(writer.write_vectored(&slices), || peer.drain()).await;
    drop((one, other));
    last(writer.write_all(END), &mut peer).await;
    drop(writer);
    let ends = got.map(|n| assert_eq!(n.unwrap(), PIECE.len())).is_some();
    peer.sees(ends, true).await;
    ends
}

async fn flush(cut: Cut) -> Ends {
    let (mut writer, mut peer) = full().await;
    let got = cut.off(writer.flush(), || peer.drain()).await;
    last(writer.write_all(END), &mut peer).await;
    drop(writer);
    peer.sees(false, true).await;
    got.map(Result::unwrap).is_some()
}

async fn close(cut: Cut) -> Ends {
    let (writer, mut peer) = full().await;
    let got = cut.off(writer.close(), || peer.drain()).await;
    if got.is_some() || cut.how != How::Forgotten {
        // Dropped, it goes on in the background.
        peer.sees(false, false).await;
    }
    got.map(Result::unwrap).is_some()
}

async fn closed(cut: Cut) -> Ends {
    let (mut writer, peer) = write_end();
    let got = cut.off(writer.closed(), once(|| drop(peer))).await;
    let ends = got.map(Result::unwrap).is_some();
    writer.closed().await.unwrap();
    let _ = writer.write_all(b"x").await;
    assert_eq!(writer.flush().await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    ends
}

async fn writer_into_std(cut: Cut) -> Ends {
    let (writer, mut peer) = full().await;
    let got = cut.off(writer.into_std(), || peer.drain()).await;
    let Some(std) = got else {
        if cut.how != How::Forgotten {
            peer.sees(false, false).await;
        }
        return false;
    };
    let mut std = std.unwrap();
    // It blocks, and may be full.
    peer.drain();
    std.write_all(END).unwrap();
    drop(std);
    peer.sees(false, true).await;
    true
}
