//! What a process has used: CPU time, and how often it gave the CPU away.
//!
//! CPU time is the process's clock: nanoseconds, the running thread's share up to this moment, and
//! threads that have ended meanwhile included, which the sum over `/proc/PID/task` would lose. The
//! kernel's workers for a ring are threads of its process. How it divides into user and system time
//! comes from `/proc/PID/stat`, in hundredths of a second.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// The accounts of a process at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) at: Instant,
    pub(crate) cpu: Duration,
    slow: Slow,
}

/// What is read from files, which takes longer than a request.
#[derive(Clone, Copy, Debug, Default)]
struct Slow {
    user: u64,
    system: u64,
    /// How often a thread gave the CPU away, or lost it.
    switches: u64,
    /// How long threads were ready to run while the CPU was somebody else's.
    waited: Duration,
}

/// What was used between two moments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    pub(crate) took: Duration,
    pub(crate) cpu: Duration,
    /// The share of CPU time outside the kernel; where the time was too short to tell, none.
    pub(crate) user: Option<f64>,
    pub(crate) switches: u64,
    pub(crate) waited: Duration,
}

impl Moment {
    /// The files first, the clocks last.
    pub(crate) fn now(pid: Pid) -> io::Result<Self> {
        let slow = Slow::read(pid)?;
        Ok(Self { at: Instant::now(), cpu: cpu(pid)?, slow })
    }

    /// What `pid` has used since: the clocks first, the files last.
    pub(crate) fn spent(&self, pid: Pid) -> io::Result<Spent> {
        let (at, cpu) = (Instant::now(), cpu(pid)?);
        let slow = Slow::read(pid)?;
        let (user, system) = (slow.user - self.slow.user, slow.system - self.slow.system);
        let ticks = user + system;
        Ok(Spent {
            took: at - self.at,
            cpu: cpu.saturating_sub(self.cpu),
            user: (ticks >= 20).then(|| user as f64 / ticks as f64),
            // A thread that has ended took its counts along.
            switches: slow.switches.saturating_sub(self.slow.switches),
            waited: slow.waited.saturating_sub(self.slow.waited),
        })
    }
}

/// The CPU time of a process, its threads that have ended included.
fn cpu(pid: Pid) -> io::Result<Duration> {
    Ok(clock_gettime(clock_getcpuclockid(pid)?)?.into())
}

impl Slow {
    fn read(pid: Pid) -> io::Result<Self> {
        let mut slow = Self::default();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name stands in parentheses and may hold anything; what follows is fields 3 and on.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let mut ticks = fields.split_whitespace().skip(11).map_while(|ticks| ticks.parse().ok());
        (slow.user, slow.system) = (ticks.next().unwrap_or(0), ticks.next().unwrap_or(0));
        for task in fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
            let read = |name| fs::read_to_string(task.path().join(name)).unwrap_or_default();
            let (status, schedstat) = (read("status"), read("schedstat"));
            let switches = status.lines().filter(|line| line.contains("ctxt_switches:"));
            let counts = switches.filter_map(|line| line.rsplit('\t').next()?.parse::<u64>().ok());
            slow.switches += counts.sum::<u64>();
            let waited = schedstat.split(' ').nth(1).and_then(|nanos| nanos.parse().ok());
            slow.waited += Duration::from_nanos(waited.unwrap_or(0));
        }
        Ok(slow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::thread;

    use nix::sys::resource::{UsageWho, getrusage};

    fn burn(length: Duration) {
        let begin = Instant::now();
        while begin.elapsed() < length {
            std::hint::spin_loop();
        }
    }

    fn own_usage() -> Duration {
        let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
        let nanos = |time: nix::sys::time::TimeVal| {
            Duration::new(time.tv_sec() as u64, time.tv_usec() as u32 * 1000)
        };
        nanos(usage.user_time()) + nanos(usage.system_time())
    }

    #[test]
    fn threads_that_have_ended_stay_in_the_account() {
        let pid = nix::unistd::getpid();
        let (moment, usage) = (Moment::now(pid).unwrap(), own_usage());
        thread::spawn(|| burn(Duration::from_millis(300))).join().unwrap();
        let (spent, used) = (moment.spent(pid).unwrap(), own_usage() - usage);
        assert!(spent.cpu > Duration::from_millis(20), "{spent:?}");
        assert!(spent.cpu.abs_diff(used) < Duration::from_millis(20), "{spent:?}, not {used:?}");
        if let Some(user) = spent.user {
            assert!(user > 0.5, "{spent:?}");
        }
    }

    #[test]
    fn what_sleeps_uses_nothing_and_switches() {
        let pid = nix::unistd::getpid();
        let moment = Moment::now(pid).unwrap();
        for _ in 0..20 {
            thread::sleep(Duration::from_millis(1));
        }
        let spent = moment.spent(pid).unwrap();
        assert!(spent.switches >= 20, "{spent:?}");
        assert!(spent.took >= Duration::from_millis(20), "{spent:?}");
    }
}
