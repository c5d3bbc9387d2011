//! Making a runtime.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use super::core::{Core, Limits};
use super::lanes::Lanes;
use super::run::Runtime;
use super::watch::{Report, Reporter, Watcher};
use crate::buf::Pool;
use crate::driver::{Backend, BackendChoice, Driver};
use crate::sys;
use crate::sys::sync::Arc;
use crate::task::{Hook, Tasks, Unhandled};
use crate::worker::Workers;

/// How to make a [`Runtime`].
///
/// # Examples
///
/// ```
/// use ringloop::{BackendChoice, Builder};
///
/// let mut runtime = Builder::new().backend(BackendChoice::Epoll).build()?;
/// println!("{}", runtime.backend());
/// runtime.block_on(async { /* … */ });
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    backend: BackendChoice,
    cpu: Option<usize>,
    buffers: (u16, u32),
    buffer_budget: u64,
    blocking: Blocking,
    limits: Limits,
    hook: Option<Hook>,
    debug: Option<bool>,
    slow_poll: Duration,
    reporter: Option<Reporter>,
}

impl Builder {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            backend: BackendChoice::Auto,
            cpu: None,
            buffers: (128, 16 * 1024),
            buffer_budget: 64 << 20,
            blocking: Blocking {
                threads: 64,
                queue: 1 << 16,
                name: "ringloop-call".into(),
                look_ups: 16,
            },
            limits: Limits {
                grace: Duration::from_secs(5),
                linger: Duration::from_secs(30),
                direct: true,
                spin: None,
                ctrl_c: false,
            },
            hook: None,
            debug: None,
            slow_poll: Duration::from_millis(100),
            reporter: None,
        }
    }

    /// Which backend to use. `Auto`, the default, asks the environment variable `RINGLOOP_BACKEND`
    /// (`auto`, `uring` or `epoll`), then takes io_uring where the kernel allows it, else epoll.
    pub fn backend(&mut self, backend: BackendChoice) -> &mut Self {
        self.backend = backend;
        self
    }

    /// Pins the thread to one CPU when the runtime is built. By default it is not pinned.
    pub fn cpu(&mut self, cpu: usize) -> &mut Self {
        self.cpu = Some(cpu);
        self
    }

    /// The ring of receive buffers: how many (a power of two from 1 to 32768; 128 by default) of how
    /// many bytes each (from 256 to 1 MiB; 16 KiB by default).
    pub fn buffers(&mut self, count: u16, size: u32) -> &mut Self {
        self.buffers = (count, size);
        self
    }

    /// How many bytes may stand behind received data (64 MiB by default). Above it a socket receives
    /// only when its reader waits and has nothing. Beside it up to 1 MiB of blocks that nobody uses is kept
    /// for bulk transfers, and what outboxes write into.
    pub fn buffer_budget(&mut self, bytes: u64) -> &mut Self {
        self.buffer_budget = bytes;
        self
    }

    /// Whether bytes may go by system calls of their own, without a copy, where that is faster (they may,
    /// by default): streams that fill their buffers again and again, writes of 16 KiB and more, reads of
    /// files that are in the page cache. A call moves 1 MiB at most. Off, every byte goes by the
    /// backend's queue, but for those of pipes and their kin, which have no other way.
    ///
    /// Bytes are lost neither way, but bulk that nobody has read stands in the kernel and not with the
    /// stream. Where a stream is closed over unread bytes of its kernel's, the peer sees a reset (RST)
    /// instead of an end: more often, then, with calls than without. Whoever closes early and wants a
    /// clean end for what it wrote shuts down writing first, and reads to the end.
    pub fn direct(&mut self, direct: bool) -> &mut Self {
        self.limits.direct = direct;
        self
    }

    /// How long a loop that has nothing to do stays awake and looks for news before it sleeps. What comes
    /// meanwhile is met sooner, by what it takes to wake a thread, and the CPU is used up while nothing
    /// comes.
    ///
    /// By default a loop on io_uring whose news keeps coming at once (within 10 µs) waits for it awake, and
    /// any other sleeps. Zero lets it sleep always. A fixed time, with which it stays awake each time, is for a
    /// program with a CPU of its own whose peers answer within that time.
    pub fn spin(&mut self, spin: Duration) -> &mut Self {
        self.limits.spin = Some(spin);
        self
    }

    /// How many threads may run the calls of [`spawn_blocking`](crate::spawn_blocking), and as many
    /// others file I/O on epoll (64 by default, at least one). They are started when needed and end after
    /// 10 s without work.
    #[doc(alias = "set_default_executor")]
    pub fn blocking_threads(&mut self, threads: usize) -> &mut Self {
        self.blocking.threads = threads;
        self
    }

    /// How many calls of [`spawn_blocking`](crate::spawn_blocking) may wait while all threads are at work
    /// (65,536 by default). One more is refused.
    pub fn blocking_queue(&mut self, calls: usize) -> &mut Self {
        self.blocking.queue = calls;
        self
    }

    /// What the threads of [`spawn_blocking`](crate::spawn_blocking) are called: this, a dash and a number
    /// (`ringloop-call` by default). Tools such as `top` see the first 15 bytes.
    pub fn blocking_thread_name(&mut self, name: impl Into<Box<str>>) -> &mut Self {
        self.blocking.name = name.into();
        self
    }

    /// How many threads may look up names (16 by default, at least one). They are no others' threads, so
    /// that calls that block hold up no look-up, nor look-ups them.
    pub fn lookup_threads(&mut self, threads: usize) -> &mut Self {
        self.blocking.look_ups = threads;
        self
    }

    /// Whether Ctrl-C cuts off what [`Runtime::block_on_interruptible`] runs (it does not, by default).
    /// [`Runtime::block_on`] leaves SIGINT alone in any case.
    pub fn ctrl_c(&mut self, interrupts: bool) -> &mut Self {
        self.limits.ctrl_c = interrupts;
        self
    }

    /// How long the end of the runtime may take to send what streams had taken and to wait for the
    /// kernel (5 s by default). What is left to send then is discarded, and its connection reset; the
    /// kernel has a second in any case to end what was cancelled, of which it needs little.
    pub fn grace(&mut self, grace: Duration) -> &mut Self {
        self.limits.grace = grace;
        self
    }

    /// How long a dropped stream may take to send what it had taken (30 s by default). What is left
    /// then is discarded, and the connection reset, so that no peer takes a part for the whole.
    pub fn linger(&mut self, linger: Duration) -> &mut Self {
        self.limits.linger = linger;
        self
    }

    /// What is told of failures that nobody awaits; asyncio's [`set_exception_handler`].
    ///
    /// These are: the panic of a task whose [`JoinHandle`](crate::JoinHandle) was dropped without having given it,
    /// told once, when the task has ended and its handle is gone; so too the panic of a task of
    /// [`Handle::spawn`](crate::Handle::spawn), and of a job of [`spawn_blocking`](crate::spawn_blocking); the panic
    /// of a callback; panics of a [`TaskGroup`](crate::task::TaskGroup) that it cannot pass on; the error of a task
    /// of [`spawn_reporting`](crate::task::spawn_reporting). A cancelled task has not failed, and errors of sockets
    /// belong to whoever uses the socket.
    ///
    /// Without a hook, where the hook itself panics, and for what fails within the hook, they are told to stderr
    /// if the environment variable `RINGLOOP_DEBUG` is set and neither empty nor `0`, and else to nobody. (The
    /// panic hook of std has printed a panic already.)
    ///
    /// The hook is called wherever the failure comes to light, also in a drop. On the runtime's own thread it may
    /// use the runtime. A result that belongs to another thread comes to light there, perhaps after the runtime's
    /// end: that of a job as a rule on the thread that ran it.
    ///
    /// [`set_exception_handler`]: https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.set_exception_handler
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc::channel;
    ///
    /// let (tell, told) = channel();
    /// let mut runtime = ringloop::Builder::new()
    ///     .on_unhandled(move |what| tell.send(what.to_string()).unwrap())
    ///     .build()?;
    /// runtime.block_on(async {
    ///     drop(ringloop::spawn(async { panic!("the cellar is empty") }));
    ///     ringloop::task::yield_now().await;
    /// });
    /// assert!(told.recv().unwrap().starts_with("a task panicked: the cellar is empty; task 1 ("));
    /// # std::io::Result::Ok(())
    /// ```
    #[doc(alias = "set_exception_handler")]
    pub fn on_unhandled(
        &mut self,
        hook: impl Fn(&Unhandled<'_>) + Send + Sync + 'static,
    ) -> &mut Self {
        self.hook = Some(Hook::new(hook));
        self
    }

    /// Whether the runtime is in [debug mode](crate::debug). By default the environment variable
    /// `RINGLOOP_DEBUG` says so: `1` is yes; unset, empty and `0` are no.
    #[doc(alias = "set_debug")]
    pub fn debug(&mut self, debug: bool) -> &mut Self {
        self.debug = Some(debug);
        self
    }

    /// How long a poll may take before debug mode reports it (100 ms by default).
    #[doc(alias = "slow_callback_duration")]
    pub fn slow_poll(&mut self, duration: Duration) -> &mut Self {
        self.slow_poll = duration;
        self
    }

    /// Has `reporter` called with what debug mode notices, on the runtime's thread, in place of a line on
    /// standard error. A panic in it is printed and goes no further.
    pub fn on_report(&mut self, reporter: impl Fn(&Report) + Send + Sync + 'static) -> &mut Self {
        self.reporter = Some(Reporter(std::sync::Arc::new(reporter)));
        self
    }

    /// Makes the runtime, on this thread, which alone can run it.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for values out of range and for a CPU that is not allowed here; `Unsupported`,
    /// with the reason in one sentence, where io_uring was asked for and is not to be had; what the
    /// kernel says when descriptors or memory are short.
    pub fn build(&self) -> io::Result<Runtime> {
        let (count, size) = self.buffers;
        if !count.is_power_of_two() || !(1..=32768).contains(&count) {
            return Err(invalid(format!(
                "Builder::buffers: the count must be a power of two from 1 to 32768, not {count}"
            )));
        }
        if !(256..=1 << 20).contains(&size) {
            return Err(invalid(format!(
                "Builder::buffers: the size must be from 256 bytes to 1 MiB, not {size}"
            )));
        }
        if self.blocking.name.contains('\0') {
            return Err(invalid(format!(
                "Builder::blocking_thread_name: a name must have no zero byte: {:?}",
                self.blocking.name
            )));
        }
        // What blocks must not block the one CPU: its threads go where this one could.
        let allowed = self.cpu.and_then(|_| sys::affinity::Allowed::current().ok());
        if let Some(cpu) = self.cpu {
            sys::affinity::pin(cpu)?;
        }
        let lanes = self.blocking.lanes(allowed);
        let pool = Pool::new(count, size, self.buffer_budget)?;
        let choice = self.backend.or_environment()?;
        let (driver, info) = Backend::open(choice, &pool, lanes.files.clone())?;
        let tasks = Rc::new(Tasks::new(driver.bell(), self.hook.clone())?);
        let debug = self.debug.unwrap_or_else(crate::sys::is_debug_asked_for);
        let watcher = debug.then(|| Watcher::new(self.slow_poll, self.reporter.clone()));
        let core = Core::new(driver, tasks, pool, lanes, self.limits, watcher);
        Ok(Runtime::new(core, info))
    }
}

/// The threads for calls that block.
#[derive(Clone, Debug)]
struct Blocking {
    threads: usize,
    queue: usize,
    name: Box<str>,
    look_ups: usize,
}

impl Blocking {
    fn lanes(&self, allowed: Option<sys::affinity::Allowed>) -> Lanes {
        let lane = |threads, name: &str| {
            let workers = Workers::new(threads, name);
            match allowed {
                Some(allowed) => workers.prepared_by(move || allowed.allow()),
                None => workers,
            }
        };
        Lanes {
            files: Arc::new(lane(self.threads, "ringloop-file")),
            calls: Arc::new(lane(self.threads, &self.name).max_queued(self.queue)),
            look_ups: Arc::new(lane(self.look_ups, "ringloop-name")),
        }
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}
