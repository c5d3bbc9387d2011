//! Accepting.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};

use ringloop::net::{UnixListener, UnixStream};
use ringloop::spawn;

use super::Folder;
use crate::support::{build, on_each_backend, run_on_each};
use crate::tcp::{descriptors, join, poll_once};

#[test]
fn a_hundred_clients_are_served() {
    run_on_each(|| async {
        let folder = Folder::new();
        let path = folder.join("socket");
        let listener = UnixListener::bind(&path).await.unwrap();
        let server = spawn(async move {
            for _ in 0..100 {
                let (mut stream, _) = listener.accept().await.unwrap();
                drop(spawn(async move {
                    let mut buf = [0; 64];
                    while let Ok(n @ 1..) = stream.read(&mut buf).await {
                        stream.write_all(&buf[..n]).await.unwrap();
                    }
                }));
            }
        });
        let clients: Vec<_> = (0..100u8)
            .map(|number| {
                let path = path.clone();
                spawn(async move {
                    let mut stream = UnixStream::connect(&path).await.unwrap();
                    stream.write_all(&[number; 3]).await.unwrap();
                    let (mut all, mut buf) = (Vec::new(), [0; 3]);
                    while all.len() < 3 {
                        let n = stream.read(&mut buf).await.unwrap();
                        assert_ne!(n, 0);
                        all.extend_from_slice(&buf[..n]);
                    }
                    assert_eq!(all, [number; 3]);
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
        server.await.unwrap();
    });
}

#[test]
fn a_dropped_accept_loses_no_connection() {
    run_on_each(|| async {
        let folder = Folder::new();
        let path = folder.join("socket");
        let listener = UnixListener::bind(&path).await.unwrap();
        assert!(poll_once(&mut Box::pin(listener.accept())).await.is_pending());
        let mut dialled = StdStream::connect(&path).unwrap();
        dialled.write_all(b"x").unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 1);
    });
}

#[test]
fn a_closed_listener_serves_who_had_dialled_and_then_says_so() {
    run_on_each(|| async {
        let folder = Folder::new();
        let path = folder.join("socket");
        let listener = UnixListener::bind(&path).await.unwrap();
        let dialled: Vec<_> = (0..3).map(|_| StdStream::connect(&path).unwrap()).collect();
        listener.close();
        assert!(!path.exists());
        for _ in &dialled {
            listener.accept().await.unwrap();
        }
        let error = listener.accept().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotConnected);
        assert!(listener.local_addr().is_err());
        listener.close();
    });
}

#[test]
fn a_listener_of_std_is_taken_over_and_its_file_left_alone() {
    run_on_each(|| async {
        let folder = Folder::new();
        let path = folder.join("socket");
        let listener = UnixListener::from_std(StdListener::bind(&path).unwrap()).unwrap();
        let thread = {
            let path = path.clone();
            std::thread::spawn(move || {
                let mut all = Vec::new();
                StdStream::connect(path).unwrap().read_to_end(&mut all).unwrap();
                all
            })
        };
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"welcome").await.unwrap();
        drop(stream);
        assert_eq!(join(thread).await, b"welcome");
        drop(listener);
        assert!(path.exists());
    });
}

#[test]
fn a_listener_that_outlives_its_runtime_removes_its_file_and_says_that_it_has_ended() {
    on_each_backend(|builder| {
        let folder = Folder::new();
        let path = folder.join("socket");
        let mut runtime = build(builder);
        let (listener, stream) = runtime.block_on(async {
            let listener = UnixListener::bind(&path).await.unwrap();
            let stream = UnixStream::connect(&path).await.unwrap();
            (listener, stream)
        });
        drop(runtime);
        assert!(path.exists(), "it belongs to the listener");
        assert_eq!(listener.local_addr().unwrap_err().kind(), ErrorKind::NotConnected);
        assert_eq!(stream.peer_cred().unwrap_err().kind(), ErrorKind::NotConnected);
        drop((listener, stream));
        assert!(!path.exists());
    });
}

#[test]
fn outside_a_runtime_everything_is_refused_in_a_sentence() {
    let (one, _other) = StdStream::pair().unwrap();
    for error in [UnixStream::pair().unwrap_err(), UnixStream::from_std(one).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::NotConnected);
    }
}

#[test]
fn listeners_and_streams_leave_no_descriptor() {
    crate::support::alone("unix::listener::listeners_and_streams_leave_no_descriptor", || {
        on_each_backend(|builder| {
            let folder = Folder::new();
            let before = descriptors();
            build(builder).block_on(async {
                for number in 0..20 {
                    let path = folder.join(&number.to_string());
                    let listener = UnixListener::bind(&path).await.unwrap();
                    let _dialled = UnixStream::connect(&path).await.unwrap();
                    if number % 2 == 0 {
                        drop(listener.accept().await.unwrap());
                    }
                }
            });
            assert_eq!(descriptors(), before);
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        });
    });
}
