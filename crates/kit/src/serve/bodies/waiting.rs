//! Bodies that are waited for, and the bytes that are held of them and of those that have come: so many of all senders, so many of one.
//! Where there is no place or no room left, it is the sender with most who gives some, of the one that has been waited for longest, and a
//! sender who has all that they may have gives of their own: whoever sends bodies that do not end is in the way of no other, of their
//! own address neither.

use std::{
    cmp::Reverse,
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::{BodyLimits, Sender};
use crate::limits::network_of;

/// What one site has of IPv6 at most (RFC 6177), in bits: any number of networks in it costs nothing.
const V6_PREFIX_BITS: u32 = 48;

/// The places and the room, and who has them.
#[derive(Debug)]
pub(super) struct Waiting {
    all_max: usize,
    of_sender_max: usize,
    bytes_max: usize,
    sender_bytes_max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    count: usize,
    /// What is held.
    bytes: usize,
    /// Of the last place.
    number: u64,
    /// Of each sender who has any.
    of: HashMap<Sender, Share>,
}

/// What one sender has.
#[derive(Debug, Default)]
struct Share {
    bytes: usize,
    /// By their numbers.
    places: VecDeque<Kept>,
}

impl Share {
    /// Which of them has been waited for longest, of those that hold anything.
    fn longest(&self) -> Option<u64> {
        self.places.iter().find(|kept| kept.bytes > 0).map(|kept| kept.number)
    }
}

/// A place that somebody has; once this is gone they have lost it.
#[derive(Debug)]
struct Kept {
    number: u64,
    bytes: usize,
    _keep: oneshot::Sender<()>,
}

/// A place; it is given back when this is dropped, and what is held there.
#[derive(Debug)]
pub(super) struct Place<'a> {
    of: &'a Waiting,
    sender: Sender,
    number: u64,
    bytes: usize,
    kept: oneshot::Receiver<()>,
}

/// What is held of a body that has come, until this is dropped.
#[derive(Debug)]
pub struct Counted<'a> {
    of: &'a Waiting,
    sender: Sender,
    bytes: usize,
}

impl Waiting {
    pub(super) fn new(limits: &BodyLimits) -> Self {
        Self {
            all_max: limits.awaited_max.max(1),
            of_sender_max: limits.awaited_of_sender_max.max(1),
            bytes_max: limits.all_bytes_max,
            sender_bytes_max: limits.sender_bytes_max,
            state: Mutex::default(),
        }
    }

    /// A place for a body of this sender.
    pub(super) fn take(&self, sender: Sender) -> Place<'_> {
        let sender = match sender {
            Sender::At(address) => Sender::At(network_of(address, V6_PREFIX_BITS)),
            Sender::Untold | Sender::Known(_) => sender,
        };
        let mut state = self.state();
        let own = state.of.get(&sender).map_or(0, |share| share.places.len());
        if sender != Sender::Untold && own >= self.of_sender_max {
            state.end_oldest_of(sender);
        } else if state.count >= self.all_max {
            state.end_oldest_of_most();
        }
        let (keep, kept) = oneshot::channel();
        state.count += 1;
        state.number += 1;
        let number = state.number;
        let share = state.of.entry(sender).or_default();
        share.places.push_back(Kept { number, bytes: 0, _keep: keep });
        Place { of: self, sender, number, bytes: 0, kept }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is held.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.state().bytes
    }
}

impl State {
    fn end_oldest_of(&mut self, sender: Sender) {
        let oldest = self.of.get(&sender).and_then(|share| share.places.front()).map(|kept| kept.number);
        if let Some(number) = oldest {
            self.remove(sender, number);
        }
    }

    /// Takes the place that the sender with most has had for longest.
    fn end_oldest_of_most(&mut self) {
        let oldest = |share: &Share| Reverse(share.places.front().map(|kept| kept.number));
        let most = self.of.iter().max_by_key(|(_, share)| (share.places.len(), oldest(share)));
        if let Some(sender) = most.map(|(sender, _)| *sender) {
            self.end_oldest_of(sender);
        }
    }

    /// Which has been waited for longest, of those of the sender who holds most that hold anything.
    fn longest_of_most_bytes(&self) -> Option<(Sender, u64)> {
        let waiting = self
            .of
            .iter()
            .filter_map(|(sender, share)| Some((share.bytes, Reverse(share.longest()?), *sender)));
        let most = waiting.max_by_key(|(bytes, number, _)| (*bytes, *number));
        most.map(|(_, Reverse(number), sender)| (sender, number))
    }

    fn kept(&mut self, sender: Sender, number: u64) -> Option<&mut Kept> {
        let places = &mut self.of.get_mut(&sender)?.places;
        let at = places.binary_search_by_key(&number, |kept| kept.number).ok()?;
        places.get_mut(at)
    }

    fn add(&mut self, sender: Sender, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
        let share = self.of.entry(sender).or_default();
        share.bytes = share.bytes.saturating_add(bytes);
    }

    fn give_back(&mut self, sender: Sender, bytes: usize) {
        let Some(share) = self.of.get_mut(&sender) else { return };
        self.bytes = self.bytes.saturating_sub(bytes);
        share.bytes = share.bytes.saturating_sub(bytes);
        if share.bytes == 0 && share.places.is_empty() {
            self.of.remove(&sender);
        }
    }

    /// Takes a place away with what is held there, unless it has been taken already.
    fn remove(&mut self, sender: Sender, number: u64) {
        let Some(places) = self.of.get_mut(&sender).map(|share| &mut share.places) else { return };
        let Ok(at) = places.binary_search_by_key(&number, |kept| kept.number) else { return };
        let bytes = places.remove(at).map_or(0, |kept| kept.bytes);
        self.count = self.count.saturating_sub(1);
        self.give_back(sender, bytes);
    }
}

impl<'a> Place<'a> {
    /// Whether there is room for so many bytes of this body in all, where others have given some. It has waited longest itself where not,
    /// or has lost its place.
    pub(super) fn holds(&mut self, bytes: usize) -> bool {
        let mut state = self.of.state();
        // Who has no place takes nothing of others for it.
        if state.kept(self.sender, self.number).is_none() {
            return false;
        }
        let more = bytes.saturating_sub(self.bytes);
        loop {
            let own = state.of.get(&self.sender);
            let longest = if own.is_some_and(|own| own.bytes.saturating_add(more) > self.of.sender_bytes_max)
            {
                own.and_then(Share::longest).map(|number| (self.sender, number))
            } else if state.bytes.saturating_add(more) > self.of.bytes_max {
                state.longest_of_most_bytes()
            } else {
                break;
            };
            match longest {
                Some((sender, number)) if number != self.number => state.remove(sender, number),
                Some(_) | None => return false,
            }
        }
        let Some(kept) = state.kept(self.sender, self.number) else { return false };
        kept.bytes = kept.bytes.saturating_add(more);
        state.add(self.sender, more);
        self.bytes = bytes;
        true
    }

    /// What is held of it from now on, where that counts: it has come, and nobody waits for it.
    pub(super) fn has_come(mut self) -> Option<Counted<'a>> {
        // Given back by what is made of it, not by the place.
        let (of, sender, bytes) = (self.of, self.sender, std::mem::take(&mut self.bytes));
        if bytes == 0 {
            return None;
        }
        let mut state = of.state();
        // Also where the place was lost just now: it is all there.
        state.remove(sender, self.number);
        state.add(sender, bytes);
        drop(state);
        Some(Counted { of, sender, bytes })
    }

    /// Returns once somebody else has this place.
    pub(super) async fn lost(&mut self) {
        // Nothing is ever sent: the other end is gone.
        let _ = (&mut self.kept).await;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.of.state().remove(self.sender, self.number);
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.of.state().give_back(self.sender, self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn from(address: &str) -> Sender {
        Sender::At(address.parse().unwrap())
    }

    fn waiting(awaited_max: usize, awaited_of_sender_max: usize) -> Waiting {
        waiting_of(awaited_max, awaited_of_sender_max, 100)
    }

    fn waiting_of(awaited_max: usize, awaited_of_sender_max: usize, sender_bytes_max: usize) -> Waiting {
        Waiting::new(&BodyLimits {
            bytes_max: 100,
            all_bytes_max: 100,
            sender_bytes_max,
            time_max: Duration::from_secs(1),
            awaited_max,
            awaited_of_sender_max,
        })
    }

    fn is_lost(place: &mut Place<'_>) -> bool {
        matches!(place.kept.try_recv(), Err(oneshot::error::TryRecvError::Closed))
    }

    #[test]
    fn immunity_28_a_network_has_so_many_and_gives_its_own_oldest_for_one_more() {
        let waiting = waiting(100, 2);
        for (first, same, other) in [
            ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"),
            ("2001:db8:1::1", "2001:db8:1:ffff::2", "2001:db8:2::1"),
        ] {
            let mut held = [waiting.take(from(first)), waiting.take(from(same))];
            let others = waiting.take(from(other));
            assert!(!is_lost(&mut held[0]) && !is_lost(&mut held[1]), "{first}");
            let more = waiting.take(from(same));
            assert!(is_lost(&mut held[0]) && !is_lost(&mut held[1]), "{first}");
            drop((held, others, more));
        }
        assert!(
            waiting.state().of.is_empty() && waiting.state().count == 0,
            "who holds none takes no memory"
        );
    }

    #[test]
    fn immunity_28_where_no_room_is_left_the_network_with_most_gives_what_it_has_waited_for_longest() {
        let waiting = waiting(10, 10);
        let mut empty = waiting.take(from("192.0.2.1"));
        let mut loud: Vec<_> = (0..3).map(|_| waiting.take(from("192.0.2.1"))).collect();
        assert!(loud.iter_mut().all(|place| place.holds(30)));
        let mut quiet = waiting.take(from("192.0.2.2"));
        assert!(quiet.holds(10) && quiet.holds(20));
        let lost: Vec<bool> = loud.iter_mut().map(is_lost).collect();
        assert_eq!((lost, is_lost(&mut empty)), (vec![true, false, false], false));
        assert_eq!(waiting.bytes(), 80);
        // What has come is nobody's to take, and whoever has waited longest takes nothing of others.
        let quiet = quiet.has_come().unwrap();
        assert!(!loud[1].holds(51) && !loud[0].holds(1));
        assert!(loud[2].holds(80) && is_lost(&mut loud[1]));
        assert!(!loud[2].holds(81));
        drop((empty, loud, quiet));
        assert!(waiting.state().of.is_empty() && waiting.bytes() == 0, "what is held is given back once");
    }

    #[test]
    fn immunity_28_who_has_lost_their_place_takes_nothing_of_others() {
        let waiting = waiting(10, 10);
        let mut all = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(|address| waiting.take(from(address)));
        let [first, second, third] = &mut all;
        assert!(first.holds(50) && second.holds(50) && third.holds(50));
        assert!(is_lost(first) && !first.holds(51) && !is_lost(second) && !is_lost(third));
        assert_eq!(waiting.bytes(), 100);
    }

    #[test]
    fn immunity_28_a_sender_has_so_much_and_gives_of_their_own_for_more() {
        let waiting = waiting_of(10, 10, 40);
        let mut others = waiting.take(Sender::Known(2));
        assert!(others.holds(40));
        let mut own = [(); 3].map(|()| waiting.take(Sender::Known(1)));
        assert!(own[0].holds(20) && own[1].holds(20));
        assert!(own[2].holds(20) && is_lost(&mut own[0]) && !is_lost(&mut own[1]) && !is_lost(&mut others));
        let [_, second, third] = own;
        let come = second.has_come().unwrap();
        // What has come is of their own too, and is not taken away.
        let mut third = third;
        assert!(!third.holds(21) && !is_lost(&mut others));
        drop(come);
        assert!(third.holds(40) && !others.holds(41));
    }

    #[test]
    fn a_body_that_has_come_counts_although_its_place_was_lost_just_then() {
        let waiting = waiting(1, 1);
        let mut first = waiting.take(Sender::Untold);
        assert!(first.holds(60));
        let _second = waiting.take(from("192.0.2.1"));
        assert_eq!(waiting.bytes(), 0);
        let come = first.has_come().unwrap();
        assert_eq!(waiting.bytes(), 60);
        drop(come);
        assert_eq!(waiting.bytes(), 0);
    }

    #[test]
    fn immunity_28_where_no_place_is_left_the_network_with_most_gives_the_one_that_waited_longest() {
        let waiting = waiting(4, 3);
        let mut quiet = waiting.take(from("192.0.2.9"));
        let mut loud: Vec<_> = (0..3).map(|_| waiting.take(from("2001:db8::1"))).collect();
        let mut fresh = waiting.take(from("192.0.2.1"));
        let lost: Vec<bool> = loud.iter_mut().map(is_lost).collect();
        assert_eq!(lost, [true, false, false]);
        let mut more = waiting.take(from("192.0.2.2"));
        assert!(is_lost(&mut loud[1]) && !is_lost(&mut loud[2]));
        // Of those who have one each it is the one who has waited longest.
        let last = waiting.take(from("192.0.2.3"));
        assert!(is_lost(&mut quiet) && !is_lost(&mut fresh) && !is_lost(&mut more) && !is_lost(&mut loud[2]));
        assert_eq!(waiting.state().count, 4);
        drop((quiet, loud, fresh, more, last));
        assert!(
            waiting.state().of.is_empty() && waiting.state().count == 0,
            "what was lost is given back once"
        );
    }

    #[tokio::test]
    async fn whoever_loses_a_place_is_told() {
        let waiting = waiting(1, 1);
        let mut first = waiting.take(Sender::Untold);
        let _second = waiting.take(from("192.0.2.1"));
        first.lost().await;
    }
}
