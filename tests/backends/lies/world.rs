//! A small world on a scripted driver: whatever the completions say, it lives and ends.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use ringloop::fs::File;
use ringloop::net::{TcpListener, TcpStream, UdpSocket, UnixStream};
use ringloop::testing::{Step, script};
use ringloop::{Builder, JoinHandle, Lease, Metrics, spawn};

/// What a task may hold for later.
#[derive(Default)]
struct Shelf {
    tasks: RefCell<Vec<JoinHandle<io::Result<()>>>>,
    leases: RefCell<Vec<Lease>>,
}

impl Shelf {
    fn start(&self, task: impl Future<Output = io::Result<()>> + 'static) {
        let task = spawn(task);
        self.tasks.borrow_mut().push(task);
    }

    fn keep(&self, lease: Lease) {
        assert!(lease.len() <= SIZE, "a lease of {} bytes", lease.len());
        self.leases.borrow_mut().push(lease);
    }
}

const SIZE: usize = 4096;

/// Lives through a script and ends; gives what the runtime counted before its end.
///
/// # Panics
///
/// If anything in it does.
pub(crate) fn live(steps: Vec<Step>) -> Metrics {
    let turns = 20 + steps.iter().filter(|step| matches!(step, Step::Turn)).count();
    script(steps);
    let mut builder = Builder::new();
    let mut runtime = builder.buffers(4, SIZE as u32).buffer_budget(1 << 16).build().unwrap();
    let shelf = Rc::new(Shelf::default());
    let metrics = runtime.block_on(async {
        shelf.start(serve(shelf.clone()));
        shelf.start(ask(shelf.clone()));
        shelf.start(pass_on(shelf.clone()));
        shelf.start(files());
        shelf.start(datagrams());
        for _ in 0..turns {
            ringloop::task::yield_now().await;
        }
        let metrics = ringloop::metrics();
        let tasks = std::mem::take(&mut *shelf.tasks.borrow_mut());
        for task in tasks {
            task.cancel();
            if let Err(error) = task.await {
                assert!(error.is_cancelled(), "{error}");
            }
        }
        metrics
    });
    drop(runtime);
    // They outlive it.
    let sum: usize =
        shelf.leases.take().iter().map(|lease| usize::from(lease[lease.len() - 1])).sum();
    assert_eq!(sum, 0, "nobody writes into these buffers");
    metrics
}

async fn serve(shelf: Rc<Shelf>) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:7").await?;
    let _ = listener.local_addr();
    loop {
        let (mut stream, _) = listener.accept().await?;
        let _ = stream.peer_addr();
        let (one, other) = UnixStream::pair()?;
        let _ = (one.peer_addr(), other.local_addr());
        shelf.start(async move {
            let mut buf = [1; 1000];
            loop {
                let n = stream.read(&mut buf).await?;
                if n == 0 {
                    return stream.shutdown(std::net::Shutdown::Write).await;
                }
                stream.write_all(&buf[..n]).await?;
            }
        });
    }
}

async fn ask(shelf: Rc<Shelf>) -> io::Result<()> {
    let mut stream = TcpStream::connect("127.0.0.1:7").await?;
    loop {
        stream.write_all(&[0; 5000]).await?;
        stream.write_bytes(vec![0; 100].into()).await?;
        stream.flush().await?;
        match stream.read_chunk().await? {
            Some(lease) => shelf.keep(lease),
            None => return Ok(()),
        }
    }
}

async fn pass_on(shelf: Rc<Shelf>) -> io::Result<()> {
    let (mut from, mut to) = TcpStream::connect("127.0.0.1:7").await?.into_split();
    shelf.start(async move {
        let mut held = Vec::new();
        while let Some(mut lease) = from.read_chunk().await? {
            held.push(lease.split_to(lease.len() / 2));
            held.push(lease);
        }
        Ok(())
    });
    loop {
        to.write_all(&[0; 70_000]).await?;
    }
}

async fn files() -> io::Result<()> {
    let file = File::create("/proc/nobody/makes/this").await?;
    let mut buf = [0; 100];
    loop {
        let n = file.read_at(&mut buf, 0).await?;
        assert!(n <= buf.len());
        file.write_all_at(&buf, 50).await?;
        file.sync_all().await?;
    }
}

async fn datagrams() -> io::Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:7").await?;
    let mut held = Vec::new();
    // Errors are told one by one, and are no end.
    for _ in 0..10_000 {
        if let Ok(datagram) = socket.recv_chunk().await {
            assert!(
                datagram.len() <= 65_600 && datagram.segments().count() <= datagram.len().max(1)
            );
            held.push(datagram);
        }
        let _ = socket.recv_batch(&mut held, 3).await;
    }
    Ok(())
}
