//! What the compiler knows of the public types: which may travel, which stay, and how large they are.
//!
//! All of it is checked when this file is compiled, except the names in the messages.

use std::cell::Cell;
use std::rc::Rc;

use ringloop::blocking::{BlockingPool, BlockingTask};
use ringloop::fs::File;
use ringloop::future::{Promise, PromiseError, PromiseFuture};
use ringloop::net::{
    ConnectError, Datagram, DatagramSocket, Ecn, Family, Interest, NameLookup, OwnedReadHalf,
    OwnedWriteHalf, PipeReader, PipeWriter, ReadHalf, Readiness, Ready, ReuniteError, TcpConnector,
    TcpListener, TcpListenerOptions, TcpStream, Transmit, UCred, UdpSocket, UdpSocketOptions,
    UnixDatagram, UnixListener, UnixListenerOptions, UnixStream, WriteHalf,
};
use ringloop::protocol::{DatagramProtocol, DatagramTransport, Transport};
use ringloop::queue::{
    LifoQueue, PriorityQueue, Queue, QueueShutdown, Shutdown, TaskDoneError, TryGetError,
    TryPutError,
};
use ringloop::server::{Server, ServerOptions};
use ringloop::stream::{IncompleteRead, LimitOverrun, Lines, ReadError, Reader, Writer};
use ringloop::sync::{
    Barrier, BarrierWaitResult, BoundedPermit, BoundedSemaphore, BrokenBarrier, Condvar, Event,
    Mutex, MutexGuard, Notify, OnceCell, OverRelease, OwnedMutexGuard, OwnedRwLockReadGuard,
    OwnedRwLockWriteGuard, OwnedSemaphorePermit, RwLock, RwLockReadGuard, RwLockWriteGuard,
    Semaphore, SemaphorePermit, broadcast, mpsc, oneshot, watch,
};
use ringloop::task::{
    AccessError, CancelOnDrop, CancelToken, Cancelled, ChildHandle, DropGuard, GroupError, JoinSet,
    LocalKey, RemoteJoinHandle, Spawn, TaskGroup, TaskId, TaskInfo, YieldNow,
};
use ringloop::time::{Elapsed, Interval, MissedTickBehavior, RescheduleError, Sleep, Timeout};
use ringloop::{
    BackendChoice, BackendInfo, Builder, CallHandle, Handle, JoinError, JoinHandle, Lease, Metrics,
    RemoteCallHandle, Runtime, TimerHandle, UnknownBackend,
};

/// Every type of the list is `Send + Sync + 'static`.
macro_rules! travels {
    ($($type:ty),* $(,)?) => {
        $(const _: fn() = || {
            fn travels<T: Send + Sync + 'static>() {}
            travels::<$type>();
        };)*
    };
}

/// No type of the list has the trait: with it, both impls would fit, and the `_` be ambiguous.
macro_rules! lacks {
    ($trait:ident: $($type:ty),* $(,)?) => {
        $(const _: fn() = || {
            trait Ambiguous<A> {
                fn which() {}
            }
            impl<T: ?Sized> Ambiguous<()> for T {}
            struct Has;
            impl<T: ?Sized + $trait> Ambiguous<Has> for T {}
            let _ = <$type as Ambiguous<_>>::which;
        };)*
    };
}

macro_rules! unpin {
    ($($type:ty),* $(,)?) => {
        $(const _: fn() = || {
            fn unpin<T: Unpin>() {}
            unpin::<$type>();
        };)*
    };
}

travels!(
    Handle,
    Builder,
    BackendInfo,
    BackendChoice,
    UnknownBackend,
    Metrics,
    TaskId,
    TaskInfo,
    Spawn,
    LocalKey<Rc<u8>>,
    AccessError,
    RemoteCallHandle,
    RescheduleError,
    PromiseError,
    TcpConnector,
    TcpListenerOptions,
    UnixListenerOptions,
    ServerOptions,
    UCred,
    Interest,
    Ready,
    ConnectError,
    NameLookup,
    Family,
    UdpSocketOptions,
    Transmit<'static>,
    Ecn,
    YieldNow,
    Elapsed,
    MissedTickBehavior,
    RemoteJoinHandle<u8>,
    RemoteJoinHandle<Vec<u8>>,
    RemoteJoinHandle<Cell<u8>>,
    Shutdown,
    QueueShutdown<u8>,
    TryPutError<u8>,
    TryGetError,
    TaskDoneError,
    broadcast::RecvError,
    broadcast::TryRecvError,
    BlockingTask<Cell<u8>>,
    BlockingPool,
    GroupError<std::io::Error>,
);

// What belongs to one thread: its descriptor, its buffer, or its task is there.
lacks!(Send: UdpSocket, UnixDatagram, Datagram);
lacks!(Sync: UdpSocket, UnixDatagram, Datagram);
lacks!(Send: Reader, Writer, Lines<'static>);
lacks!(Sync: Reader, Writer, Lines<'static>);
lacks!(Send: Runtime, JoinHandle<()>, JoinHandle<u8>, TcpStream, TcpListener, Lease, Sleep, Interval);
lacks!(Sync: Runtime, JoinHandle<()>, JoinHandle<u8>, TcpStream, TcpListener, Lease, Sleep, Interval);
lacks!(Send: OwnedReadHalf, OwnedWriteHalf, ReadHalf<'static>, WriteHalf<'static>);
lacks!(Sync: OwnedReadHalf, OwnedWriteHalf, ReadHalf<'static>, WriteHalf<'static>);
lacks!(Send: Transport, DatagramTransport, DatagramTransport<UnixDatagram>);
lacks!(Sync: Transport, DatagramTransport, DatagramTransport<UnixDatagram>);
lacks!(Send: File, Readiness, ReuniteError, PipeReader, PipeWriter, Server);
lacks!(Sync: File, Readiness, ReuniteError, PipeReader, PipeWriter, Server);
lacks!(Send: UnixStream, UnixListener, OwnedReadHalf<UnixStream>, ReuniteError<UnixStream>);
lacks!(Sync: UnixStream, UnixListener, OwnedReadHalf<UnixStream>, ReuniteError<UnixStream>);
lacks!(Send: Queue<u8>, LifoQueue<u8>, PriorityQueue<u8>, mpsc::Permit<'static, u8>, watch::Ref<u8>);
lacks!(Sync: Queue<u8>, LifoQueue<u8>, PriorityQueue<u8>, mpsc::Permit<'static, u8>, watch::Ref<u8>);
lacks!(Send: oneshot::Sender<u8>, mpsc::Sender<u8>, mpsc::UnboundedSender<u8>, watch::Sender<u8>, broadcast::Sender<u8>);
lacks!(Sync: oneshot::Sender<u8>, mpsc::Sender<u8>, mpsc::UnboundedSender<u8>, watch::Sender<u8>, broadcast::Sender<u8>);
lacks!(Send: oneshot::Receiver<u8>, mpsc::Receiver<u8>, watch::Receiver<u8>, broadcast::Receiver<u8>);
lacks!(Sync: oneshot::Receiver<u8>, mpsc::Receiver<u8>, watch::Receiver<u8>, broadcast::Receiver<u8>);
// What waits in them are tasks of one thread.
lacks!(Send: Mutex<u8>, RwLock<u8>, OnceCell<u8>, Event, Notify, Condvar, Barrier, Semaphore, BoundedSemaphore);
lacks!(Sync: Mutex<u8>, RwLock<u8>, OnceCell<u8>, Event, Notify, Condvar, Barrier, Semaphore, BoundedSemaphore);
lacks!(Send: MutexGuard<'static, u8>, RwLockReadGuard<'static, u8>, RwLockWriteGuard<'static, u8>);
lacks!(Sync: MutexGuard<'static, u8>, RwLockReadGuard<'static, u8>, RwLockWriteGuard<'static, u8>);
lacks!(Send: OwnedMutexGuard<u8>, OwnedRwLockReadGuard<u8>, OwnedRwLockWriteGuard<u8>);
lacks!(Sync: OwnedMutexGuard<u8>, OwnedRwLockReadGuard<u8>, OwnedRwLockWriteGuard<u8>);
lacks!(Send: SemaphorePermit<'static>, OwnedSemaphorePermit, BoundedPermit<'static>);
travels!(BarrierWaitResult, BrokenBarrier, OverRelease);
lacks!(Send: CancelToken, Cancelled, DropGuard, CancelOnDrop<()>, JoinSet<()>);
lacks!(Sync: CancelToken, Cancelled, DropGuard, CancelOnDrop<()>, JoinSet<()>);
lacks!(Send: TaskGroup<'static, ()>, ChildHandle<'static, ()>);
lacks!(Sync: TaskGroup<'static, ()>, ChildHandle<'static, ()>);
lacks!(Send: CallHandle, TimerHandle, Promise<u8>, PromiseFuture<u8>);
lacks!(Sync: CallHandle, TimerHandle, Promise<u8>, PromiseFuture<u8>, Timeout);
// A result that may not travel does not.
lacks!(Send: RemoteJoinHandle<Rc<u8>>);
// A panic's payload need not be Sync; its error is, so that every error type can hold it.
const _: fn() = || {
    fn any_error<T: std::error::Error + Send + Sync + 'static>() {}
    any_error::<JoinError>();
};

// Polled by reference, without a pin: `(&mut handle).await`.
unpin!(oneshot::Receiver<std::marker::PhantomPinned>);
unpin!(
    JoinHandle<std::marker::PhantomPinned>,
    RemoteJoinHandle<u8>,
    BlockingTask<u8>,
    Sleep,
    Interval,
    YieldNow
);
unpin!(PromiseFuture<std::marker::PhantomPinned>);
unpin!(JoinHandle<std::marker::PhantomPinned>, RemoteJoinHandle<u8>, Sleep, Interval, YieldNow);
unpin!(CancelOnDrop<std::marker::PhantomPinned>, ChildHandle<'static, u8>, Cancelled, JoinSet<u8>);
unpin!(UnixStream, UnixListener, OwnedReadHalf<UnixStream>, OwnedWriteHalf<UnixStream>);
unpin!(PipeReader, PipeWriter, Readiness);
unpin!(UdpSocket, UnixDatagram, Datagram, Transport, DatagramTransport<UnixDatagram>);
travels!(IncompleteRead, LimitOverrun, ReadError);
unpin!(Reader, Writer, Lines<'static>);
unpin!(Server, TcpStream, TcpListener, OwnedReadHalf, OwnedWriteHalf, Lease, Runtime);

// Where no kind of socket is said it is UDP, and an address is std's.
const _: fn(&dyn DatagramProtocol) -> &dyn DatagramProtocol<UdpSocket> = |protocol| protocol;
const _: fn(DatagramTransport) -> DatagramTransport<UdpSocket> = |transport| transport;
const _: fn() = || {
    fn says<S: DatagramSocket<Addr = A>, A>() {}
    says::<UdpSocket, std::net::SocketAddr>();
    says::<UnixDatagram, std::os::unix::net::SocketAddr>();
};

// An inbox holds one lease inline, and `read_chunk` returns one in two registers.
const _: () = assert!(size_of::<Lease>() == 16 && size_of::<Option<Lease>>() == 16);
const _: () = assert!(size_of::<JoinHandle<[u8; 1000]>>() == 16);
const _: () = assert!(size_of::<Option<JoinHandle<u8>>>() == 16);
const _: () = assert!(size_of::<TcpStream>() == 8 && size_of::<UnixStream>() == 8);
const _: () = assert!(size_of::<RemoteJoinHandle<[u8; 1000]>>() == 8);
const _: () = assert!(size_of::<Sleep>() <= 40);

#[test]
fn the_assertion_of_a_missing_trait_can_fail() {
    // `lacks!(Send: u8)` must not compile; that it tells the two apart shows here.
    trait Ambiguous<A> {
        fn impls() -> usize {
            1
        }
    }
    impl<T: ?Sized> Ambiguous<()> for T {}
    struct Has;
    impl<T: ?Sized + Send> Ambiguous<Has> for T {}
    assert_eq!(<Rc<u8> as Ambiguous<_>>::impls(), 1);
    assert_eq!(<u8 as Ambiguous<()>>::impls() + <u8 as Ambiguous<Has>>::impls(), 2);
}

#[test]
fn debug_texts_name_their_type() {
    let builder = Builder::new();
    assert!(format!("{builder:?}").starts_with("Builder"));
    let runtime = builder.build().unwrap();
    assert!(format!("{runtime:?}").starts_with("Runtime"));
    assert!(format!("{:?}", runtime.handle()).starts_with("Handle"));
    assert!(format!("{:?}", runtime.metrics()).starts_with("Metrics"));
}
