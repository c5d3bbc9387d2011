//! Reads: the bytes come later, once and in order, also when the buffer is gone by then.

use std::io::Write;

use super::cut::Cut;
use super::{Case, Ends, case, once};
use crate::tcp::with_std;

#[derive(Clone, Copy)]
enum Of {
    Stream,
    Half,
    OwnedHalf,
}

/// Runs `$body` with `$reader` being the reading side of `$stream`.
macro_rules! with_reader {
    ($of:expr, $stream:ident, $reader:ident => $body:expr) => {
        match $of {
            Of::Stream => {
                let $reader = &mut $stream;
                $body
            }
            Of::Half => {
                let mut halves = $stream.split();
                let $reader = &mut halves.0;
                $body
            }
            Of::OwnedHalf => {
                let (mut half, _write) = $stream.into_split();
                let $reader = &mut half;
                $body
            }
        }
    };
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("TcpStream::read"; read(Of::Stream)),
        case!("ReadHalf::read"; read(Of::Half)),
        case!("OwnedReadHalf::read"; read(Of::OwnedHalf)),
        case!("TcpStream::read_chunk"; read_chunk(Of::Stream)),
        case!("ReadHalf::read_chunk"; read_chunk(Of::Half)),
        case!("OwnedReadHalf::read_chunk"; read_chunk(Of::OwnedHalf)),
        case!("TcpStream::peek"; peek(Of::Stream)),
        case!("ReadHalf::peek"; peek(Of::Half)),
        case!("OwnedReadHalf::peek"; peek(Of::OwnedHalf)),
    ]
}

const TEXT: &[u8] = b"hello, world";

/// Reads what is left of [`TEXT`], then something more.
macro_rules! the_rest_comes {
    ($reader:ident, $theirs:ident, $got:expr) => {
        let mut all: Vec<u8> = $got;
        $theirs.write_all(b" and more").unwrap();
        while all.len() < TEXT.len() + 9 {
            let mut buf = vec![0; 5];
            let n = $reader.read(&mut buf).await.unwrap();
            assert_ne!(n, 0, "the end after {all:?}");
            all.extend_from_slice(&buf[..n]);
        }
        assert_eq!(all, b"hello, world and more");
    };
}

async fn read(cut: Cut, of: Of) -> Ends {
    let (mut ours, mut theirs) = with_std().await;
    with_reader!(of, ours, reader => {
        let mut buf = vec![0; 7];
        let got = cut.off(reader.read(&mut buf), once(|| theirs.write_all(TEXT).unwrap())).await;
        let all = got.as_ref().map_or(Vec::new(), |n| buf[..*n.as_ref().unwrap()].to_vec());
        // The kernel must not know of this memory, nor anybody write into it.
        drop(buf);
        the_rest_comes!(reader, theirs, all);
        got.is_some()
    })
}

async fn read_chunk(cut: Cut, of: Of) -> Ends {
    let (mut ours, mut theirs) = with_std().await;
    with_reader!(of, ours, reader => {
        let got = cut.off(reader.read_chunk(), once(|| theirs.write_all(TEXT).unwrap())).await;
        let ends = got.is_some();
        let all = got.map_or(Vec::new(), |lease| lease.unwrap().unwrap().to_vec());
        the_rest_comes!(reader, theirs, all);
        ends
    })
}

async fn peek(cut: Cut, of: Of) -> Ends {
    let (mut ours, mut theirs) = with_std().await;
    with_reader!(of, ours, reader => {
        let mut buf = vec![0; 7];
        let got = cut.off(reader.peek(&mut buf), once(|| theirs.write_all(TEXT).unwrap())).await;
        if let Some(n) = &got {
            let n = *n.as_ref().unwrap();
            assert_eq!(buf[..n], TEXT[..n]);
        }
        drop(buf);
        the_rest_comes!(reader, theirs, Vec::new());
        got.is_some()
    })
}
