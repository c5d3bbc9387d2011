//! Tuples of futures: polled in place, one after the other.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use super::gather::{Gather, TryGather};
use super::race::{Race, rotation};

/// Polls `future`, drops it when it has ended, and keeps its output.
fn poll<F: Future>(mut future: Pin<&mut Option<F>>, cx: &mut Context<'_>) -> Option<F::Output> {
    match future.as_mut().as_pin_mut()?.poll(cx) {
        Poll::Pending => None,
        Poll::Ready(output) => {
            future.set(None);
            Some(output)
        }
    }
}

macro_rules! tuple {
    ($count:literal: $($F:ident $T:ident $future:ident $value:ident $index:literal),+) => {
        impl<$($F: Future),+> Gather for ($($F,)+) {
            type Output = ($($F::Output,)+);

            async fn gather(self) -> Self::Output {
                let ($($future,)+) = self;
                $(let mut $future = pin!(Some($future));)+
                $(let mut $value = None;)+
                poll_fn(|cx| {
                    $(if $value.is_none() {
                        $value = poll($future.as_mut(), cx);
                    })+
                    let all = true $(&& $value.is_some())+;
                    if all { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
                ($($value.expect("all have ended"),)+)
            }
        }

        impl<Error, $($T, $F: Future<Output = Result<$T, Error>>),+> TryGather for ($($F,)+) {
            type Output = ($($T,)+);
            type Error = Error;

            async fn try_gather(self) -> Result<Self::Output, Error> {
                let ($($future,)+) = self;
                $(let mut $future = pin!(Some($future));)+
                $(let mut $value = None;)+
                poll_fn(|cx| {
                    $(if $value.is_none() {
                        $value = match poll($future.as_mut(), cx) {
                            Some(Ok(value)) => Some(value),
                            Some(Err(error)) => return Poll::Ready(Err(error)),
                            None => None,
                        };
                    })+
                    let all = true $(&& $value.is_some())+;
                    if all { Poll::Ready(Ok(())) } else { Poll::Pending }
                })
                .await?;
                Ok(($($value.expect("all have ended"),)+))
            }
        }

        impl<Output, $($F: Future<Output = Output>),+> Race for ($($F,)+) {
            type Output = Output;

            async fn race(self) -> Output {
                let ($($future,)+) = self;
                $(let mut $future = pin!($future);)+
                let first = rotation($count);
                poll_fn(|cx| {
                    let order = (first..$count).chain(0..first);
                    let mut polled = order.map(|index| match index {
                        $($index => $future.as_mut().poll(cx),)+
                        _ => unreachable!("there are no more"),
                    });
                    polled.find(Poll::is_ready).unwrap_or(Poll::Pending)
                })
                .await
            }
        }
    };
}

tuple!(1: A TA a va 0);
tuple!(2: A TA a va 0, B TB b vb 1);
tuple!(3: A TA a va 0, B TB b vb 1, C TC c vc 2);
tuple!(4: A TA a va 0, B TB b vb 1, C TC c vc 2, D TD d vd 3);
tuple!(5: A TA a va 0, B TB b vb 1, C TC c vc 2, D TD d vd 3, E TE e ve 4);
tuple!(6: A TA a va 0, B TB b vb 1, C TC c vc 2, D TD d vd 3, E TE e ve 4, F TF f vf 5);
tuple!(7: A TA a va 0, B TB b vb 1, C TC c vc 2, D TD d vd 3, E TE e ve 4, F TF f vf 5, G TG g vg 6);
tuple!(8: A TA a va 0, B TB b vb 1, C TC c vc 2, D TD d vd 3, E TE e ve 4, F TF f vf 5, G TG g vg 6,
    H TH h vh 7);

impl Gather for () {
    type Output = ();

    async fn gather(self) {}
}
