//! The server: accepts, does what each plan says, and keeps the books.

mod beside;
mod control;
mod echoes;
mod modes;

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ringloop::net::{TcpListener, TcpListenerOptions, TcpStream};
use ringloop::time::{sleep, timeout};
use ringloop::{Builder, metrics, spawn};

use crate::args::Args;
use crate::books::{self, Books};
use crate::numbers::Numbers;
use crate::pattern::{Pattern, Track};
use crate::plan::{self, Mode, Plan};
use crate::sys;
use beside::Elsewhere;

/// How long a connection may take. The clients give up earlier where they are the ones who wait.
const PATIENCE: Duration = Duration::from_secs(90);

/// How long dropped streams may linger: the clients try it out.
const LINGER: Duration = Duration::from_secs(2);

/// What all connections share.
struct Server {
    address: SocketAddr,
    pattern: &'static Pattern,
    /// Set while the clients are at it; then calls are cut off and the side work goes on.
    load: Arc<AtomicBool>,
    elsewhere: Elsewhere,
    counts: Counts,
    faults: Cell<u64>,
}

/// What was done, as the books have it.
#[derive(Default)]
struct Counts {
    connections: Cell<u64>,
    bytes: Cell<u64>,
    cancels: Cell<u64>,
    timers: Cell<u64>,
    files: Cell<u64>,
    dials: Cell<u64>,
}

fn add(count: &Cell<u64>, n: u64) {
    count.set(count.get() + n);
}

pub(crate) fn run(args: &Args) -> Result<(), String> {
    sys::end_with_parent();
    sys::one_arena();
    let before = books::descriptors();
    let builder = Builder::new().backend(args.backend).linger(LINGER).clone();
    let mut runtime = builder.build().map_err(|e| format!("no runtime: {e}"))?;
    let info = runtime.backend().to_string();
    let handle = runtime.handle();
    let pattern: &'static Pattern = Box::leak(Box::new(Pattern::new()));
    let load = Arc::new(AtomicBool::new(false));
    let served: io::Result<Rc<Server>> = runtime.block_on(async {
        let listener = TcpListenerOptions::new().backlog(4096).bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        println!("{} {info}", address.port());
        let server = Rc::new(Server {
            address,
            pattern,
            elsewhere: Elsewhere::start(handle, load.clone())?,
            load,
            counts: Counts::default(),
            faults: Cell::new(0),
        });
        let (mut first, _) = listener.accept().await?;
        match read_plan(&mut first).await {
            Ok(Some(plan)) if plan.mode == Mode::Control => {}
            other => return Err(io::Error::other(format!("the first plan is {other:?}"))),
        }
        let listener = Rc::new(listener);
        for lane in 0..2 {
            spawn(accept(server.clone(), listener.clone(), Numbers::new(args.seed ^ lane)));
        }
        control::answer(&server, first, args.seed).await?;
        Ok(server)
    });
    let server = served.map_err(|e| format!("the server: {e}"))?;
    drop(runtime);
    let (after, faults) = (books::descriptors(), server.faults.get());
    if after != before {
        return Err(format!("{after} descriptors after the runtime's end, {before} before it"));
    }
    if faults > 0 { Err(format!("the server counted {faults} faults")) } else { Ok(()) }
}

impl Server {
    fn is_loaded(&self) -> bool {
        self.load.load(Ordering::Relaxed)
    }

    fn fault(&self, sentence: &str) {
        add(&self.faults, 1);
        eprintln!("soak: server: {sentence}");
    }

    fn cancelled(&self) {
        add(&self.counts.cancels, 1);
    }

    fn books(&self) -> Books {
        let (heap, rss) = (sys::trim(), books::rss());
        let m = metrics();
        let counts = &self.counts;
        Books([
            books::descriptors(),
            m.in_flight as u64,
            m.tasks_alive as u64,
            m.timers as u64,
            m.buffered,
            m.unsent as u64,
            m.strays,
            self.faults.get() + self.elsewhere.faults(),
            books::threads(),
            rss,
            heap / 1024,
            m.turns,
            m.polls,
            m.syscalls,
            m.completions,
            counts.connections.get(),
            counts.bytes.get(),
            counts.cancels.get(),
            counts.timers.get(),
            counts.files.get(),
            counts.dials.get(),
            self.elsewhere.spawned(),
        ])
    }
}

async fn accept(server: Rc<Server>, listener: Rc<TcpListener>, mut numbers: Numbers) {
    loop {
        let accepted = if server.is_loaded() {
            let Some(accepted) = accept_hastily(&listener, &mut numbers).await else {
                server.cancelled();
                continue;
            };
            accepted
        } else {
            listener.accept().await
        };
        match accepted {
            Ok((stream, _)) => {
                add(&server.counts.connections, 1);
                spawn(connection(server.clone(), stream));
            }
            Err(error) => return server.fault(&format!("accept: {error}")),
        }
    }
}

/// Accepts for a moment; `None`: it was dropped, in half of the cases perhaps after it was woken.
async fn accept_hastily(
    listener: &Rc<TcpListener>,
    numbers: &mut Numbers,
) -> Option<io::Result<(TcpStream, SocketAddr)>> {
    if numbers.one_in(2) {
        let limit = Duration::from_micros(numbers.below(3000));
        return timeout(limit, listener.accept()).await.ok();
    }
    let (listener, limit) = (listener.clone(), Duration::from_micros(numbers.below(300)));
    let task = spawn(async move { listener.accept().await });
    sleep(limit).await;
    task.cancel();
    task.await.ok()
}

/// One connection, and what its task needs.
struct Talk {
    server: Rc<Server>,
    plan: Plan,
    track: Track<'static>,
    /// How many bytes have come.
    position: u64,
    numbers: Numbers,
}

impl Talk {
    /// Checks what has come.
    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Err(wrong) = self.track.check(self.position, bytes) {
            return Err(io::Error::other(format!("received: {wrong:?}")));
        }
        self.position += bytes.len() as u64;
        add(&self.server.counts.bytes, bytes.len() as u64);
        Ok(())
    }
}

async fn connection(server: Rc<Server>, mut stream: TcpStream) {
    let plan = match timeout(PATIENCE, read_plan(&mut stream)).await {
        Ok(Ok(Some(plan))) => plan,
        // It came and went.
        Ok(Ok(None) | Err(_)) => return,
        Err(_) => return server.fault("no plan came"),
    };
    let talk = Talk {
        plan,
        track: server.pattern.track(plan.number as usize),
        position: 0,
        numbers: Numbers::new(plan.number.into()),
        server: server.clone(),
    };
    let work = modes::run(talk, stream);
    let done = if plan.mode == Mode::Idle {
        work.await
    } else {
        timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(io::Error::other("it hangs")))
    };
    if let Err(error) = done
        && !has_gone(&error)
    {
        server.fault(&format!("{plan:?}: {error}"));
    }
}

/// Whether the peer has gone: the client knows whether it should have.
fn has_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected)
}

/// `None`: the client went before it had said anything whole.
async fn read_plan(stream: &mut TcpStream) -> io::Result<Option<Plan>> {
    let (mut bytes, mut len) = ([0; plan::LEN], 0);
    while len < bytes.len() {
        match stream.read(&mut bytes[len..]).await? {
            0 => return Ok(None),
            n => len += n,
        }
    }
    Plan::decode(&bytes).map(Some).ok_or_else(|| io::Error::other("a plan of unknown mode"))
}
