//! Dialling.

use std::io::{ErrorKind, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener as StdListener, UnixStream as StdStream};
use std::path::Path;
use std::pin::Pin;
use std::task::Poll;

use ringloop::metrics;
use ringloop::net::{UnixListener, UnixListenerOptions, UnixStream};

use super::Folder;
use crate::support::run_on_each;
use crate::tcp::{poll_once, turns};

#[test]
fn a_dial_says_why_it_fails() {
    run_on_each(|| async {
        let folder = Folder::new();
        let kind = |path: &Path| {
            let path = path.to_owned();
            async move { UnixStream::connect(path).await.unwrap_err().kind() }
        };
        assert_eq!(kind(&folder.join("nothing")).await, ErrorKind::NotFound);
        assert_eq!(kind(&folder.join("no/folder")).await, ErrorKind::NotFound);
        std::fs::write(folder.join("a file"), "x").unwrap();
        assert_eq!(kind(&folder.join("a file")).await, ErrorKind::ConnectionRefused);
        drop(StdListener::bind(folder.join("stale")).unwrap());
        assert_eq!(kind(&folder.join("stale")).await, ErrorKind::ConnectionRefused);
        assert_eq!(kind(&folder.join(&"x".repeat(200))).await, ErrorKind::InvalidInput);
        assert_eq!(kind("".as_ref()).await, ErrorKind::InvalidInput);
        assert_eq!(kind("\0nobody has this name".as_ref()).await, ErrorKind::ConnectionRefused);
    });
}

#[test]
fn addresses_are_told_on_both_sides() {
    run_on_each(|| async {
        let folder = Folder::new();
        let path = folder.join("socket");
        let listener = UnixListener::bind(&path).await.unwrap();
        assert_eq!(listener.local_addr().unwrap().as_pathname(), Some(&*path));
        let ours = UnixStream::connect(&path).await.unwrap();
        let (theirs, peer) = listener.accept().await.unwrap();
        assert!(peer.is_unnamed());
        assert_eq!(ours.peer_addr().unwrap().as_pathname(), Some(&*path));
        assert_eq!(theirs.local_addr().unwrap().as_pathname(), Some(&*path));
        assert!(
            ours.local_addr().unwrap().is_unnamed() && theirs.peer_addr().unwrap().is_unnamed()
        );

        let name = format!("ringloop {}", folder.path().display());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixListener::bind_addr(&address).await.unwrap();
        let ours = UnixStream::connect(format!("\0{name}")).await.unwrap();
        assert_eq!(ours.peer_addr().unwrap().as_abstract_name(), Some(name.as_bytes()));
        drop(listener.accept().await.unwrap());
    });
}

/// Dials until the backlog is full: those who came through, and the one that waits.
async fn crowd(path: &Path) -> (Vec<UnixStream>, Pin<Box<dyn Future<Output = Dialled>>>) {
    let mut through = Vec::new();
    loop {
        let path = path.to_owned();
        let mut dial: Pin<Box<dyn Future<Output = Dialled>>> =
            Box::pin(async move { UnixStream::connect(&path).await });
        let mut dialled = Poll::Pending;
        for _ in 0..100 {
            dialled = poll_once(&mut dial).await;
            if dialled.is_ready() {
                break;
            }
            turns(1).await;
        }
        match dialled {
            Poll::Ready(stream) => through.push(stream.unwrap()),
            Poll::Pending => return (through, dial),
        }
        assert!(through.len() < 10, "the backlog has no end");
    }
}

type Dialled = std::io::Result<UnixStream>;

// Seen to fail when `EAGAIN` was handed on.
#[test]
fn a_dial_waits_where_the_backlog_is_full() {
    run_on_each(|| async {
        let folder = Folder::new();
        let path = folder.join("socket");
        let listener = UnixListenerOptions::new().backlog(1).bind(&path).await.unwrap();
        // Nothing is accepted before somebody asks.
        let (through, dial) = crowd(&path).await;
        for _ in &through {
            drop(listener.accept().await.unwrap());
        }
        dial.await.unwrap();
        drop(listener.accept().await.unwrap());
    });
}

#[test]
fn a_dial_that_is_given_up_leaves_nothing() {
    run_on_each(|| async {
        let folder = Folder::new();
        let path = folder.join("socket");
        let listener = UnixListenerOptions::new().backlog(1).bind(&path).await.unwrap();
        let (through, dial) = crowd(&path).await;
        drop((through, dial));
        drop(listener);
        while metrics().in_flight + metrics().timers > 0 {
            turns(1).await;
        }
    });
}

#[test]
fn whoever_dialled_wrote_and_went_is_still_accepted() {
    run_on_each(|| async {
        let folder = Folder::new();
        let path = folder.join("socket");
        let listener = UnixListener::bind(&path).await.unwrap();
        StdStream::connect(&path).unwrap().write_all(b"bye").unwrap();
        let (mut theirs, peer) = listener.accept().await.unwrap();
        assert!(peer.is_unnamed());
        let mut buf = [0; 8];
        assert_eq!(theirs.read(&mut buf).await.unwrap(), 3);
        assert_eq!(theirs.read(&mut buf).await.unwrap(), 0);
    });
}
