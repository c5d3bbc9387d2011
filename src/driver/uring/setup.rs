//! The setup ladder: the best ring that this kernel gives.
//!
//! `uring-sys-notes/setup-ladder.md`. Each rung falls to the next on `EINVAL`, sizes are halved on
//! `ENOMEM`; anything that says "forbidden" or "not there" ends the climb at once.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use io_uring::{IoUring, Parameters};

use super::caps::Caps;
use crate::testing;

/// Why there is no ring (`uring-sys-notes/forbidden.md`, `uring-sys-notes/memlock.md`).
#[derive(Debug)]
pub(crate) struct Refused {
    /// The reason as a clause: "io_uring_setup is forbidden here (EPERM: …)".
    pub(crate) reason: String,
    /// False where epoll would fail as well, or where the cause should be seen (`EMFILE`).
    pub(crate) fall_back: bool,
    pub(crate) kind: io::ErrorKind,
}

impl Refused {
    pub(super) fn new(reason: impl std::convert::Into<String>) -> Self {
        Self { reason: reason.into(), fall_back: true, kind: io::ErrorKind::Unsupported }
    }

    /// What `error` of `call`, such as "io_uring_setup", means.
    pub(super) fn by(call: &str, error: io::Error) -> Self {
        let (reason, fall_back) = match error.raw_os_error() {
            Some(libc::EPERM) => (
                format!(
                    "{call} is forbidden here (EPERM: seccomp profile or kernel.io_uring_disabled)"
                ),
                true,
            ),
            Some(libc::EACCES) => (
                format!("{call} is forbidden here (EACCES: a security module such as SELinux)"),
                true,
            ),
            Some(libc::ENOSYS) if call == SETUP => (
                "io_uring does not exist here (ENOSYS: an old kernel, a sandbox, or a seccomp \
                 profile)"
                    .to_owned(),
                true,
            ),
            Some(libc::ENOSYS) => (
                format!("{call} does not exist here (ENOSYS: a sandbox or a seccomp profile)"),
                true,
            ),
            Some(libc::ENOMEM) => (
                format!(
                    "{call} got no memory (ENOMEM: raise RLIMIT_MEMLOCK, 'ulimit -l', to 1 MiB or \
                     more)"
                ),
                true,
            ),
            Some(libc::EINVAL) => {
                ("this kernel's io_uring is too old (EINVAL: Linux 6.0 is needed)".to_owned(), true)
            }
            Some(libc::EMFILE | libc::ENFILE) => {
                (format!("no descriptor is left for a ring ({error})"), false)
            }
            _ => (format!("io_uring cannot be set up ({call}: {error})"), true),
        };
        let kind = if fall_back { io::ErrorKind::Unsupported } else { error.kind() };
        Self { reason, fall_back, kind }
    }
}

/// The calls that may be refused, each for itself.
pub(super) const SETUP: &str = "io_uring_setup";
pub(super) const ENTER: &str = "io_uring_enter";
pub(super) const REGISTER: &str = "io_uring_register";

/// One set of flags.
pub(super) struct Rung {
    pub(super) name: &'static str,
    flags: Caps,
}

const DEFER: Caps = Caps::SINGLE_ISSUER.and(Caps::DEFER_TASKRUN).and(Caps::SUBMIT_ALL);
const COOP: Caps = Caps::COOP_TASKRUN.and(Caps::SUBMIT_ALL);

/// Best first.
static LADDER: [Rung; 6] = [
    Rung { name: "DEFER_TASKRUN and NO_SQARRAY", flags: DEFER.and(Caps::NO_SQARRAY) },
    Rung { name: "DEFER_TASKRUN", flags: DEFER },
    Rung { name: "SINGLE_ISSUER and COOP_TASKRUN", flags: COOP.and(Caps::SINGLE_ISSUER) },
    Rung { name: "COOP_TASKRUN", flags: COOP },
    Rung { name: "SUBMIT_ALL", flags: Caps::SUBMIT_ALL },
    Rung { name: "no set-up flags", flags: Caps::NONE },
];

/// The rung that was reached last: the next ring of this process starts there.
static REACHED: AtomicUsize = AtomicUsize::new(0);

const SQ_ENTRIES: u32 = 256;
const CQ_ENTRIES: u32 = 4096;
const SQ_LEAST: u32 = 32;
const CQ_LEAST: u32 = 64;

/// Climbs the ladder, with no more than `most`. Returns the ring and its rung.
pub(super) fn ring(most: Caps) -> Result<(IoUring, &'static Rung), Refused> {
    let mut error = io::Error::from_raw_os_error(libc::EINVAL);
    let reached = REACHED.load(Ordering::Relaxed);
    for (step, rung) in LADDER.iter().enumerate().skip(reached) {
        if !most.has(rung.flags) {
            continue;
        }
        match rung.build() {
            Ok(ring) => {
                let missing = missing(ring.params());
                if !missing.is_empty() {
                    return Err(Refused::new(format!(
                        "this kernel's io_uring lacks {} (Linux 5.11 has them)",
                        missing.join(", ")
                    )));
                }
                if most == Caps::ALL {
                    REACHED.store(step, Ordering::Relaxed);
                }
                return Ok((ring, rung));
            }
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) => error = e,
            Err(e) => return Err(Refused::by(SETUP, e)),
        }
    }
    Err(Refused::by(SETUP, error))
}

/// What the sentence about a ring says of queues that had to be smaller than they should be.
pub(super) fn shrunk(p: &Parameters) -> String {
    let (sq, cq) = (p.sq_entries(), p.cq_entries());
    if sq >= SQ_ENTRIES && cq >= CQ_ENTRIES {
        return String::new();
    }
    format!(", its queues cut to {sq} and {cq} entries (RLIMIT_MEMLOCK, 'ulimit -l', is low)")
}

/// The required features that the kernel did not announce.
fn missing(p: &Parameters) -> Vec<&'static str> {
    let features = [
        (p.is_feature_nodrop(), "NODROP"),
        (p.is_feature_submit_stable(), "SUBMIT_STABLE"),
        (p.is_feature_rw_cur_pos(), "RW_CUR_POS"),
        (p.is_feature_fast_poll(), "FAST_POLL"),
        (p.is_feature_ext_arg(), "EXT_ARG"),
    ];
    features.iter().filter(|(there, _)| !there).map(|(_, name)| *name).collect()
}

impl Rung {
    pub(super) fn has(&self, flag: Caps) -> bool {
        self.flags.has(flag)
    }

    fn build(&self) -> io::Result<IoUring> {
        let (mut sq, mut cq) = testing::queues().unwrap_or((SQ_ENTRIES, CQ_ENTRIES));
        loop {
            match self.build_sized(sq, cq) {
                Err(e) if e.raw_os_error() == Some(libc::ENOMEM) && cq > CQ_LEAST => cq /= 2,
                Err(e) if e.raw_os_error() == Some(libc::ENOMEM) && sq > SQ_LEAST => sq /= 2,
                other => return other,
            }
            sq = sq.min(cq);
        }
    }

    fn build_sized(&self, sq: u32, cq: u32) -> io::Result<IoUring> {
        let mut builder = IoUring::builder();
        builder.dontfork().setup_clamp().setup_cqsize(cq);
        if self.has(Caps::SUBMIT_ALL) {
            builder.setup_submit_all();
        }
        if self.has(Caps::SINGLE_ISSUER) {
            builder.setup_single_issuer();
        }
        if self.has(Caps::DEFER_TASKRUN) {
            builder.setup_defer_taskrun();
        }
        if self.has(Caps::COOP_TASKRUN) {
            builder.setup_coop_taskrun();
        }
        if self.has(Caps::DEFER_TASKRUN) || self.has(Caps::COOP_TASKRUN) {
            builder.setup_taskrun_flag();
        }
        if self.has(Caps::NO_SQARRAY) {
            builder.setup_no_sqarray();
        }
        builder.build(sq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_that_had_to_shrink_says_so() {
        let plain = &LADDER[LADDER.len() - 1];
        let Ok(small) = plain.build_sized(SQ_LEAST, CQ_LEAST) else { return };
        assert!(shrunk(small.params()).contains("cut to 32 and 64 entries"));
        let Ok(full) = plain.build_sized(SQ_ENTRIES, CQ_ENTRIES) else { return };
        assert_eq!(shrunk(full.params()), "");
    }
}
