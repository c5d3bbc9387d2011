//! Wakers that close a channel or a queue, or fill it, while one waits there.

use std::cell::{Cell, RefCell};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use ringloop::queue::{Queue, QueueShutdown, Shutdown};
use ringloop::sync::{mpsc, oneshot};

use super::hooks::{Call, hook, unhook, waker};

/// Polls once, under a waker whose clone does the first and whose drop the second.
fn poll<F: Future>(
    future: Pin<&mut F>,
    clone: impl Fn() + 'static,
    drop: impl Fn() + 'static,
) -> Poll<F::Output> {
    hook(move |call| match call {
        Call::Clone => clone(),
        Call::Drop => drop(),
        Call::Wake => {}
    });
    let waker = waker(1);
    let polled = future.poll(&mut Context::from_waker(&waker));
    unhook();
    polled
}

// Seen to fail when the line, or the seat, was taken without a second look.
#[test]
fn what_is_sent_while_the_waker_is_cloned_is_not_slept_over() {
    let queue = Rc::new(Queue::unbounded());
    let put = queue.clone();
    let got = poll(pin!(queue.get()), move || put.try_put(1).unwrap(), || ());
    assert_eq!(got, Poll::Ready(Ok(1)));

    let (sender, mut receiver) = mpsc::unbounded_channel();
    let got = poll(pin!(receiver.recv()), move || sender.send(2).unwrap(), || ());
    assert_eq!(got, Poll::Ready(Some(2)));

    let (sender, receiver) = oneshot::channel();
    let sender = Cell::new(Some(sender));
    let send = move || sender.take().map_or((), |sender| sender.send(3).unwrap());
    assert_eq!(poll(pin!(receiver), send, || ()), Poll::Ready(Ok(3)));
}

// Seen to fail (a panic) when a right was used without looking whether it is void.
#[test]
fn a_get_whose_waker_shuts_the_queue_down_finds_it_shut() {
    for (how, expected) in [(Shutdown::Immediate, Err(QueueShutdown(()))), (Shutdown::Drain, Ok(1))]
    {
        let queue = Rc::new(Queue::unbounded());
        let (put, shut) = (queue.clone(), queue.clone());
        let fill = move || _ = put.try_put(1);
        let got = poll(pin!(queue.get()), fill, move || shut.shutdown(how));
        assert_eq!(got, Poll::Ready(expected));
    }
}

#[test]
fn a_put_whose_waker_shuts_the_queue_down_leaves_nothing_in_it() {
    let queue = Rc::new(Queue::bounded(1));
    queue.try_put(0).unwrap();
    let (get, shut) = (queue.clone(), queue.clone());
    let put = poll(
        pin!(queue.put(7)),
        move || _ = get.try_get(),
        move || shut.shutdown(Shutdown::Immediate),
    );
    assert_eq!(put, Poll::Ready(Err(QueueShutdown(7))));
    assert!(queue.is_empty());
}

#[test]
fn nothing_is_sent_after_the_end_by_a_sender_whose_waker_closes_the_channel() {
    for reserves in [false, true] {
        let (sender, receiver) = mpsc::channel(1);
        sender.try_send(0).unwrap();
        let receiver = Rc::new(RefCell::new(receiver));
        let (first, second) = (receiver.clone(), receiver.clone());
        let ended = Rc::new(Cell::new(false));
        let saw = ended.clone();
        let receive = move || _ = first.borrow_mut().try_recv();
        let close = move || {
            second.borrow_mut().close();
            let got = second.borrow_mut().try_recv();
            saw.set(saw.get() || got == Err(mpsc::TryRecvError::Disconnected));
        };
        let sent = async {
            match reserves {
                true => sender.reserve().await.map(|permit| permit.send(7)).is_ok(),
                false => sender.send(7).await.is_ok(),
            }
        };
        assert_eq!(poll(pin!(sent), receive, close), Poll::Ready(false));
        assert!(ended.get());
        assert!(receiver.borrow_mut().try_recv().is_err(), "a value after the end");
    }
}
