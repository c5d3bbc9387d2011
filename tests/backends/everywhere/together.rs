//! Several futures: groups, sets, combinators, and tokens that end them.

use std::cell::Cell;
use std::future::pending;
use std::time::Duration;

use ringloop::future::{
    Until, as_completed, gather, race, race_staggered, try_gather, wait as wait_for_some,
};
use ringloop::task::{CancelToken, JoinSet, TaskGroup, shield};
use ringloop::{JoinHandle, spawn};

use super::cut::Cut;
use super::waiting::Gate;
use super::{Case, Ends, case, once};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("CancelToken::cancelled", "Cancelled"; cancelled()),
        case!("CancelToken::run_until_cancelled"; until_cancelled()),
        case!("TaskGroup::scope"; group()),
        case!("TaskGroup::spawn", "ChildHandle"; child_task()),
        case!("TaskGroup::spawn_scoped"; child_that_borrows()),
        case!("JoinHandle::cancel_on_drop", "CancelOnDrop"; cancelled_on_drop()),
        case!("CancelOnDrop::detach"; detached()),
        case!("shield"; shielded()),
        case!("JoinSet::join_next"; joining_the_next()),
        case!("JoinSet::join_next_with_id"; joining_the_next_with_id()),
        case!("JoinSet::join_all"; joining_all()),
        case!("JoinSet::shutdown"; shutting_down()),
        case!("AsCompleted::next"; next_completed()),
        case!("gather"; gathering()),
        case!("try_gather"; gathering_values()),
        case!("race"; racing()),
        case!("race_staggered"; racing_staggered()),
        case!("wait"; waiting_for_some()),
    ]
}

const SHORT: Duration = Duration::from_micros(200);

async fn cancelled(cut: Cut) -> Ends {
    let token = CancelToken::new();
    let child = token.child_token();
    let got = cut.off(child.cancelled(), || token.cancel()).await;
    child.cancelled().await;
    got.is_some()
}

async fn until_cancelled(cut: Cut) -> Ends {
    let token = CancelToken::new();
    let got = cut.off(token.run_until_cancelled(pending::<()>()), || token.cancel()).await;
    assert_eq!(token.run_until_cancelled(async { 1 }).await, None);
    got.inspect(|ended| assert_eq!(*ended, None)).is_some()
}

async fn group(cut: Cut) -> Ends {
    let gates = (Gate::default(), Gate::default());
    let (task, scoped) = (gates.0.clone(), gates.1.clone());
    let block = TaskGroup::scope(async |group| {
        group.spawn(async { Ok(task.opened().await) });
        let child = group.spawn_scoped(async { Ok::<_, ()>(scoped.opened().await) });
        Ok(child.await.unwrap())
    });
    let open = once(move || {
        gates.0.open();
        gates.1.open();
    });
    let got = cut.off(block, open).await;
    got.inspect(|value| assert_eq!(*value, Ok(Some(7)))).is_some()
}

async fn child_task(cut: Cut) -> Ends {
    let gate = Gate::default();
    let ends = Cell::new(false);
    let block = TaskGroup::scope(async |group| {
        let opened = gate.clone().opened();
        let mut child = group.spawn(async { Ok::<_, ()>(opened.await) });
        let got = cut.off(&mut child, once(|| gate.open())).await;
        ends.set(got.is_some());
        let result = match got {
            Some(result) => result,
            None => child.await,
        };
        assert_eq!(result.unwrap(), 7);
        Ok(())
    });
    assert_eq!(block.await, Ok(Some(())));
    ends.get()
}

async fn child_that_borrows(cut: Cut) -> Ends {
    let gate = Gate::default();
    let ends = Cell::new(false);
    let block = TaskGroup::scope(async |group| {
        // Whoever drops a handle lets the child go on.
        let child = group.spawn_scoped(async { Ok::<_, ()>(gate.clone().opened().await) });
        let got = cut.off(child, once(|| gate.open())).await;
        ends.set(got.map(|result| assert_eq!(result.unwrap(), 7)).is_some());
        Ok(())
    });
    assert_eq!(block.await, Ok(Some(())));
    ends.get()
}

async fn cancelled_on_drop(cut: Cut) -> Ends {
    let gate = Gate::default();
    let task = spawn(gate.clone().opened()).cancel_on_drop();
    let got = cut.off(task, once(|| gate.open())).await;
    got.map(|result| assert_eq!(result.unwrap(), 7)).is_some()
}

async fn detached(cut: Cut) -> Ends {
    let gate = Gate::default();
    let task = spawn(gate.clone().opened()).cancel_on_drop().detach();
    let got = cut.off(task, once(|| gate.open())).await;
    got.map(|result| assert_eq!(result.unwrap(), 7)).is_some()
}

async fn shielded(cut: Cut) -> Ends {
    let (gate, done) = (Gate::default(), Gate::default());
    let (opened, inner) = (gate.clone().opened(), done.clone());
    let task = shield(async move {
        let seven = opened.await;
        inner.open();
        seven
    });
    let got = cut.off(task, once(|| gate.open())).await;
    done.opened().await;
    got.map(|result| assert_eq!(result.unwrap(), 7)).is_some()
}

/// A set of two tasks, of which the gate opens one, and the other has ended by itself.
fn set(gate: &Gate) -> JoinSet<i32> {
    let mut set = JoinSet::new();
    set.spawn(gate.clone().opened());
    set.spawn(async { 7 });
    set
}

async fn rest(mut set: JoinSet<i32>, taken: usize) {
    let mut left = 2 - taken;
    while let Some(result) = set.join_next().await {
        assert_eq!(result.unwrap(), 7);
        left -= 1;
    }
    assert_eq!(left, 0, "a result was lost");
}

async fn joining_the_next(cut: Cut) -> Ends {
    let gate = Gate::default();
    let mut set = set(&gate);
    let got = cut.off(set.join_next(), once(|| gate.open())).await;
    rest(set, usize::from(got.is_some())).await;
    got.is_some()
}

async fn joining_the_next_with_id(cut: Cut) -> Ends {
    let gate = Gate::default();
    let mut set = set(&gate);
    let got = cut.off(set.join_next_with_id(), once(|| gate.open())).await;
    rest(set, usize::from(got.is_some())).await;
    got.is_some()
}

async fn joining_all(cut: Cut) -> Ends {
    let gate = Gate::default();
    let got = cut.off(set(&gate).join_all(), once(|| gate.open())).await;
    got.map(|results| assert_eq!(results.len(), 2)).is_some()
}

async fn shutting_down(cut: Cut) -> Ends {
    let mut set = set(&Gate::default());
    let got = cut.off(set.shutdown(), || {}).await;
    set.shutdown().await;
    assert!(set.is_empty());
    got.is_some()
}

async fn next_completed(cut: Cut) -> Ends {
    let gate = Gate::default();
    let mut all = as_completed([gate.clone().opened()]);
    let got = cut.off(all.next(), once(|| gate.open())).await;
    if got.is_none() {
        assert_eq!(all.next().await, Some((0, 7)));
    }
    assert_eq!(all.next().await, None);
    got.is_some()
}

async fn gathering(cut: Cut) -> Ends {
    let gates = (Gate::default(), Gate::default());
    // A task, for the gate does not bear a waker that panics.
    let nested = gather((spawn(gates.0.clone().opened()), gather([gates.1.clone().opened()])));
    let open = once(|| {
        gates.0.open();
        gates.1.open();
    });
    let got = cut.off(nested, open).await;
    got.map(|(one, two)| assert_eq!((one.unwrap(), two), (7, [7]))).is_some()
}

async fn gathering_values(cut: Cut) -> Ends {
    let gate = Gate::default();
    let opened = gate.clone().opened();
    let fails = async { Err::<(), _>(opened.await) };
    let nested = try_gather((pending::<Result<(), _>>(), try_gather(vec![fails])));
    let got = cut.off(nested, once(|| gate.open())).await;
    got.map(|results| assert_eq!(results, Err(7))).is_some()
}

async fn racing(cut: Cut) -> Ends {
    let gate = Gate::default();
    let nested = race((pending(), race([gate.clone().opened()])));
    let got = cut.off(nested, once(|| gate.open())).await;
    got.map(|result| assert_eq!(result, 7)).is_some()
}

async fn racing_staggered(cut: Cut) -> Ends {
    let gate = Gate::default();
    let runners = [Err(1), Ok(gate.clone())].map(|runner| async {
        match runner {
            Ok(gate) => Ok(gate.opened().await),
            Err(error) => Err(error),
        }
    });
    let got = cut.off(race_staggered(SHORT, runners), once(|| gate.open())).await;
    got.map(|result| assert_eq!(result, Ok(7))).is_some()
}

async fn waiting_for_some(cut: Cut) -> Ends {
    let gate = Gate::default();
    let mut tasks: Vec<JoinHandle<i32>> = vec![spawn(gate.clone().opened()), spawn(async { 7 })];
    let got = cut.off(wait_for_some(&mut tasks, Until::all(), None), once(|| gate.open())).await;
    let ends = got.is_some();
    tasks.extend(got.into_iter().flatten());
    assert_eq!(tasks.len(), 2, "a handle was lost");
    for result in gather(tasks).await {
        assert_eq!(result.unwrap(), 7);
    }
    ends
}
