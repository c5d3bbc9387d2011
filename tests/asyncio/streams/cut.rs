//! Reads that are dropped while their bytes come, wherever these are split.

use std::io::Write;
use std::pin::pin;
use std::task::Poll;

use ringloop::net::UnixStream;
use ringloop::stream::Reader;

use super::{poll_once, turns, with_std};
use crate::support::run_on_each;

/// A whole that is read.
#[derive(Clone, Copy, Debug)]
enum Whole {
    Line,
    NextLine,
    Until(&'static [u8]),
    Any(&'static [&'static [u8]]),
    /// Of so many bytes; above [`LIMIT`] by another way.
    Exact(usize),
}

/// The reader's limit.
const LIMIT: usize = 4;

const TEXT: &[u8] = b"a\r\nbc;\nd\r\n";

const WHOLES: [Whole; 8] = [
    Whole::Line,
    Whole::NextLine,
    Whole::Until(b"\r\n"),
    Whole::Until(b"\n"),
    Whole::Any(&[b"\r\n", b";"]),
    Whole::Exact(2),
    Whole::Exact(5),
    Whole::Exact(10),
];

impl Whole {
    async fn read(self, reader: &mut Reader) -> Vec<u8> {
        let (mut bytes, mut line) = (Vec::new(), String::new());
        match self {
            Self::Line => _ = reader.read_line(&mut line).await.unwrap(),
            Self::NextLine => {
                let mut lines = reader.lines();
                line.push_str(lines.next_line().await.unwrap().expect("the stream goes on"));
            }
            Self::Until(separator) => _ = reader.read_until(separator, &mut bytes).await.unwrap(),
            Self::Any(all) => _ = reader.read_until_any(all, &mut bytes).await.unwrap(),
            Self::Exact(n) => {
                bytes.resize(n, 0);
                reader.read_exact(&mut bytes).await.unwrap();
            }
        }
        bytes.extend(line.into_bytes());
        bytes
    }

    /// Those of [`TEXT`].
    fn expected(self) -> Vec<&'static [u8]> {
        match self {
            Self::Line | Self::Until(b"\n") => vec![b"a\r\n", b"bc;\n", b"d\r\n"],
            Self::NextLine => vec![b"a", b"bc;", b"d"],
            Self::Until(_) => vec![b"a\r\n", b"bc;\nd\r\n"],
            Self::Any(_) => vec![b"a\r\n", b"bc;", b"\nd\r\n"],
            Self::Exact(n) => TEXT.chunks(n).collect(),
        }
    }
}

/// What becomes of a read that is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Kept,
    Dropped,
    Forgotten,
}

const FATES: [Fate; 3] = [Fate::Kept, Fate::Dropped, Fate::Forgotten];

async fn cut_everywhere(whole: Whole, fate: Fate, mut reader: Reader, mut theirs: impl Write) {
    reader.set_limit(if matches!(whole, Whole::Until(_)) { 8 } else { LIMIT }).unwrap();
    for splits in 0..1u32 << (TEXT.len() - 1) {
        let mut got: Vec<Vec<u8>> = Vec::new();
        let mut left = TEXT;
        while got.len() < whole.expected().len() {
            let mut reading = Box::pin(whole.read(&mut reader));
            loop {
                if let Poll::Ready(bytes) = poll_once(&mut reading).await {
                    got.push(bytes);
                    break;
                }
                if !left.is_empty() {
                    let at = TEXT.len() - left.len();
                    let end = (at + 1..TEXT.len()).find(|end| splits >> (end - 1) & 1 == 1);
                    let n = end.unwrap_or(TEXT.len()) - at;
                    theirs.write_all(&left[..n]).unwrap();
                    left = &left[n..];
                }
                turns(1).await;
                if fate == Fate::Dropped {
                    break;
                }
                if fate == Fate::Forgotten {
                    std::mem::forget(reading);
                    break;
                }
            }
        }
        assert_eq!(got, whole.expected(), "{whole:?} {fate:?}, split at {splits:b}");
    }
    theirs.write_all(b"!").unwrap();
    let mut last = [0; 2];
    assert_eq!(pin!(reader.read(&mut last)).await.unwrap(), 1, "{whole:?} {fate:?}");
}

// S-14, checks 95 and 96. Seen to hang when a long exact read did not put back what it had, and to
// fail when the search went on one byte too far on.
#[test]
fn a_read_that_is_dropped_anywhere_has_taken_nothing_wherever_the_bytes_are_split() {
    run_on_each(|| async {
        for (whole, fate) in WHOLES.iter().flat_map(|whole| FATES.map(|fate| (*whole, fate))) {
            if fate == Fate::Forgotten && matches!(whole, Whole::Exact(LIMIT..)) {
                continue;
            }
            let ((reader, _writer), theirs) = with_std().await;
            theirs.set_nodelay(true).unwrap();
            cut_everywhere(whole, fate, reader, theirs).await;
            let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
            let (reader, _writer) = UnixStream::from_std(ours).unwrap().into_stream();
            cut_everywhere(whole, fate, reader, theirs).await;
        }
    });
}
