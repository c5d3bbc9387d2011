//! Reads without a runtime: what the kernel allows.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;

use io_uring::{IoUring, opcode, types};

use super::child::Job;
use super::clock::{Random, batches};
use super::files::{choose, microseconds};
use super::runtime::PAGE;

const READS: usize = 6400;

/// One `pread` after the other.
pub(super) fn pread(job: &Job) -> io::Result<Vec<f64>> {
    let file = File::open(&job.pages)?;
    let mut random = Random(0);
    let mut buf = vec![0; PAGE];
    let batch = async || {
        for _ in 0..READS {
            let (offset, check) = choose(&mut random);
            let n = file.read_at(&mut buf, offset).expect("it can be read");
            check(&buf[..n]);
        }
    };
    Ok(microseconds(futures_lite::future::block_on(batches(job.time, READS, batch))))
}

/// Thirty-two reads an `io_uring_enter`.
pub(super) fn uring(job: &Job) -> io::Result<Vec<f64>> {
    const DEPTH: usize = 32;
    let file = File::open(&job.pages)?;
    let mut ring: IoUring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .build(DEPTH as u32)
        .map_err(|error| io::Error::new(error.kind(), format!("no io_uring here: {error}")))?;
    let mut bufs = vec![[0; PAGE]; DEPTH];
    let mut random = Random(0);
    let batch = async || {
        for _ in 0..READS / DEPTH {
            let mut checks = Vec::with_capacity(DEPTH);
            for (index, buf) in bufs.iter_mut().enumerate() {
                let (offset, check) = choose(&mut random);
                checks.push(check);
                let fd = types::Fd(file.as_raw_fd());
                let read = opcode::Read::new(fd, buf.as_mut_ptr(), PAGE as u32).offset(offset);
                let entry = read.build().user_data(index as u64);
                // SAFETY: the file and the buffer live until the completion, which is waited for
                // below; until then nobody else uses the buffer.
                let pushed = unsafe { ring.submission().push(&entry) };
                assert!(pushed.is_ok(), "there is room for all");
            }
            ring.submit_and_wait(DEPTH).expect("it can be waited for");
            for completion in ring.completion() {
                let index = completion.user_data() as usize;
                let n = usize::try_from(completion.result()).expect("it can be read");
                checks[index](&bufs[index][..n]);
            }
        }
    };
    Ok(microseconds(futures_lite::future::block_on(batches(job.time, READS, batch))))
}
