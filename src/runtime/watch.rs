//! Debug mode: what each poll took, what each task waits for, what is left open at the end.
//!
//! Off, nothing here runs: a turn asks once whether somebody watches.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::Core;
use crate::note::{Listener, Note};
use crate::sys::usage::Usage;
use crate::task::{TaskInfo, Watch, quietly};

/// Takes what debug mode has to say.
#[derive(Clone)]
pub(crate) struct Reporter(pub(super) Arc<dyn Fn(&Report) + Send + Sync>);

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reporter")
    }
}

/// Something that debug mode noticed. Its `Display` is a sentence.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Report {
    /// One poll took longer than [`Builder::slow_poll`](crate::Builder::slow_poll): everything else waited.
    #[non_exhaustive]
    SlowPoll {
        /// Whose; `None` for the future of `block_on`.
        task: Option<TaskInfo>,
        /// How long it took.
        took: Duration,
        /// How much of it the thread spent asleep or waiting for a CPU: in calls that block.
        off_cpu: Duration,
        /// How often it went to sleep: in a system call, or for a lock that another thread held.
        sleeps: u64,
    },
    /// A callback of the loop ([`call_soon`](crate::call_soon) and its kin) took as long: as `SlowPoll`.
    #[non_exhaustive]
    SlowCallback {
        /// How long it took.
        took: Duration,
        /// How much of it the thread spent asleep or waiting for a CPU.
        off_cpu: Duration,
        /// How often it went to sleep.
        sleeps: u64,
    },
    /// A task had not ended when its runtime did.
    #[non_exhaustive]
    PendingAtEnd {
        /// Which.
        task: TaskInfo,
        /// What it waited for, as [`debug::tree`](crate::debug::tree) says it.
        waits_for: Vec<String>,
    },
    /// A socket or file was still open when its runtime ended; it closes when its owner is dropped.
    #[non_exhaustive]
    Unclosed {
        /// The descriptor.
        fd: RawFd,
        /// What it is, as the kernel names it: a path, or `socket:[…]`.
        what: String,
    },
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SlowPoll { task, took, off_cpu, sleeps } => {
                match task {
                    Some(task) => task.fmt(f)?,
                    None => f.write_str("the main future")?,
                }
                held_up(f, *took, *off_cpu, *sleeps)
            }
            Self::SlowCallback { took, off_cpu, sleeps } => {
                f.write_str("a callback")?;
                held_up(f, *took, *off_cpu, *sleeps)
            }
            Self::PendingAtEnd { task, waits_for } => {
                write!(f, "{task} was dropped when its runtime ended")?;
                if !waits_for.is_empty() {
                    write!(f, "; it waited for {}", waits_for.join(", "))?;
                }
                Ok(())
            }
            Self::Unclosed { fd, what } => {
                write!(f, "fd {fd} ({what}) was still open when its runtime ended")
            }
        }
    }
}

fn held_up(
    f: &mut fmt::Formatter<'_>,
    took: Duration,
    off_cpu: Duration,
    sleeps: u64,
) -> fmt::Result {
    write!(f, " held up the loop for {took:.1?}")?;
    if sleeps == 0 || off_cpu <= took / 2 {
        return f.write_str(": let it yield_now, or spawn_blocking do the work");
    }
    write!(f, ", {off_cpu:.1?} of that asleep in calls that block")?;
    if sleeps > 1 {
        write!(f, " ({sleeps} times)")?;
    }
    f.write_str(": let spawn_blocking do them")
}

/// What debug mode keeps.
pub(crate) struct Watcher {
    slow: Duration,
    reporter: Option<Reporter>,
    /// By number of the task; 0 is the main future.
    records: RefCell<BTreeMap<u64, Record>>,
    /// The poll that is under way.
    poll: RefCell<Option<Poll>>,
    open: RefCell<BTreeMap<RawFd, u32>>,
    /// Used again by every poll.
    scratch: Cell<Vec<Note>>,
}

/// A task since its last poll.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) waits_for: Vec<Note>,
    /// Since when it waits for that.
    pub(crate) since: Instant,
    pub(crate) polls: u64,
    pub(crate) busy: Duration,
}

/// A task as it stands; the future of `block_on` where there is none.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) task: Option<TaskInfo>,
    pub(crate) runs: bool,
    pub(crate) queued: bool,
    pub(crate) record: Option<Record>,
}

impl Core {
    /// Everything that can be said about the tasks, the main future first.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let running = self.tasks.running();
        let record = |id| self.watcher()?.record(id);
        let see = |(task, queued): (Option<TaskInfo>, bool)| {
            let id = task.as_ref().map_or(0, |task| task.id().number());
            Seen { task, runs: running == id, queued, record: record(id) }
        };
        self.tasks.survey().into_iter().map(see).collect()
    }
}

struct Poll {
    listener: Listener,
    task: Option<TaskInfo>,
    began: Instant,
    usage: Usage,
}

impl Watcher {
    pub(crate) fn new(slow: Duration, reporter: Option<Reporter>) -> Self {
        Self {
            slow,
            reporter,
            records: RefCell::default(),
            poll: RefCell::default(),
            open: RefCell::default(),
            scratch: Cell::default(),
        }
    }

    /// Tells whoever wants to know. User code: nothing is borrowed.
    fn report(&self, report: &Report) {
        match &self.reporter {
            Some(Reporter(reporter)) => quietly(|| reporter(report)),
            // Where nobody reads it, the program must not suffer.
            None => drop(writeln!(std::io::stderr(), "ringloop: {report}")),
        }
    }

    /// What is known of a task, by its number.
    pub(crate) fn record(&self, id: u64) -> Option<Record> {
        self.records.borrow().get(&id).cloned()
    }

    pub(super) fn opened(&self, fd: RawFd) {
        *self.open.borrow_mut().entry(fd).or_default() += 1;
    }

    pub(super) fn closed(&self, fd: RawFd) {
        let mut open = self.open.borrow_mut();
        if let Some(owners) = open.get_mut(&fd) {
            *owners -= 1;
            if *owners == 0 {
                open.remove(&fd);
            }
        }
    }

    /// Reports what is open when the runtime ends.
    pub(super) fn report_open(&self) {
        let open: Vec<RawFd> = self.open.borrow().keys().copied().collect();
        for fd in open {
            let what = std::fs::read_link(format!("/proc/self/fd/{fd}"));
            let what = what.map_or_else(|_| "?".to_owned(), |path| path.display().to_string());
            self.report(&Report::Unclosed { fd, what });
        }
    }

    /// Reports the tasks that are dropped because the runtime ends.
    pub(super) fn report_pending(&self, tasks: Vec<TaskInfo>) {
        for task in tasks {
            let record = self.record(task.id().number());
            let notes = record.map(|record| record.waits_for).unwrap_or_default();
            let waits_for = notes.iter().map(Note::to_string).collect();
            self.report(&Report::PendingAtEnd { task, waits_for });
        }
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("slow", &self.slow).finish_non_exhaustive()
    }
}

/// Of a runtime in debug mode.
pub(super) struct Watching<'a> {
    pub(super) core: &'a Core,
    pub(super) watcher: &'a Watcher,
}

impl Watch for Watching<'_> {
    fn begin(&self, task: impl FnOnce() -> Option<TaskInfo>) {
        // One that is left over from a poll that unwound ends before the next begins.
        drop(self.watcher.poll.take());
        let listener = Listener::new();
        let poll =
            Poll { listener, task: task(), began: self.core.now(), usage: Usage::of_this_thread() };
        self.watcher.poll.replace(Some(poll));
    }

    fn end(&self, ended: bool) {
        let watcher = self.watcher;
        let Some(poll) = watcher.poll.take() else { return };
        let (now, usage) = (self.core.now(), Usage::of_this_thread());
        let took = now.saturating_duration_since(poll.began);
        let id = poll.task.as_ref().map_or(0, |task| task.id().number());
        let mut notes = watcher.scratch.take();
        poll.listener.collect(&mut notes);
        let mut records = watcher.records.borrow_mut();
        if ended {
            records.remove(&id);
        } else {
            let fresh =
                || Record { waits_for: Vec::new(), since: now, polls: 0, busy: Duration::ZERO };
            let record = records.entry(id).or_insert_with(fresh);
            record.polls += 1;
            record.busy += took;
            if record.waits_for != notes {
                record.waits_for.clone_from(&notes);
                record.since = now;
            }
        }
        drop(records);
        watcher.scratch.set(notes);
        if took >= watcher.slow {
            let (off_cpu, sleeps) = usage.off_cpu(&poll.usage, took);
            watcher.report(&Report::SlowPoll { task: poll.task, took, off_cpu, sleeps });
        }
    }

    fn callback(&self, run: impl FnOnce()) {
        let (began, before) = (self.core.now(), Usage::of_this_thread());
        run();
        let took = self.core.now().saturating_duration_since(began);
        if took >= self.watcher.slow {
            let (off_cpu, sleeps) = Usage::of_this_thread().off_cpu(&before, took);
            self.watcher.report(&Report::SlowCallback { took, off_cpu, sleeps });
        }
    }
}
