//! What belongs to one runtime, used within another.

use std::io::{self, Write};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use ringloop::Builder;
use ringloop::fs::File;
use ringloop::net::{Readiness, TcpListener, TcpStream};

use crate::support::{build, on_each_backend};
use crate::tcp::bulk::amid_bulk;
use crate::tcp::{check, pattern, until, with_std};

/// A listener, and the two ends of one of its connections, of a runtime that stands still.
async fn connected() -> (TcpListener, TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (theirs, _) = listener.accept().await.unwrap();
    (listener, ours, theirs)
}

fn assert_elsewhere<T: std::fmt::Debug>(result: io::Result<T>) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotConnected, "{error}");
    assert!(error.to_string().contains("does not run here and now"), "{error}");
}

// Seen to fail when a fetch did not ask whether its runtime runs here.
#[test]
fn a_stream_amid_bulk_is_read_only_where_its_runtime_runs() {
    on_each_backend(|builder| {
        let mut runtime = build(builder);
        let (mut ours, mut theirs) = runtime.block_on(with_std());
        let position = runtime.block_on(amid_bulk(&mut ours, &theirs));
        theirs.write_all(pattern(position, 100)).unwrap();
        // Its watch has ended.
        runtime.block_on(until(|| ringloop::metrics().in_flight == 0));
        Builder::new().build().unwrap().block_on(async {
            assert_elsewhere(ours.read(&mut [0; 20_000]).await);
            assert_elsewhere(ours.read_chunk().await);
        });
        let mut buf = [0; 20_000];
        assert_eq!(runtime.block_on(ours.read(&mut buf)).unwrap(), 100);
        check(&buf[..100], position);
    });
}

#[test]
fn waiting_for_a_runtime_that_stands_still_is_an_error_and_not_a_hang() {
    on_each_backend(|builder| {
        let mut runtime = build(builder);
        let (listener, mut ours, mut theirs) = runtime.block_on(connected());
        let file = runtime.block_on(File::open("/proc/self/exe")).unwrap();
        let readiness = runtime.block_on(async { Readiness::new(&std::io::stdin()).unwrap() });
        Builder::new().build().unwrap().block_on(async {
            assert_elsewhere(file.read_at(&mut [0; 8], 0).await);
            assert_elsewhere(file.write_at(b"x", 0).await);
            assert_elsewhere(file.sync_data().await);
            assert_elsewhere(readiness.readable().await);
            assert_elsewhere(theirs.read_chunk().await);
            assert_elsewhere(theirs.peek(&mut [0; 8]).await);
            assert_elsewhere(ours.read(&mut [0; 8]).await);
            assert_elsewhere(ours.write_all(b"x").await);
            assert_elsewhere(listener.accept().await.map(drop));
        });
        // Nor under no runtime at all.
        {
            let mut buf = [0; 8];
            let mut read = pin!(theirs.read(&mut buf));
            match read.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(result) => assert_elsewhere(result),
                Poll::Pending => panic!("it waits for nobody"),
            }
        }
        // At home all is as it was.
        runtime.block_on(async {
            assert_eq!(file.read_at(&mut [0; 8], 0).await.unwrap(), 8);
            ours.write_all(b"hello").await.unwrap();
            let chunk = theirs.read_chunk().await.unwrap().unwrap();
            assert_eq!(&chunk[..], b"hello");
        });
    });
}
