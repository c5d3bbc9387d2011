//! Reading a file that is in the page cache.

use std::env;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process;
use std::rc::Rc;

use super::child::Job;
use super::clock::{Cost, Random, batches};
use super::runtime::{PAGE, Runtime};

/// 64 MiB: far more than the CPU's caches hold.
const PAGES: u64 = 16_384;

/// A file whose every page begins with its number. Dropping it deletes it.
pub(super) struct Pages {
    path: PathBuf,
}

impl Pages {
    pub(super) fn create() -> io::Result<Self> {
        let path = env::temp_dir().join(format!("ringloop-versus-{}", process::id()));
        let this = Self { path };
        let mut file = BufWriter::new(File::create_new(&this.path)?);
        for number in 0..PAGES {
            let mut page = [0; PAGE];
            page[..8].copy_from_slice(&number.to_le_bytes());
            file.write_all(&page)?;
        }
        // Nothing is left to be written while it is read.
        file.into_inner()?.sync_all()?;
        Ok(this)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Which page to read, and whether it came.
pub(super) fn choose(random: &mut Random) -> (u64, impl Fn(&[u8]) + use<>) {
    let number = random.below(PAGES);
    let check = move |page: &[u8]| {
        assert_eq!(page.len(), PAGE, "a whole page was there to be read");
        assert_eq!(page[..8], number.to_le_bytes(), "the page that was asked for");
    };
    (number * PAGE as u64, check)
}

/// µs a read, and µs of CPU time.
pub(super) fn microseconds(cost: Cost) -> Vec<f64> {
    vec![cost.wall / 1e3, cost.cpu / 1e3]
}

/// By `depth` tasks, each one read at a time.
pub(super) fn reads<R: Runtime>(job: &Job, depth: usize) -> io::Result<Vec<f64>> {
    let (time, path) = (job.time, job.pages.clone());
    let cost = R::run_task(move |runtime| async move {
        let each = 6400 / depth;
        let file = Rc::new(runtime.open(&path).await?);
        let mut seed = 0;
        let batch = async || {
            let spawn = |task: usize| {
                let file = file.clone();
                let mut random = Random(seed + task as u64);
                runtime.spawn(async move {
                    let mut buf = vec![0; PAGE];
                    for _ in 0..each {
                        let (offset, check) = choose(&mut random);
                        R::read(&file, &mut buf, offset, check).await?;
                    }
                    io::Result::Ok(())
                })
            };
            let handles: Vec<_> = (0..depth).map(spawn).collect();
            seed += depth as u64;
            for handle in handles {
                if let Err(error) = handle.await {
                    panic!("a read failed: {error}");
                }
            }
        };
        io::Result::Ok(batches(time, each * depth, batch).await)
    })??;
    Ok(microseconds(cost))
}
