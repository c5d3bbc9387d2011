//! Files: what is read comes right, what is written is there in part or not at all.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use ringloop::fs::File;
use ringloop::metrics;

use super::cut::{Cut, How};
use super::{Case, Ends, case};
use crate::tcp::{pattern, until};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("File::open"; open()),
        case!("File::create"; create()),
        case!("File::read_at"; read_at()),
        case!("File::write_at"; write_at()),
        case!("File::write_all_at"; write_all_at()),
        case!("File::sync_all"; sync_all()),
        case!("File::sync_data"; sync_data()),
    ]
}

/// A file that goes away with its name.
struct Temporary(PathBuf);

impl Temporary {
    fn new(bytes: &[u8]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("ringloop-cut-{}-{}", std::process::id(), NUMBER.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, bytes).unwrap();
        Self(path)
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.0).unwrap()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What was cut off may still happen; then it has.
async fn over() {
    until(|| metrics().in_flight == 0).await;
}

async fn open(cut: Cut) -> Ends {
    let there = Temporary::new(b"content");
    let got = cut.off(File::open(&there.0), || {}).await;
    let ends = got.is_some();
    let file = match got {
        Some(file) => file.unwrap(),
        None => File::open(&there.0).await.unwrap(),
    };
    let mut buf = [0; 16];
    assert_eq!(file.read_at(&mut buf, 0).await.unwrap(), 7);
    ends
}

async fn create(cut: Cut) -> Ends {
    let there = Temporary::new(b"content");
    let got = cut.off(File::create(&there.0), || {}).await;
    let ends = got.is_some();
    over().await;
    assert!(ends || ["", "content"].map(str::as_bytes).contains(&&there.bytes()[..]));
    let file = match got {
        Some(file) => file.unwrap(),
        None => File::create(&there.0).await.unwrap(),
    };
    file.write_all_at(b"new", 0).await.unwrap();
    assert_eq!(there.bytes(), b"new");
    ends
}

async fn read_at(cut: Cut) -> Ends {
    const LEN: usize = 40_000;
    let there = Temporary::new(pattern(0, LEN));
    let file = File::open(&there.0).await.unwrap();
    let mut buf = vec![0; LEN];
    let got = cut.off(file.read_at(&mut buf, 1), || {}).await;
    let ends = got.map(|n| assert!(buf[..n.unwrap()] == pattern(1, LEN - 1)[..])).is_some();
    assert!(
        ends || buf.iter().all(|&byte| byte == 0),
        "somebody wrote into a dropped read's buffer"
    );
    drop(buf);
    let mut buf = vec![0; LEN];
    let n = file.read_at(&mut buf, 2).await.unwrap();
    assert!(buf[..n] == pattern(2, LEN - 2)[..]);
    read_by_the_queue(cut).await & ends
}

/// Reads a file that is in no cache.
async fn read_by_the_queue(cut: Cut) -> Ends {
    const PATH: &str = "/proc/version";
    let all = std::fs::read(PATH).unwrap();
    let file = File::open(PATH).await.unwrap();
    let mut buf = vec![0; 1000];
    let got = cut.off(file.read_at(&mut buf, 1), || {}).await;
    let ends = got.map(|n| assert_eq!(buf[..n.unwrap()], all[1..])).is_some();
    assert!(
        ends || buf.iter().all(|&byte| byte == 0),
        "somebody wrote into a dropped read's buffer"
    );
    drop(buf);
    let mut buf = vec![0; 1000];
    let n = file.read_at(&mut buf, 2).await.unwrap();
    assert_eq!(buf[..n], all[2..]);
    ends
}

async fn write_at(cut: Cut) -> Ends {
    let there = Temporary::new(&[]);
    let file = File::create(&there.0).await.unwrap();
    let bytes = pattern(0, 40_000).to_vec();
    let got = cut.off(file.write_at(&bytes, 0), || {}).await;
    drop(bytes);
    let ends = got.map(|n| assert_eq!(n.unwrap(), 40_000)).is_some();
    written(&there, &file, 40_000, ends).await;
    ends
}

async fn write_all_at(cut: Cut) -> Ends {
    let there = Temporary::new(&[]);
    let file = File::create(&there.0).await.unwrap();
    // Three calls.
    let bytes = pattern(0, 150_000).to_vec();
    let got = cut.off(file.write_all_at(&bytes, 0), || {}).await;
    drop(bytes);
    let ends = got.map(Result::unwrap).is_some();
    written(&there, &file, 150_000, ends).await;
    ends
}

/// A part, or all of it where that was promised; and the next write goes where it should.
async fn written(there: &Temporary, file: &File, len: usize, all: bool) {
    over().await;
    let bytes = there.bytes();
    assert!(bytes.len() == len || !all && bytes.len() < len, "{} of {len}", bytes.len());
    assert!(bytes == pattern(0, bytes.len()), "not a prefix");
    file.write_all_at(b"next", 3).await.unwrap();
    assert_eq!(there.bytes()[3..7], b"next"[..]);
}

async fn sync_all(cut: Cut) -> Ends {
    let there = Temporary::new(b"content");
    let file = File::create(&there.0).await.unwrap();
    let ends = cut.off(file.sync_all(), || {}).await.map(Result::unwrap).is_some();
    synced(cut, &there, file).await;
    ends
}

async fn sync_data(cut: Cut) -> Ends {
    let there = Temporary::new(b"content");
    let file = File::create(&there.0).await.unwrap();
    let ends = cut.off(file.sync_data(), || {}).await.map(Result::unwrap).is_some();
    synced(cut, &there, file).await;
    ends
}

async fn synced(cut: Cut, there: &Temporary, file: File) {
    if cut.how == How::Forgotten {
        over().await;
    }
    file.write_all_at(b"next", 0).await.unwrap();
    file.sync_data().await.unwrap();
    assert_eq!(there.bytes(), b"next");
}
