//! Batches: what comes while one is under way waits, and goes together. What comes alone does not wait.

use std::pin::pin;
use std::time::Duration;

use futures::{Stream, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// Most items in a batch.
const MAX_ITEMS: usize = 1024;
/// A batch takes no more items once it has so many bytes.
const MAX_BYTES: usize = 1 << 20;
/// Items that wait for a batch, at most; beyond it whoever submits waits.
const QUEUE: usize = 1024;
/// How long the next batch waits for the answers of the last one, at most: longer than a batch takes between machines of
/// one place, and little beside the way to another region. One that a lost quorum holds up keeps no other from being
/// refused.
const LONGEST_WAIT: Duration = Duration::from_millis(10);

/// The way into the batches.
pub(super) struct Batches<I, A>(mpsc::Sender<Waiting<I, A>>);

struct Waiting<I, A> {
    item: I,
    bytes: usize,
    tell: oneshot::Sender<A>,
}

impl<I: Send + 'static, A: Send + 'static> Batches<I, A> {
    /// Gathers items on the current runtime until this is dropped. `send` takes a batch on its way and answers in its
    /// order; items that it does not answer end without an answer.
    pub(super) fn sent_by<S>(send: impl Fn(Vec<I>) -> S + Send + 'static) -> Self
    where
        S: Stream<Item = A> + Send + 'static,
    {
        let (queue, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(gather(waiting, send));
        Self(queue)
    }

    /// Sends an item of this size with the next batch, and waits for its answer.
    pub(super) async fn submit(&self, item: I, bytes: usize) -> Option<A> {
        let (tell, told) = oneshot::channel();
        self.0.send(Waiting { item, bytes, tell }).await.ok()?;
        told.await.ok()
    }
}

async fn gather<I, A, S>(mut queue: mpsc::Receiver<Waiting<I, A>>, send: impl Fn(Vec<I>) -> S)
where
    A: Send + 'static,
    S: Stream<Item = A> + Send + 'static,
{
    while let Some((items, callers)) = next(&mut queue).await {
        let answered = tokio::spawn(answer(send(items), callers));
        // Answered or not, the next one goes.
        let _ = timeout(LONGEST_WAIT, answered).await;
    }
}

/// Everything that waits, as far as it fits one batch; nothing once nobody can submit any more.
async fn next<I, A>(queue: &mut mpsc::Receiver<Waiting<I, A>>) -> Option<(Vec<I>, Vec<oneshot::Sender<A>>)> {
    let (mut items, mut callers) = (Vec::new(), Vec::new());
    let mut bytes: usize = 0;
    let mut waiting = queue.recv().await;
    while let Some(first) = waiting {
        bytes = bytes.saturating_add(first.bytes);
        items.push(first.item);
        callers.push(first.tell);
        let is_full = items.len() >= MAX_ITEMS || bytes >= MAX_BYTES;
        waiting = if is_full { None } else { queue.try_recv().ok() };
    }
    (!items.is_empty()).then_some((items, callers))
}

async fn answer<A>(answers: impl Stream<Item = A>, callers: Vec<oneshot::Sender<A>>) {
    let mut answers = pin!(answers);
    for tell in callers {
        let Some(answer) = answers.next().await else { return };
        // Whoever asked may have given up.
        let _ = tell.send(answer);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::future::join_all;
    use futures::{FutureExt, stream};
    use parking_lot::Mutex;
    use tokio::sync::Notify;

    use super::*;

    /// Batches that wait for a sign before they are answered, and what they held.
    #[derive(Default)]
    struct Sent {
        batches: Mutex<Vec<Vec<u64>>>,
        go: Notify,
    }

    fn batches(sent: &Arc<Sent>) -> Batches<u64, u64> {
        let sent = Arc::clone(sent);
        Batches::sent_by(move |items: Vec<u64>| {
            sent.batches.lock().push(items.clone());
            let sent = Arc::clone(&sent);
            async move {
                sent.go.notified().await;
                stream::iter(items.into_iter().map(|item| item * 10))
            }
            .flatten_stream()
        })
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_while_a_batch_is_under_way_goes_together() {
        let sent = Arc::<Sent>::default();
        let batches = batches(&sent);
        let first = batches.submit(1, 1);
        let rest = async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            join_all((2..=9).map(|item| batches.submit(item, 1))).await
        };
        let signs = async {
            tokio::time::sleep(Duration::from_millis(2)).await;
            assert_eq!(*sent.batches.lock(), [[1]]);
            for _ in 0..2 {
                sent.go.notify_one();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let (first, rest, ()) = tokio::join!(first, rest, signs);
        assert_eq!(first, Some(10));
        assert_eq!(rest, (2..=9).map(|item| Some(item * 10)).collect::<Vec<_>>());
        assert_eq!(*sent.batches.lock(), [vec![1], (2..=9).collect()]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_that_is_held_up_does_not_hold_up_the_next() {
        let sent = Arc::<Sent>::default();
        let batches = Arc::new(batches(&sent));
        for item in 1..=2 {
            let batches = Arc::clone(&batches);
            tokio::spawn(async move { batches.submit(item, 1).await });
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(sent.batches.lock().len(), 1);
        tokio::time::sleep(LONGEST_WAIT).await;
        assert_eq!(sent.batches.lock().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_has_a_bound_of_items_and_of_bytes() {
        let sent = Arc::<Sent>::default();
        let batches = batches(&sent);
        let items = join_all((0..6).map(|item| batches.submit(item, MAX_BYTES / 2)));
        let signs = async {
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_millis(1)).await;
                sent.go.notify_one();
            }
        };
        assert_eq!(tokio::join!(items, signs).0.len(), 6);
        assert_eq!(*sent.batches.lock(), [[0, 1], [2, 3], [4, 5]]);
    }

    #[tokio::test]
    async fn what_is_not_answered_ends_without_an_answer() {
        let one_answer = |items: Vec<u64>| stream::iter(items.into_iter().take(1));
        let batches = Batches::sent_by(one_answer);
        let answers = join_all((0..3).map(|item| batches.submit(item, 1))).await;
        assert_eq!(answers, [Some(0), None, None]);
    }
}
