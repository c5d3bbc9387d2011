//! Unix sockets (L-26, L-29; checks 107, 125, 126, 129).

use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixListener as StdListener, UnixStream as StdStream};
use std::path::Path;

use ringloop::net::{UnixListener, UnixListenerOptions, UnixStream};

use crate::support::{Folder, alone, build, on_each_backend, run_on_each};

fn is_socket(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|it| it.file_type().is_socket())
}

/// A connection that its listener at `path` hands out, in both directions.
async fn serves(listener: &UnixListener, path: &Path) {
    let mut ours = UnixStream::connect(path).await.unwrap();
    let (mut theirs, _) = listener.accept().await.unwrap();
    for (from, to) in [(0, 1), (1, 0)] {
        let ends = [&mut ours, &mut theirs];
        ends[from].write_all(b"x").await.unwrap();
        assert_eq!(ends[to].read(&mut [0]).await.unwrap(), 1);
    }
}

// L-29, check 125.
// Seen to fail when the file was not looked for at the end.
#[test]
fn the_file_is_removed_when_the_listener_is_closed_or_dropped() {
    run_on_each(|| async {
        let folder = Folder::new();
        let path = folder.join("socket");
        let listener = UnixListener::bind(&path).await.unwrap();
        assert!(is_socket(&path));
        serves(&listener, &path).await;
        listener.close();
        assert!(!path.exists());
        let listener = UnixListener::bind(&path).await.unwrap();
        serves(&listener, &path).await;
        drop(listener);
        assert!(!path.exists());
    });
}

// L-29, check 125.
// Seen to fail when only the path was looked at, not whose file it is.
#[test]
fn a_file_that_has_taken_the_place_of_the_first_is_left_alone() {
    run_on_each(|| async {
        let folder = Folder::new();
        let path = folder.join("socket");
        let first = UnixListener::bind(&path).await.unwrap();
        let second = UnixListener::bind(&path).await.unwrap();
        drop(first);
        serves(&second, &path).await;
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "mine").unwrap();
        second.close();
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
        drop(second);
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    });
}

// L-29, check 125. File systems give out the number of an inode again; the kernel's promise that they do
// not before the descriptor is closed is what the order of our close leans on.
#[test]
fn a_file_that_has_the_inode_of_the_first_cannot_come_too_early() {
    run_on_each(|| async {
        let folder = Folder::new();
        let path = folder.join("socket");
        let listener = UnixListener::bind(&path).await.unwrap();
        let ours = std::fs::symlink_metadata(&path).unwrap().ino();
        std::fs::remove_file(&path).unwrap();
        for _ in 0..50 {
            drop(StdListener::bind(&path).unwrap());
            assert_ne!(std::fs::symlink_metadata(&path).unwrap().ino(), ours);
            std::fs::remove_file(&path).unwrap();
        }
        drop(StdListener::bind(&path).unwrap());
        drop(listener);
        assert!(is_socket(&path));
    });
}

// L-29, check 125.
#[test]
fn a_file_that_is_gone_already_harms_nobody() {
    run_on_each(|| async {
        let folder = Folder::new();
        let path = folder.join("socket");
        let listener = UnixListener::bind(&path).await.unwrap();
        std::fs::remove_file(&path).unwrap();
        listener.close();
        drop(listener);
        let listener = UnixListener::bind(&path).await.unwrap();
        std::fs::remove_dir_all(folder.path()).unwrap();
        drop(listener);
    });
}

// L-29, check 125.
#[test]
fn a_stale_socket_is_replaced_and_so_is_that_of_a_server_which_keeps_its_connections() {
    run_on_each(|| async {
        let folder = Folder::new();
        let path = folder.join("socket");
        drop(StdListener::bind(&path).unwrap());
        assert!(is_socket(&path), "std leaves it");
        let first = UnixListener::bind(&path).await.unwrap();
        serves(&first, &path).await;
        let mut dialled = UnixStream::connect(&path).await.unwrap();
        let second = UnixListener::bind(&path).await.unwrap();
        serves(&second, &path).await;
        let (mut accepted, _) = first.accept().await.unwrap();
        accepted.write_all(b"x").await.unwrap();
        assert_eq!(dialled.read(&mut [0]).await.unwrap(), 1);
    });
}

// L-29, check 125.
// Seen to fail when a file was removed whatever it was.
#[test]
fn what_is_no_socket_is_refused_with_its_path_and_stays() {
    run_on_each(|| async {
        let folder = Folder::new();
        let (file, inner) = (folder.join("a file"), folder.join("a folder"));
        let (link, socket) = (folder.join("a link"), folder.join("socket"));
        std::fs::write(&file, "mine").unwrap();
        std::fs::create_dir(&inner).unwrap();
        let _listener = UnixListener::bind(&socket).await.unwrap();
        std::os::unix::fs::symlink(&socket, &link).unwrap();
        for path in [&file, &inner, &link] {
            let error = UnixListener::bind(path).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AddrInUse);
            let says = error.to_string();
            assert!(
                says.contains(path.to_str().unwrap()) && says.contains("not a socket"),
                "{says}"
            );
        }
        assert_eq!(std::fs::read(&file).unwrap(), b"mine");
        assert!(inner.is_dir() && is_socket(&socket));
        assert_eq!(std::fs::read_link(&link).unwrap(), socket);
    });
}

// L-29, check 125: an option is off.
#[test]
fn the_file_stays_or_is_not_replaced_where_that_was_asked_for() {
    run_on_each(|| async {
        let folder = Folder::new();
        let path = folder.join("socket");
        drop(UnixListenerOptions::new().cleanup(false).bind(&path).await.unwrap());
        assert!(is_socket(&path));
        let error = UnixListenerOptions::new().replace(false).bind(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(error.to_string().contains(path.to_str().unwrap()));
        drop(UnixListener::bind(&path).await.unwrap());
        assert!(!path.exists());
        drop(UnixListenerOptions::new().replace(false).bind(&path).await.unwrap());
        assert!(!path.exists());
    });
}

// L-29.
#[test]
fn an_abstract_name_leaves_no_file_and_can_be_had_again_at_once() {
    run_on_each(|| async {
        let folder = Folder::new();
        let name = format!("\0ringloop{}", folder.path().display());
        for _ in 0..3 {
            let listener = UnixListener::bind(&name).await.unwrap();
            serves(&listener, name.as_ref()).await;
            let error = UnixListener::bind(&name).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AddrInUse);
            assert!(error.to_string().contains(&name[1..]), "{error}");
        }
        let address = SocketAddr::from_abstract_name(&name[1..]).unwrap();
        let listener = UnixListener::bind_addr(&address).await.unwrap();
        let told = listener.local_addr().unwrap();
        assert_eq!(told.as_abstract_name(), address.as_abstract_name());
        // The kernel chooses one.
        let unnamed = StdStream::pair().unwrap().0.local_addr().unwrap();
        let chosen = UnixListener::bind_addr(&unnamed).await.unwrap();
        let told = chosen.local_addr().unwrap();
        assert!(told.as_abstract_name().is_some());
        UnixStream::connect_addr(&told).await.unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    });
}

// L-29.
#[test]
fn only_the_owner_may_connect_unless_others_are_let_in() {
    run_on_each(|| async {
        let folder = Folder::new();
        let path = folder.join("socket");
        let mode = || std::fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o777;
        let _listener = UnixListener::bind(&path).await.unwrap();
        assert_eq!(mode(), 0o600);
        // Whatever the umask says.
        let _listener = UnixListenerOptions::new().mode(0o666).bind(&path).await.unwrap();
        assert_eq!(mode(), 0o666);
        let _listener = UnixListenerOptions::new().mode_of_umask().bind(&path).await.unwrap();
        let ours = mode();
        std::fs::remove_file(&path).unwrap();
        let _std = StdListener::bind(&path).unwrap();
        assert_eq!(ours, mode());
    });
}

// L-29.
#[test]
fn a_path_that_no_address_has_room_for_is_refused_in_words() {
    run_on_each(|| async {
        let folder = Folder::new();
        let long = folder.join(&"x".repeat(108));
        let error = UnixListener::bind(&long).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("room for 107"), "{error}");
        let error = UnixStream::connect(&long).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let error = UnixListener::bind(folder.join("no/folder")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    });
}

// L-29, check 125.
#[test]
fn the_file_is_found_again_from_another_working_directory() {
    let name = "the_file_is_found_again_from_another_working_directory";
    alone(&format!("unix::{name}"), || {
        on_each_backend(|builder| {
            let folder = Folder::new();
            build(builder).block_on(async {
                std::env::set_current_dir(folder.path()).unwrap();
                let listener = UnixListener::bind("socket").await.unwrap();
                assert!(is_socket(&folder.join("socket")));
                std::env::set_current_dir("/").unwrap();
                drop(listener);
                assert!(!folder.join("socket").exists());
            });
        });
    });
}

// L-26, S-03, check 107.
#[test]
fn a_connection_by_path_or_by_name_stands_or_says_why_not() {
    run_on_each(|| async {
        let folder = Folder::new();
        let path = folder.join("socket");
        let listener = UnixListener::bind(&path).await.unwrap();
        serves(&listener, &path).await;
        // A path, as text, as bytes.
        UnixStream::connect(path.to_str().unwrap()).await.unwrap();
        UnixStream::connect(path.as_os_str()).await.unwrap();
        let kind = async |path: &Path| UnixStream::connect(path).await.unwrap_err().kind();
        assert_eq!(kind(&folder.join("nobody")).await, ErrorKind::NotFound);
        drop(StdListener::bind(folder.join("stale")).unwrap());
        assert_eq!(kind(&folder.join("stale")).await, ErrorKind::ConnectionRefused);
        assert_eq!(kind("\0nobody here".as_ref()).await, ErrorKind::ConnectionRefused);
    });
}

// Checks 126 and 129.
#[test]
fn none_one_and_many_that_wait_are_accepted_and_a_cancelled_accept_keeps_its_connection() {
    run_on_each(|| async {
        let folder = Folder::new();
        let path = folder.join("socket");
        let listener = UnixListener::bind(&path).await.unwrap();
        let mut accept = Box::pin(listener.accept());
        assert!(crate::support::poll_once(&mut accept).is_pending());
        let _many: Vec<_> = (0..20).map(|_| StdStream::connect(&path).unwrap()).collect();
        drop(accept);
        for _ in 0..20 {
            listener.accept().await.unwrap();
        }
        let mut accept = Box::pin(listener.accept());
        assert!(crate::support::poll_once(&mut accept).is_pending());
    });
}
