//! The tasks of a runtime as a tree: below each task those that it awaits.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::os::fd::RawFd;
use std::time::Duration;

use super::json;
use crate::note::{Note, On};
use crate::runtime::{Seen, current};
use crate::task::{TaskId, TaskInfo};

/// All tasks of the current runtime and what they wait for, as it is now; asyncio's [`capture_call_graph`]
/// and `pstree`.
///
/// What tasks wait for is known in [debug mode](super) only, and from the first poll after that on.
/// [`Handle::spawn`](crate::Handle::spawn) gets it from another thread: `handle.spawn(|| async { tree() })`.
///
/// [`capture_call_graph`]: https://docs.python.org/3/library/asyncio-graph.html
///
/// # Panics
///
/// Outside a runtime.
///
/// # Examples
///
/// ```
/// let mut runtime = ringloop::Builder::new().debug(true).build()?;
/// let text = runtime.block_on(async {
///     let task = ringloop::task::Spawn::new().name("slow").spawn(async {
///         ringloop::time::sleep(std::time::Duration::from_secs(60)).await;
///     });
///     ringloop::task::yield_now().await;
///     let text = ringloop::debug::tree().to_string();
///     task.cancel();
///     let _ = task.await;
///     text
/// });
/// assert!(text.contains("`slow`") && text.contains("waits for sleep"));
/// # std::io::Result::Ok(())
/// ```
#[doc(alias = "capture_call_graph")]
#[doc(alias = "print_call_graph")]
#[doc(alias = "pstree")]
pub fn tree() -> Tree {
    let core = match current() {
        Ok(core) => core,
        Err(error) => panic!("{error}"),
    };
    let now = core.now();
    let node = |seen: Seen| {
        let record = seen.record;
        let waits_for = record.as_ref().map_or(&[][..], |record| &record.waits_for);
        let state = match (seen.runs, seen.queued, waits_for.is_empty()) {
            (true, ..) => State::Running,
            (_, true, _) => State::Ready,
            (.., true) => State::Unknown,
            (.., false) => State::Waiting,
        };
        let waits_for = if state == State::Waiting { waits_for } else { &[] };
        TaskNode {
            task: seen.task,
            state,
            waits_for: waits_for.iter().map(|note| Wait::new(*note, now)).collect(),
            since: record.as_ref().map(|record| now.saturating_duration_since(record.since)),
            polls: record.as_ref().map_or(0, |record| record.polls),
            busy: record.as_ref().map_or(Duration::ZERO, |record| record.busy),
        }
    };
    Tree { nodes: core.seen().into_iter().map(node).collect() }
}

/// The tasks of a runtime at one moment. Its `Display` is a tree, its [`to_json`](Self::to_json) a list.
#[derive(Clone, Debug)]
pub struct Tree {
    nodes: Vec<TaskNode>,
}

/// A task of a [`Tree`].
#[derive(Clone, Debug)]
pub struct TaskNode {
    task: Option<TaskInfo>,
    state: State,
    waits_for: Vec<Wait>,
    since: Option<Duration>,
    polls: u64,
    busy: Duration,
}

/// What a task does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It is being polled: it is the one that asks.
    Running,
    /// It has been woken, or has just begun, and will be polled.
    Ready,
    /// It waits for something that ringloop knows.
    Waiting,
    /// It waits for something of another library's, or debug mode is off.
    Unknown,
}

/// One thing that a task waits for. Its `Display` says it: `read on fd 9`.
#[derive(Clone, Debug)]
pub struct Wait {
    note: Note,
    /// Of a sleep: how long it still takes.
    left: Option<Duration>,
}

impl Tree {
    /// The tasks, in the order of their spawning; before them the future of `block_on`.
    pub fn tasks(&self) -> &[TaskNode] {
        &self.nodes
    }

    /// All of it as JSON (RFC 8259): an object whose `tasks` is a list of objects with `id` (0: the main
    /// future), `name`, `spawned_at`, `state`, `waits_for`, `since_ns`, `polls`, `busy_ns`.
    pub fn to_json(&self) -> String {
        json::tree(self)
    }

    fn by_id(&self) -> BTreeMap<u64, &TaskNode> {
        self.nodes.iter().map(|node| (node.number(), node)).collect()
    }
}

impl TaskNode {
    /// Which task; `None` for the future of `block_on`.
    pub fn task(&self) -> Option<&TaskInfo> {
        self.task.as_ref()
    }

    /// What it does.
    pub fn state(&self) -> State {
        self.state
    }

    /// What it waits for: several things where it races them.
    pub fn waits_for(&self) -> &[Wait] {
        &self.waits_for
    }

    /// How long it has been waiting for that; `None` outside debug mode.
    pub fn since(&self) -> Option<Duration> {
        self.since
    }

    /// How often it was polled in debug mode.
    pub fn polls(&self) -> u64 {
        self.polls
    }

    /// How long its polls took together in debug mode.
    pub fn busy(&self) -> Duration {
        self.busy
    }

    /// The tasks that it awaits.
    pub fn awaits(&self) -> impl Iterator<Item = TaskId> {
        self.waits_for.iter().filter_map(Wait::task)
    }

    pub(super) fn number(&self) -> u64 {
        self.task.as_ref().map_or(0, |task| task.id().number())
    }
}

impl Wait {
    fn new(note: Note, now: std::time::Instant) -> Self {
        let left = match note.on {
            On::Until(deadline) => Some(deadline.saturating_duration_since(now)),
            _ => None,
        };
        Self { note, left }
    }

    /// What it is, in a word or two: `read`, `Mutex::lock`.
    pub fn what(&self) -> &'static str {
        self.note.what
    }

    /// The descriptor, where it is an operation on one.
    pub fn fd(&self) -> Option<RawFd> {
        match self.note.on {
            On::Fd(fd) => Some(fd),
            _ => None,
        }
    }

    /// The task, where it waits for one.
    pub fn task(&self) -> Option<TaskId> {
        match self.note.on {
            On::Task(id) => Some(TaskId::from_number(id)),
            _ => None,
        }
    }

    /// Of a sleep: how long it still takes.
    pub fn left(&self) -> Option<Duration> {
        self.left
    }

    /// Of a lock, a channel or a queue: where it stands in memory, the same for all who wait for it.
    pub fn place(&self) -> Option<usize> {
        match self.note.on {
            On::Thing(place) => Some(place),
            _ => None,
        }
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.note.fmt(f)?;
        match self.left {
            Some(left) => write!(f, " ({left:.1?} left)"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for TaskNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.task {
            Some(task) => task.fmt(f)?,
            None => f.write_str("main")?,
        }
        match self.state {
            State::Running => f.write_str(" runs"),
            State::Ready => f.write_str(" is ready"),
            State::Unknown => f.write_str(" waits"),
            State::Waiting => {
                f.write_str(" waits for ")?;
                for (n, wait) in self.waits_for.iter().enumerate() {
                    if n > 0 {
                        f.write_str(", ")?;
                    }
                    wait.fmt(f)?;
                }
                match self.since {
                    Some(since) => write!(f, ", {since:.1?}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut branches = Branches { nodes: self.by_id(), shown: BTreeSet::new() };
        let awaited: BTreeSet<u64> =
            self.nodes.iter().flat_map(TaskNode::awaits).map(TaskId::number).collect();
        let roots = self.nodes.iter().filter(|node| !awaited.contains(&node.number()));
        for root in roots {
            branches.show(f, root.number())?;
        }
        // Who awaits each other in a circle is nobody's branch.
        for node in &self.nodes {
            if !branches.shown.contains(&node.number()) {
                branches.show(f, node.number())?;
            }
        }
        Ok(())
    }
}

/// Bytes of indentation, beyond which a chain goes straight down.
const WIDEST: usize = 120;

struct Branches<'a> {
    nodes: BTreeMap<u64, &'a TaskNode>,
    shown: BTreeSet<u64>,
}

impl Branches<'_> {
    /// A task and below it those that it awaits. Not by recursion: a chain of tasks may be long.
    fn show(&mut self, f: &mut fmt::Formatter<'_>, root: u64) -> fmt::Result {
        let mut stack = vec![(root, String::new(), "", "")];
        while let Some((number, indent, own, below)) = stack.pop() {
            let Some(node) = self.nodes.get(&number) else { continue };
            if !self.shown.insert(number) {
                writeln!(f, "{indent}{own}task {number}, as above")?;
                continue;
            }
            writeln!(f, "{indent}{own}{node}")?;
            let awaited: Vec<u64> = node.awaits().map(TaskId::number).collect();
            let indent = if indent.len() < WIDEST { indent + below } else { indent };
            for (n, &next) in awaited.iter().enumerate().rev() {
                let last = n + 1 == awaited.len();
                let (own, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
                stack.push((next, indent.clone(), own, below));
            }
        }
        Ok(())
    }
}
