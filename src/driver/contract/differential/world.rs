//! The descriptors that the steps work on, and their peers.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::end::{BYTES, End};
use super::steps::{Path, Thing};
use crate::buf::Pool;
use crate::driver::Driver;
use crate::driver::contract::{Rig, STUCK, listener, pair, tcp_pair};
use crate::op::Call;
use crate::sys::{Bell, SockAddr, file};

pub(super) struct World {
    pub(super) ends: Vec<End>,
    pub(super) listener: SockAddr,
    pub(super) nobody: SockAddr,
    address: SocketAddr,
    clients: Vec<OwnedFd>,
    /// Bound and never listening, so that nobody else gets the port.
    refuses: RawFd,
    dir: PathBuf,
    names: Vec<CString>,
}

impl World {
    pub(super) fn new(rig: &mut Rig) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ringloop-differential-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("there"), &BYTES[..10_000]).unwrap();
        let names = ["there", "missing", "", "new", ""]
            .map(|name| CString::new(dir.join(name).as_os_str().as_bytes()).unwrap());
        rig.pool.open_messages().unwrap();
        let (refuses, nobody) = bound(rig);
        let (listening, address) = listener();
        let mut world = Self {
            ends: Vec::new(),
            listener: address.into(),
            nobody,
            address,
            clients: Vec::new(),
            refuses,
            dir,
            names: names.into(),
        };
        for thing in Thing::ALL {
            let (ours, peer) = match thing {
                Thing::Listener => (listening, None),
                _ => world.open(rig, thing),
            };
            world.ends.push(End::new(thing, ours, peer));
        }
        world
    }

    fn open(&self, rig: &mut Rig, thing: Thing) -> (RawFd, Option<File>) {
        let own = |fd: OwnedFd| Some(File::from(fd));
        match thing {
            Thing::Tcp => {
                let (ours, peer) = tcp_pair();
                small_buffer(rig, ours);
                (ours, own(peer.into()))
            }
            Thing::Unix => {
                let (ours, peer) = pair();
                small_buffer(rig, ours);
                (ours, own(peer.into()))
            }
            Thing::Udp => {
                let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
                let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
                peer.connect(ours.local_addr().unwrap()).unwrap();
                ours.connect(peer.local_addr().unwrap()).unwrap();
                ours.set_nonblocking(true).unwrap();
                (ours.into_raw_fd(), own(peer.into()))
            }
            Thing::Datagram => {
                let (ours, peer) = UnixDatagram::pair().unwrap();
                ours.set_nonblocking(true).unwrap();
                (ours.into_raw_fd(), own(peer.into()))
            }
            Thing::PipeIn => {
                let (ours, peer) = io::pipe().unwrap();
                (ours.into_raw_fd(), own(peer.into()))
            }
            Thing::PipeOut => {
                let (peer, ours) = io::pipe().unwrap();
                (ours.into_raw_fd(), own(peer.into()))
            }
            Thing::Event => {
                let bell = Bell::new().unwrap();
                let [ours, peer] = [0; 2].map(|_| file::duplicate(bell.as_raw_fd()).unwrap());
                (ours, own(file::own(peer)))
            }
            Thing::File => {
                let mut options = File::options();
                let path = self.dir.join("there");
                (options.read(true).write(true).open(path).unwrap().into_raw_fd(), None)
            }
            Thing::Dir => (File::open(&self.dir).unwrap().into_raw_fd(), None),
            Thing::Null => (File::open("/dev/null").unwrap().into_raw_fd(), None),
            Thing::Fresh => {
                let (domain, kind) = (libc::AF_INET, libc::SOCK_STREAM);
                (rig.driver.call(Call::Socket { domain, kind, protocol: 0 }).unwrap(), None)
            }
            Thing::Listener => unreachable!("it is made first"),
            Thing::Bad => (-1, None),
            Thing::NotOpen => (1 << 16, None),
        }
    }

    pub(super) fn end(&mut self, thing: Thing) -> &mut End {
        &mut self.ends[thing as usize]
    }

    /// The C string of a path, and the flags to open it with.
    pub(super) fn path(&self, path: Path) -> (*const libc::c_char, i32) {
        let flags = match path {
            Path::There | Path::Missing => libc::O_RDWR,
            Path::Dir => libc::O_RDONLY | libc::O_DIRECTORY,
            Path::New => libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY,
            Path::DirToWrite => libc::O_WRONLY,
        };
        (self.names[path as usize].as_ptr(), flags)
    }

    pub(super) fn connect(&mut self) -> String {
        match TcpStream::connect(self.address) {
            Ok(client) => self.clients.push(client.into()),
            Err(e) => return name(&e),
        }
        "ok".into()
    }

    /// What is left in every descriptor; closes them all.
    pub(super) fn state(mut self, rig: &mut Rig) -> Vec<String> {
        let mut lines = Vec::new();
        for end in &mut self.ends {
            let ours = match end.thing {
                _ if end.broken || end.ours < 0 || end.thing == Thing::NotOpen => continue,
                Thing::Listener => format!("{} connections", backlog(rig, end.ours)),
                Thing::File => info(end.ours, "pos:"),
                Thing::Dir | Thing::Null => String::new(),
                _ => left(rig, end.ours, end.thing),
            };
            lines.push(format!("{:?} at last: {ours}", end.thing));
        }
        for end in &mut self.ends {
            let line = end.drain();
            lines.push(format!("{:?}'s peer at last: {line}", end.thing));
        }
        lines.push(format!("file: {}", digest(&fs::read(self.dir.join("there")).unwrap())));
        for end in &self.ends {
            if end.ours >= 0 && end.thing != Thing::NotOpen {
                rig.close(end.ours);
            }
        }
        rig.close(self.refuses);
        let messages = rig.pool.messages().map_or(0, Pool::available);
        lines.push(format!("{} buffers, {messages} for messages", rig.pool.available()));
        lines
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Best effort: a temporary directory.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A small send buffer, so that a big send does not fit.
fn small_buffer(rig: &mut Rig, fd: RawFd) {
    let value = &8192i32.to_ne_bytes();
    let (level, name) = (libc::SOL_SOCKET, libc::SO_SNDBUF);
    rig.driver.call(Call::SetOption { fd, level, name, value }).unwrap();
}

/// A TCP socket that has an address and does not listen.
fn bound(rig: &mut Rig) -> (RawFd, SockAddr) {
    let (domain, kind) = (libc::AF_INET, libc::SOCK_STREAM);
    let fd = rig.driver.call(Call::Socket { domain, kind, protocol: 0 }).unwrap();
    let any = SockAddr::from("127.0.0.1:0".parse::<SocketAddr>().unwrap());
    rig.driver.call(Call::Bind { fd, address: &any }).unwrap();
    let mut address = SockAddr::empty();
    rig.driver.call(Call::LocalAddr { fd, address: &mut address }).unwrap();
    (fd, address)
}

/// The connections that nobody has accepted.
fn backlog(rig: &mut Rig, fd: RawFd) -> usize {
    let accepted = std::iter::from_fn(|| rig.driver.call(Call::AcceptNow { fd }).ok());
    accepted.map(file::own).count()
}

/// The bytes that nobody has received, and what comes after them.
fn left(rig: &mut Rig, fd: RawFd, thing: Thing) -> String {
    let copy = rig.driver.call(Call::Duplicate { fd }).unwrap();
    rig.driver.call(Call::SetNonblocking { fd: copy, on: true }).unwrap();
    let mut copy = File::from(file::own(copy));
    let mut text = String::new();
    let start = Instant::now();
    for _ in 0..100 {
        let mut buf = [0; 1 << 14];
        let mut read = copy.read(&mut buf);
        while waits_for_its_end(thing, &read) && start.elapsed() < *STUCK {
            thread::sleep(Duration::from_millis(1));
            read = copy.read(&mut buf);
        }
        match read {
            Ok(0) if !thing.has_pieces() => return text + " end",
            Ok(n) => text += &format!("[{}]", digest(&buf[..n])),
            Err(e) => return text + &name(&e),
        }
    }
    text
}

/// Whether the end of a connection is on its way: nobody but the listener's side has closed it, just
/// now. Where the kernel's own thread has packets to deliver, all others wait for it (seen on Linux
/// 6.1).
fn waits_for_its_end(thing: Thing, read: &io::Result<usize>) -> bool {
    thing == Thing::Fresh && read.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock)
}

/// A line of what /proc knows of a descriptor.
pub(super) fn info(fd: RawFd, key: &str) -> String {
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap_or_default();
    text.lines().find(|line| line.starts_with(key)).unwrap_or("gone").to_owned()
}

/// Bytes in a few characters.
pub(super) fn digest(bytes: &[u8]) -> String {
    let sum = bytes.iter().fold(0u16, |sum, &byte| sum.rotate_left(3) ^ u16::from(byte));
    format!("{} bytes {sum:04x}", bytes.len())
}

pub(super) fn name(error: &io::Error) -> String {
    format!("{:?}", Errno::from_raw(error.raw_os_error().unwrap_or_default()))
}

pub(super) fn said(result: io::Result<impl std::fmt::Display>) -> String {
    result.map_or_else(|error| name(&error), |n| n.to_string())
}
