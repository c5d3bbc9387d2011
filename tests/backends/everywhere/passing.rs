//! Channels and queues: what is on its way between two tasks arrives, or stays where it was.

use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use ringloop::queue::{LifoQueue, PriorityQueue, Queue, TryGetError, TryPutError};
use ringloop::sync::{broadcast, mpsc, oneshot, watch};

use super::cut::{Cut, How};
use super::{Case, Ends, case, once};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("Queue::get"; getting_oldest()),
        case!("Queue::put"; putting_oldest()),
        case!("Queue::join"; joining_oldest()),
        case!("LifoQueue::get"; getting_newest()),
        case!("LifoQueue::put"; putting_newest()),
        case!("LifoQueue::join"; joining_newest()),
        case!("PriorityQueue::get"; getting_smallest()),
        case!("PriorityQueue::put"; putting_smallest()),
        case!("PriorityQueue::join"; joining_smallest()),
        case!("Sender::send"; sending()),
        case!("Sender::reserve"; reserving()),
        case!("Sender::closed"; closing_one()),
        case!("Sender::closed"; closing()),
        case!("UnboundedSender::closed"; closing_without_bounds()),
        case!("Sender::closed"; closing_a_watch()),
        case!("Receiver::recv"; receiving()),
        case!("Receiver::recv_many"; receiving_many()),
        case!("Receiver"; receiving_one()),
        case!("Receiver::recv"; hearing()),
        case!("Receiver::changed"; watching()),
        case!("Receiver::wait_for"; watching_for()),
    ]
}

/// What was promised to a future that was forgotten is lost with it.
fn may_be_lost(cut: Cut) -> bool {
    cut.how == How::Forgotten
}

macro_rules! of_queue {
    ($Queue:ident: $get:ident, $put:ident, $join:ident) => {
        async fn $get(cut: Cut) -> Ends {
            let queue = $Queue::unbounded();
            let got = cut.off(queue.get(), once(|| queue.try_put(7).unwrap())).await;
            if got.is_none() {
                assert_eq!(queue.len(), 1);
            }
            let later = queue.try_get();
            match got {
                Some(got) => assert_eq!((got, later), (Ok(7), Err(TryGetError::Empty))),
                None => assert!(later == Ok(7) || may_be_lost(cut)),
            }
            got.is_some()
        }

        async fn $put(cut: Cut) -> Ends {
            let queue = $Queue::bounded(1);
            queue.try_put(1).unwrap();
            let event = once(|| assert_eq!(queue.try_get(), Ok(1)));
            let put = cut.off(queue.put(2), event).await;
            match put {
                Some(put) => {
                    put.unwrap();
                    assert_eq!(queue.try_get(), Ok(2));
                }
                None => {
                    assert!(queue.is_empty());
                    assert!(queue.try_put(3) != Err(TryPutError::Full(3)) || may_be_lost(cut));
                }
            }
            put.is_some()
        }

        async fn $join(cut: Cut) -> Ends {
            let queue = $Queue::unbounded();
            queue.try_put(1).unwrap();
            let got = cut.off(queue.join(), once(|| queue.task_done().unwrap())).await;
            queue.join().await;
            got.is_some()
        }
    };
}

of_queue!(Queue: getting_oldest, putting_oldest, joining_oldest);
of_queue!(LifoQueue: getting_newest, putting_newest, joining_newest);
of_queue!(PriorityQueue: getting_smallest, putting_smallest, joining_smallest);

async fn sending(cut: Cut) -> Ends {
    let (sender, mut receiver) = mpsc::channel(1);
    sender.try_send(1).unwrap();
    let event = once(|| assert_eq!(receiver.try_recv(), Ok(1)));
    let sent = cut.off(sender.send(2), event).await;
    match sent {
        Some(sent) => assert_eq!((sent, receiver.try_recv()), (Ok(()), Ok(2))),
        None => assert!(receiver.is_empty() && (sender.capacity() == 1 || may_be_lost(cut))),
    }
    sent.is_some()
}

async fn reserving(cut: Cut) -> Ends {
    let (sender, mut receiver) = mpsc::channel(1);
    sender.try_send(1).unwrap();
    let event = once(|| assert_eq!(receiver.try_recv(), Ok(1)));
    let permit = cut.off(sender.reserve(), event).await;
    let ends = permit.is_some();
    match permit {
        Some(permit) => {
            permit.unwrap().send(2);
            assert_eq!(receiver.try_recv(), Ok(2));
        }
        None => assert!(sender.capacity() == 1 || may_be_lost(cut)),
    }
    ends
}

async fn closing_one(cut: Cut) -> Ends {
    let (mut sender, mut receiver) = oneshot::channel::<u8>();
    let got = cut.off(sender.closed(), once(|| receiver.close())).await;
    sender.closed().await;
    got.is_some()
}

async fn closing(cut: Cut) -> Ends {
    let (sender, mut receiver) = mpsc::channel::<u8>(1);
    let got = cut.off(sender.closed(), once(|| receiver.close())).await;
    sender.closed().await;
    got.is_some()
}

async fn closing_without_bounds(cut: Cut) -> Ends {
    let (sender, mut receiver) = mpsc::unbounded_channel::<u8>();
    let got = cut.off(sender.closed(), once(|| receiver.close())).await;
    sender.closed().await;
    got.is_some()
}

async fn closing_a_watch(cut: Cut) -> Ends {
    let (sender, receiver) = watch::channel(0);
    let mut receiver = Some(receiver);
    let got = cut.off(sender.closed(), || drop(receiver.take())).await;
    sender.closed().await;
    got.is_some()
}

async fn receiving(cut: Cut) -> Ends {
    let (sender, mut receiver) = mpsc::channel(2);
    let got = cut.off(receiver.recv(), once(|| sender.try_send(7).unwrap())).await;
    let ends = got.is_some();
    let got = match got {
        Some(got) => got,
        None => receiver.recv().await,
    };
    drop(sender);
    assert_eq!((got, receiver.recv().await), (Some(7), None));
    ends
}

async fn receiving_many(cut: Cut) -> Ends {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let mut buffer = Vec::new();
    let event = once(|| (0..3).for_each(|number| sender.send(number).unwrap()));
    let got = cut.off(receiver.recv_many(&mut buffer, 2), event).await;
    assert_eq!(buffer.len(), got.unwrap_or(0));
    drop(sender);
    while receiver.recv_many(&mut buffer, 2).await > 0 {}
    assert_eq!(buffer, [0, 1, 2]);
    got.is_some()
}

async fn receiving_one(cut: Cut) -> Ends {
    let (sender, mut receiver) = oneshot::channel();
    let got = cut.off(&mut receiver, once(|| sender.send(7).unwrap())).await;
    let ends = got.is_some();
    let got = match got {
        Some(got) => got,
        None => receiver.await,
    };
    assert_eq!(got, Ok(7));
    ends
}

async fn hearing(cut: Cut) -> Ends {
    let (sender, mut receiver) = broadcast::channel(2);
    let mut other = sender.subscribe();
    let got = cut.off(receiver.recv(), once(|| _ = sender.send(7).unwrap())).await;
    let ends = got.is_some();
    let got = match got {
        Some(got) => got,
        None => receiver.recv().await,
    };
    assert_eq!((got, other.recv().await), (Ok(7), Ok(7)));
    ends
}

async fn watching(cut: Cut) -> Ends {
    let (sender, mut receiver) = watch::channel(0);
    let got = cut.off(receiver.changed(), once(|| sender.send(7).unwrap())).await;
    if got.is_none() {
        assert_eq!(receiver.has_changed(), Ok(true));
        receiver.changed().await.unwrap();
    }
    assert_eq!((receiver.has_changed(), *receiver.borrow()), (Ok(false), 7));
    got.is_some()
}

async fn watching_for(cut: Cut) -> Ends {
    let (sender, mut receiver) = watch::channel(0);
    let event = once(|| sender.send(7).unwrap());
    let got = cut.off(receiver.wait_for(|value| *value == 7), event).await;
    let ends = got.is_some();
    drop(got);
    assert_eq!(*receiver.wait_for(|value| *value == 7).await.unwrap(), 7);
    ends
}

thread_local! {
    /// What the next clone of [`cloned_by_hook`] does.
    static HOOK: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}

#[expect(unsafe_code, reason = "what a clone of an Arc's waker does cannot be chosen")]
fn cloned_by_hook() -> Waker {
    static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, |_| (), |_| (), |_| ());
    fn clone(_: *const ()) -> RawWaker {
        if let Some(hook) = HOOK.take() {
            hook();
        }
        RawWaker::new(std::ptr::null(), &VTABLE)
    }
    // SAFETY: the functions do not look at the data, and touch their own thread's hook only.
    unsafe { Waker::from_raw(RawWaker::new(std::ptr::null(), &VTABLE)) }
}

// Seen to fail when nothing was looked for after the waker had been cloned.
#[test]
fn what_comes_while_a_waker_is_cloned_is_not_waited_for() {
    let waker = cloned_by_hook();
    let cx = &mut Context::from_waker(&waker);
    let queue = Rc::new(Queue::bounded(1));
    let (sender, mut receiver) = mpsc::channel(1);
    for round in 0..3 {
        let hooked = queue.clone();
        HOOK.set(Some(Box::new(move || hooked.try_put(round).unwrap())));
        assert_eq!(pin!(queue.get()).poll(cx), Poll::Ready(Ok(round)));

        queue.try_put(round).unwrap();
        let hooked = queue.clone();
        HOOK.set(Some(Box::new(move || assert_eq!(hooked.try_get(), Ok(round)))));
        assert_eq!(pin!(queue.put(7)).poll(cx), Poll::Ready(Ok(())));
        assert_eq!(queue.try_get(), Ok(7));

        let hooked = sender.clone();
        HOOK.set(Some(Box::new(move || hooked.try_send(round).unwrap())));
        assert_eq!(pin!(receiver.recv()).poll(cx), Poll::Ready(Some(round)));
    }
}
