//! Things that are handed over in batches, never on the way of whoever has them.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use metrics::Counter;
use tokio::sync::{
    Notify,
    mpsc::{Receiver, Sender, channel},
    oneshot,
};

use crate::caught;

/// Most things of one batch.
const BATCH_MAX: usize = 512;
/// How long a batch may wait for company: who asks for what is in it looks once more after that. A process that sleeps between two
/// requests has its timer set anew each time where one is nearer than the system's own tick, a few milliseconds, and on virtual machines
/// that costs some microseconds.
pub const BATCH_WAIT: Duration = Duration::from_millis(50);

/// What goes to the hand that carries batches over.
enum Order<T> {
    Carry(T),
    /// Answered when all before it is handed over.
    Flush(oneshot::Sender<()>),
}

/// Takes things without waiting. What does not fit, and what could not be handed over, is dropped and counted.
pub struct Batches<T> {
    orders: Sender<Order<T>>,
    /// Ends a wait, where somebody waits for the hand or the queue fills up.
    hurry: Arc<Notify>,
    dropped: Counter,
}

impl<T> Clone for Batches<T> {
    fn clone(&self) -> Self {
        Self { orders: self.orders.clone(), hurry: Arc::clone(&self.hurry), dropped: self.dropped.clone() }
    }
}

impl<T> fmt::Debug for Batches<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Batches")
    }
}

impl<T: Send + 'static> Batches<T> {
    /// Starts the hand that carries batches over, until the last of these is gone. At most `queue_max` wait. `hand_over` says how many
    /// of a batch were lost; these, and what does not fit, count in the metric `dropped`. Needs a Tokio runtime.
    pub fn start<F>(
        queue_max: usize,
        dropped: &'static str,
        hand_over: impl Fn(Vec<T>) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = usize> + Send + 'static,
    {
        let (orders, receiver) = channel(queue_max.max(1));
        let (hurry, dropped) = (Arc::new(Notify::new()), metrics::counter!(dropped));
        tokio::spawn(carry_all(receiver, Arc::clone(&hurry), dropped.clone(), hand_over));
        Self { orders, hurry, dropped }
    }

    /// Takes one.
    pub fn take(&self, thing: T) {
        if self.orders.try_send(Order::Carry(thing)).is_err() {
            self.dropped.increment(1);
        }
        // Of a queue for one thing as well, which is full at once.
        if self.orders.capacity() <= self.orders.max_capacity() / 2 {
            self.hurry.notify_one();
        }
    }

    /// Waits until all that was taken before is handed over, or could not be.
    pub async fn flush(&self) {
        let (done, handed_over) = oneshot::channel();
        if self.orders.send(Order::Flush(done)).await.is_ok() {
            self.hurry.notify_one();
            // The hand is gone only when the process ends.
            let _ = handed_over.await;
        }
    }
}

async fn carry_all<T, F>(
    mut orders: Receiver<Order<T>>,
    hurry: Arc<Notify>,
    dropped: Counter,
    hand_over: impl Fn(Vec<T>) -> F,
) where
    F: Future<Output = usize>,
{
    let mut taken = Vec::with_capacity(BATCH_MAX);
    while orders.recv_many(&mut taken, BATCH_MAX).await > 0 {
        let is_full = taken.len() == BATCH_MAX;
        let (mut batch, mut waiting) = (Vec::with_capacity(taken.len()), Vec::new());
        for order in taken.drain(..) {
            match order {
                Order::Carry(thing) => batch.push(thing),
                Order::Flush(done) => waiting.push(done),
            }
        }
        if !batch.is_empty() {
            let count = batch.len();
            // A panic loses its batch and nothing that comes later.
            let lost = caught("the hand that carries batches over", hand_over(batch)).await;
            dropped.increment(lost.unwrap_or(count) as u64);
        }
        // Whoever waited may have gone.
        for done in waiting {
            let _ = done.send(());
        }
        // Of a full one the rest may wait already.
        if !is_full {
            let _ = tokio::time::timeout(BATCH_WAIT, hurry.notified()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::telemetry::names;

    /// Batches whose things come to lie in a list.
    fn into(queue_max: usize) -> (Batches<usize>, Arc<Mutex<Vec<usize>>>) {
        let handed_over = Arc::new(Mutex::new(Vec::new()));
        let there = Arc::clone(&handed_over);
        let batches = Batches::start(queue_max, names::DECISIONS_DROPPED_TOTAL, move |batch| {
            let there = Arc::clone(&there);
            async move {
                tokio::task::yield_now().await;
                there.lock().unwrap().extend(batch);
                0
            }
        });
        (batches, handed_over)
    }

    #[tokio::test]
    async fn a_flush_returns_once_all_that_was_taken_is_handed_over_in_order() {
        let (batches, handed_over) = into(3 * BATCH_MAX);
        let things: Vec<usize> = (0..2 * BATCH_MAX + 1).collect();
        things.iter().for_each(|thing| batches.take(*thing));
        batches.flush().await;
        assert_eq!(*handed_over.lock().unwrap(), things);
    }

    #[tokio::test]
    async fn a_flush_finds_room_in_a_full_queue_and_what_does_not_fit_is_dropped() {
        let (batches, handed_over) = into(1);
        batches.take(1);
        batches.take(2);
        batches.flush().await;
        assert_eq!(*handed_over.lock().unwrap(), [1]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_after_a_batch_waits_for_company_unless_the_queue_fills_up() {
        const QUEUE_MAX: usize = 100;
        let (batches, handed_over) = into(QUEUE_MAX);
        let there = || handed_over.lock().unwrap().len();
        let take = |count| (0..count).for_each(|thing| batches.take(thing));
        let moment = Duration::from_millis(1);
        take(1);
        tokio::time::sleep(moment).await;
        assert_eq!(there(), 1, "nothing was handed over before");
        take(1);
        tokio::time::sleep(BATCH_WAIT - 2 * moment).await;
        assert_eq!(there(), 1);
        tokio::time::sleep(2 * moment).await;
        assert_eq!(there(), 2);
        take(QUEUE_MAX / 2 + 1);
        tokio::time::sleep(moment).await;
        assert_eq!(there(), 2 + QUEUE_MAX / 2 + 1, "more than half of what may wait did");
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_for_one_thing_is_emptied_at_once() {
        let (batches, handed_over) = into(1);
        for thing in 0..5 {
            batches.take(thing);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(*handed_over.lock().unwrap(), [0, 1, 2, 3, 4]);
    }

    #[tokio::test]
    async fn what_does_not_fit_and_what_is_lost_on_the_way_is_counted() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let shown = || recorder.handle().render();
        let batches =
            metrics::with_local_recorder(&recorder, || {
                // Of each batch all but one thing is lost.
                Batches::start(3, names::DECISIONS_DROPPED_TOTAL, |batch: Vec<usize>| async move {
                    batch.len() - 1
                })
            });
        (0..3).for_each(|thing| batches.take(thing));
        batches.flush().await;
        assert!(shown().contains("lanyard_decisions_dropped_total 2"), "{}", shown());
        (0..5).for_each(|thing| batches.take(thing));
        batches.flush().await;
        assert!(shown().contains("lanyard_decisions_dropped_total 6"), "{}", shown());
    }

    #[tokio::test]
    async fn a_panic_on_the_way_loses_what_it_carried_and_nothing_that_comes_later() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let handed_over = Arc::new(Mutex::new(Vec::new()));
        let there = Arc::clone(&handed_over);
        let batches = metrics::with_local_recorder(&recorder, || {
            Batches::start(3, names::DECISIONS_DROPPED_TOTAL, move |batch: Vec<usize>| {
                let there = Arc::clone(&there);
                async move {
                    assert!(!batch.contains(&1), "as the test has it");
                    there.lock().unwrap().extend(batch);
                    0
                }
            })
        });
        batches.take(1);
        batches.take(2);
        batches.flush().await;
        batches.take(3);
        batches.flush().await;
        assert_eq!(*handed_over.lock().unwrap(), [3]);
        let shown = recorder.handle().render();
        assert!(shown.contains("lanyard_decisions_dropped_total 2"), "{shown}");
    }
}
