//! Which CPUs this thread may run on.

use std::io;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use super::count;

/// The CPUs that a thread was allowed, for its helpers to have them too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowed(CpuSet);

impl Allowed {
    /// Those of this thread.
    pub(crate) fn current() -> io::Result<Self> {
        count::one();
        Ok(Self(sched_getaffinity(Pid::from_raw(0))?))
    }

    /// Allows them to this thread. What fails leaves it where it was.
    pub(crate) fn allow(&self) {
        count::one();
        let _ = sched_setaffinity(Pid::from_raw(0), &self.0);
    }
}

/// Pins this thread to one CPU.
///
/// # Errors
///
/// `InvalidInput`, naming the CPUs that are allowed here, where `cpu` is not one of them.
pub(crate) fn pin(cpu: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    count::one();
    if set.set(cpu).is_ok() && sched_setaffinity(Pid::from_raw(0), &set).is_ok() {
        return Ok(());
    }
    let allowed: Vec<String> = allowed()?.iter().map(ToString::to_string).collect();
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("cannot pin to CPU {cpu}: the CPUs allowed here are {}", allowed.join(", ")),
    ))
}

/// The CPUs this thread may run on, in order.
pub(crate) fn allowed() -> io::Result<Vec<usize>> {
    count::one();
    let set = sched_getaffinity(Pid::from_raw(0))?;
    Ok((0..CpuSet::count()).filter(|&cpu| set.is_set(cpu).unwrap_or(false)).collect())
}
