//! Whose turn it is where only so many questions may be under way: of those who wait it is the turn of whoever holds fewest, and then
//! of whoever has not had one for longest, so that a namespace that asks much waits for its own, and no other for it.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

/// The slots of one API server.
pub(super) struct Slots {
    of_one_max: usize,
    waiting_max: usize,
    state: Mutex<State>,
}

struct State {
    free: usize,
    waiting: usize,
    /// Counts those who come and those who are served.
    number: u64,
    /// Those that hold a slot or wait for one.
    of: HashMap<Arc<str>, Of>,
}

/// What one namespace has.
#[derive(Default)]
struct Of {
    held: usize,
    /// The number of the last slot that it was given; 0 before the first.
    served: u64,
    waiting: VecDeque<(u64, oneshot::Sender<Slot>)>,
}

/// One slot; it is given back when this is dropped.
pub(super) struct Slot {
    /// None of one that nobody took.
    of: Option<Arc<Slots>>,
    namespace: Arc<str>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(of) = self.of.take() {
            of.give_back(&self.namespace);
        }
    }
}

impl Slots {
    /// So many slots, of which one namespace holds at most a part, and so many who may wait for one.
    pub(super) fn new(all_max: usize, of_one_max: usize, waiting_max: usize) -> Arc<Self> {
        let state = State { free: all_max, waiting: 0, number: 0, of: HashMap::new() };
        Arc::new(Self { of_one_max, waiting_max, state: Mutex::new(state) })
    }

    /// A slot for a namespace, once it is its turn; none where too many wait.
    pub(super) async fn take(self: &Arc<Self>, namespace: &str) -> Option<Slot> {
        let turn = self.line_up(namespace)?;
        turn.await.ok()
    }

    /// Lines up behind those of the same namespace. Where no more may wait, it is the last in the longest line who goes.
    fn line_up(self: &Arc<Self>, namespace: &str) -> Option<oneshot::Receiver<Slot>> {
        let mut state = self.state();
        if state.waiting >= self.waiting_max && !state.make_place_for(namespace) {
            return None;
        }
        let (hand_over, turn) = oneshot::channel();
        state.number += 1;
        state.waiting += 1;
        let number = state.number;
        state.of.entry(Arc::from(namespace)).or_default().waiting.push_back((number, hand_over));
        self.hand_out(&mut state);
        Some(turn)
    }

    fn give_back(self: &Arc<Self>, namespace: &str) {
        let mut state = self.state();
        state.free += 1;
        if let Some(of) = state.of.get_mut(namespace) {
            of.held = of.held.saturating_sub(1);
        }
        self.hand_out(&mut state);
        state.of.retain(|_, of| of.held > 0 || !of.waiting.is_empty());
    }

    /// Gives what is free to whoever holds fewest, of several to the one who was served longest ago, and of new ones to the first.
    fn hand_out(self: &Arc<Self>, state: &mut State) {
        let State { free, waiting, number: last, of: all } = state;
        while *free > 0 {
            let first = |of: &Of| of.waiting.front().map(|(number, _)| *number);
            let next = all
                .iter_mut()
                .filter(|(_, of)| of.held < self.of_one_max)
                .filter_map(|(namespace, of)| first(of).map(move |number| (number, namespace, of)))
                .min_by_key(|(number, _, of)| (of.held, of.served, *number));
            let Some((_, namespace, of)) = next else { return };
            let Some((_, hand_over)) = of.waiting.pop_front() else { return };
            *waiting = waiting.saturating_sub(1);
            let slot = Slot { of: Some(Arc::clone(self)), namespace: Arc::clone(namespace) };
            match hand_over.send(slot) {
                Ok(()) => {
                    *last += 1;
                    of.served = *last;
                    of.held += 1;
                    *free -= 1;
                }
                // Whoever waited has gone. The state is locked here, so that this one must not give itself back.
                Err(mut slot) => slot.of = None,
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether there is a place to wait now: of those who have gone, or of the longest line if it is longer than the namespace's own.
    fn make_place_for(&mut self, namespace: &str) -> bool {
        let mut gone = 0;
        for of in self.of.values_mut() {
            let before = of.waiting.len();
            of.waiting.retain(|(_, hand_over)| !hand_over.is_closed());
            gone += before - of.waiting.len();
        }
        self.waiting = self.waiting.saturating_sub(gone);
        if gone > 0 {
            return true;
        }
        let own = self.of.get(namespace).map_or(0, |of| of.waiting.len());
        let longest = self.of.values_mut().max_by_key(|of| of.waiting.len());
        let Some(longest) = longest.filter(|of| of.waiting.len() > own + 1) else { return false };
        longest.waiting.pop_back();
        self.waiting = self.waiting.saturating_sub(1);
        true
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    /// What has come of lining up.
    fn come(turn: &mut oneshot::Receiver<Slot>) -> Option<Slot> {
        turn.try_recv().ok()
    }

    #[tokio::test]
    async fn one_namespace_holds_a_part_and_gives_back_what_it_holds() {
        let slots = Slots::new(4, 2, 8);
        let held: Vec<_> = (0..2).map(|_| slots.take("loud").now_or_never().flatten().unwrap()).collect();
        let mut third = slots.line_up("loud").unwrap();
        assert!(come(&mut third).is_none(), "it waits for its own");
        let other = slots.take("quiet").now_or_never().flatten();
        assert!(other.is_some(), "and no other for it");
        drop(held);
        assert!(come(&mut third).is_some());
        drop((third, other));
        let state = slots.state();
        assert_eq!((state.free, state.waiting, state.of.len()), (4, 0, 0), "who holds none takes no memory");
    }

    #[tokio::test]
    async fn immunity_28_whoever_has_none_is_next_however_many_others_wait() {
        for noisy in [2, 3, 10, 50] {
            let slots = Slots::new(8, 4, 1_000);
            let mut lines: Vec<_> = (0..10)
                .flat_map(|_| 0..noisy)
                .map(|number| slots.line_up(&format!("noisy-{number}")).unwrap())
                .collect();
            let held: Vec<Slot> = lines.iter_mut().filter_map(come).collect();
            assert_eq!(held.len(), 8, "{noisy}");
            let mut quiet = slots.line_up("quiet").unwrap();
            let (mut held, mut released) = (VecDeque::from(held), 0);
            let got = loop {
                drop(held.pop_front());
                released += 1;
                if let Some(slot) = come(&mut quiet) {
                    break slot;
                }
                held.extend(lines.iter_mut().filter_map(come));
            };
            // Of many noisy ones most have had none themselves, and were there before.
            assert!(released <= noisy, "{noisy}: {released}");
            drop((got, held, lines));
            assert_eq!(slots.state().free, 8, "{noisy}");
        }
    }

    #[tokio::test]
    async fn a_full_line_takes_whoever_waits_least_and_who_has_gone_is_in_nobodys_way() {
        let slots = Slots::new(1, 1, 3);
        let held = slots.take("loud").now_or_never().flatten();
        let mut lines: Vec<_> = (0..3).map(|_| slots.line_up("loud").unwrap()).collect();
        assert!(slots.line_up("loud").is_none(), "one more of the longest line");
        let mut quiet = slots.line_up("quiet").unwrap();
        let last = lines.pop().unwrap();
        assert!(last.await.is_err(), "the last of the longest line has gone");
        drop(lines);
        drop(held);
        let slot = come(&mut quiet);
        assert!(slot.is_some());
        assert!(slots.line_up("loud").is_some());
        drop((slot, quiet));
        assert!(
            slots.take("loud").now_or_never().flatten().is_some(),
            "the turn of those who went has passed"
        );
    }
}
