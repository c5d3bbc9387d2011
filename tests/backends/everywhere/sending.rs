//! What goes from a file into a stream, and from one stream straight into another.

use std::io::{ErrorKind, Read, Write};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use ringloop::net::{pipe, splice};

use super::cut::{Cut, How};
use super::peer::{END, last};
use super::pipes::{TEXT, read_end, write_end};
use super::{Case, Ends, case, once};
use crate::tcp::{pattern, until, with_std};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("TcpStream::send_file"; send_file_to_socket(Of::Stream)),
        case!("UnixStream::send_file"; send_file_to_socket(Of::Unix)),
        case!("WriteHalf::send_file"; send_file_to_socket(Of::Half)),
        case!("OwnedWriteHalf::send_file"; send_file_to_socket(Of::OwnedHalf)),
        case!("PipeWriter::send_file"; send_file()),
        case!("splice"; spliced()),
    ]
}

/// A file of the pattern, for a moment.
fn file_of(len: usize) -> std::fs::File {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Relaxed);
    let name = format!("ringloop-cut-file-{}-{number}", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, pattern(0, len)).unwrap();
    let file = std::fs::File::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    file
}

const FILE: usize = 400_000;

async fn send_file(cut: Cut) -> Ends {
    let (mut writer, mut peer) = write_end();
    let file = file_of(FILE);
    let mut range = 0..u64::MAX;
    let got = cut.off(writer.send_file(&file, &mut range), || peer.drain()).await;
    last(writer.write_all(END), &mut peer).await;
    drop(writer);
    let ends = got.map(|n| assert_eq!(n.unwrap(), FILE as u64)).is_some();
    let len = peer.sees(false, true).await;
    if cut.how != How::Forgotten || ends {
        assert_eq!(len as u64, range.start, "it said something else");
    }
    assert!(len == FILE || !ends);
    ends
}

#[derive(Clone, Copy)]
enum Of {
    Stream,
    Unix,
    Half,
    OwnedHalf,
}

async fn send_file_to_socket(cut: Cut, of: Of) -> Ends {
    let file = file_of(FILE);
    let mut range = 0..u64::MAX;
    if let Of::Unix = of {
        let (theirs, ours) = std::os::unix::net::UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        let mut ours = ringloop::net::UnixStream::from_std(ours).unwrap();
        ours.set_send_buffer_size(8 << 10).unwrap();
        let mut peer = Receiver { from: theirs, all: Vec::new() };
        let got = cut.off(ours.send_file(&file, &mut range), || _ = peer.drain()).await;
        drop(ours);
        return peer.has_got(cut, got, range).await;
    }
    let (mut ours, theirs) = with_std().await;
    ours.set_send_buffer_size(8 << 10).unwrap();
    theirs.set_nonblocking(true).unwrap();
    let mut peer = Receiver { from: theirs, all: Vec::new() };
    let got = match of {
        Of::Half => {
            let (_, mut half) = ours.split();
            cut.off(half.send_file(&file, &mut range), || _ = peer.drain()).await
        }
        Of::OwnedHalf => {
            let (read, mut half) = ours.into_split();
            let got = cut.off(half.send_file(&file, &mut range), || _ = peer.drain()).await;
            drop(half);
            // After the end of the runtime nobody ends one way alone: the last half closes.
            drop(read);
            return peer.has_got(cut, got, range).await;
        }
        _ => cut.off(ours.send_file(&file, &mut range), || _ = peer.drain()).await,
    };
    drop(ours);
    peer.has_got(cut, got, range).await
}

/// Who gets a file, and does not wait when it reads.
struct Receiver<R> {
    from: R,
    all: Vec<u8>,
}

impl<R: Read> Receiver<R> {
    /// Reads what there is; whether it has ended.
    fn drain(&mut self) -> bool {
        let mut buf = vec![0; 1 << 14];
        loop {
            match self.from.read(&mut buf) {
                Ok(0) => return true,
                Ok(n) => self.all.extend_from_slice(&buf[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return false,
                Err(e) => panic!("{e}"),
            }
        }
    }

    async fn has_got(
        mut self,
        cut: Cut,
        got: Option<std::io::Result<u64>>,
        range: std::ops::Range<u64>,
    ) -> Ends {
        let ends = got.map(|n| assert_eq!(n.unwrap(), FILE as u64)).is_some();
        until(|| self.drain()).await;
        if cut.how != How::Forgotten || ends {
            assert_eq!(self.all.len() as u64, range.start, "it said something else");
        }
        assert!(self.all == pattern(0, self.all.len()), "not a prefix");
        ends
    }
}

async fn spliced(cut: Cut) -> Ends {
    let (mut first, mut theirs) = read_end();
    let (mut last, mut onward) = pipe().unwrap();
    let moved = splice(&mut first, &mut onward, usize::MAX);
    let got = cut.off(moved, once(|| theirs.write_all(TEXT).unwrap())).await;
    let ends = got.map(|n| assert_eq!(n.unwrap(), TEXT.len())).is_some();
    if !ends {
        assert_eq!(splice(&mut first, &mut onward, usize::MAX).await.unwrap(), TEXT.len());
    }
    assert_eq!(&last.read_chunk().await.unwrap().unwrap()[..], TEXT);
    ends
}
