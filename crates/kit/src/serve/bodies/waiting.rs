//! Bodies that are waited for, and the bytes that are held of them and of those that have come: so many of all senders, so many of one
//! network. Where there is no place or no room left, it is the network with most that gives some, of the one that it has waited for
//! longest, and a network that has all that it may have gives its own: whoever sends bodies that do not end is in the way of no other,
//! of their own address neither.

use std::{
    cmp::Reverse,
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::BodyLimits;
use crate::limits::network_of;

/// What one site has of IPv6 at most (RFC 6177), in bits: any number of networks in it costs nothing.
const V6_PREFIX_BITS: u32 = 48;

/// The places and the room, and who has them.
#[derive(Debug)]
pub(super) struct Waiting {
    all_max: usize,
    of_network_max: usize,
    bytes_max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    count: usize,
    /// What is held.
    bytes: usize,
    /// Of the last place.
    number: u64,
    /// Of each network that has any.
    of: HashMap<Option<IpAddr>, Share>,
}

/// What one network has.
#[derive(Debug, Default)]
struct Share {
    bytes: usize,
    /// By their numbers.
    places: VecDeque<Kept>,
}

/// A place of which somebody knows; once its sender is gone they have lost it.
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
    network: Option<IpAddr>,
    number: u64,
    bytes: usize,
    kept: oneshot::Receiver<()>,
}

/// What is held of a body that has come, until this is dropped.
#[derive(Debug)]
pub(super) struct Counted<'a> {
    of: &'a Waiting,
    network: Option<IpAddr>,
    bytes: usize,
}

impl Waiting {
    pub(super) fn new(limits: &BodyLimits) -> Self {
        Self {
            all_max: limits.awaited_max.max(1),
            of_network_max: limits.awaited_of_network_max.max(1),
            bytes_max: limits.all_bytes_max,
            state: Mutex::default(),
        }
    }

    /// A place for a body from this address. Those without an address count as one network that may have all.
    pub(super) fn take(&self, from: Option<IpAddr>) -> Place<'_> {
        let network = from.map(|address| network_of(address, V6_PREFIX_BITS));
        let mut state = self.state();
        let own = state.of.get(&network).map_or(0, |share| share.places.len());
        if network.is_some() && own >= self.of_network_max {
            state.end_oldest_of(network);
        } else if state.count >= self.all_max {
            state.end_oldest_of_most();
        }
        let (keep, kept) = oneshot::channel();
        state.count += 1;
        state.number += 1;
        let number = state.number;
        let share = state.of.entry(network).or_default();
        share.places.push_back(Kept { number, bytes: 0, _keep: keep });
        Place { of: self, network, number, bytes: 0, kept }
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
    fn end_oldest_of(&mut self, network: Option<IpAddr>) {
        let oldest = self.of.get(&network).and_then(|share| share.places.front()).map(|kept| kept.number);
        if let Some(number) = oldest {
            self.remove(network, number);
        }
    }

    /// Takes the place of whoever has waited longest in the network that has most.
    fn end_oldest_of_most(&mut self) {
        let oldest = |share: &Share| Reverse(share.places.front().map(|kept| kept.number));
        let most = self.of.iter().max_by_key(|(_, share)| (share.places.len(), oldest(share)));
        if let Some(network) = most.map(|(network, _)| *network) {
            self.end_oldest_of(network);
        }
    }

    /// Who has waited longest, of those that hold anything of the network that holds most of such.
    fn longest_of_most_bytes(&self) -> Option<(Option<IpAddr>, u64)> {
        let waiting = self.of.iter().filter_map(|(network, share)| {
            let number = share.places.iter().find(|kept| kept.bytes > 0)?.number;
            Some((share.bytes, Reverse(number), *network))
        });
        let most = waiting.max_by_key(|(bytes, number, _)| (*bytes, *number));
        most.map(|(_, Reverse(number), network)| (network, number))
    }

    fn kept(&mut self, network: Option<IpAddr>, number: u64) -> Option<&mut Kept> {
        let places = &mut self.of.get_mut(&network)?.places;
        let at = places.binary_search_by_key(&number, |kept| kept.number).ok()?;
        places.get_mut(at)
    }

    fn add(&mut self, network: Option<IpAddr>, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
        let share = self.of.entry(network).or_default();
        share.bytes = share.bytes.saturating_add(bytes);
    }

    fn give_back(&mut self, network: Option<IpAddr>, bytes: usize) {
        let Some(share) = self.of.get_mut(&network) else { return };
        self.bytes = self.bytes.saturating_sub(bytes);
        share.bytes = share.bytes.saturating_sub(bytes);
        if share.bytes == 0 && share.places.is_empty() {
            self.of.remove(&network);
        }
    }

    /// Takes a place away with what is held there, unless it has been taken already.
    fn remove(&mut self, network: Option<IpAddr>, number: u64) {
        let Some(places) = self.of.get_mut(&network).map(|share| &mut share.places) else { return };
        let Ok(at) = places.binary_search_by_key(&number, |kept| kept.number) else { return };
        let bytes = places.remove(at).map_or(0, |kept| kept.bytes);
        self.count = self.count.saturating_sub(1);
        self.give_back(network, bytes);
    }
}

impl<'a> Place<'a> {
    /// Whether there is room for so many bytes of this body in all, where others have given some. It has waited longest itself where not,
    /// or has lost its place.
    pub(super) fn holds(&mut self, bytes: usize) -> bool {
        let mut state = self.of.state();
        let more = bytes.saturating_sub(self.bytes);
        while state.bytes.saturating_add(more) > self.of.bytes_max {
            match state.longest_of_most_bytes() {
                Some((network, number)) if number != self.number => state.remove(network, number),
                Some(_) | None => return false,
            }
        }
        let Some(kept) = state.kept(self.network, self.number) else { return false };
        kept.bytes = kept.bytes.saturating_add(more);
        state.add(self.network, more);
        self.bytes = bytes;
        true
    }

    /// What is held of it from now on, where that counts: it has come, and nobody waits for it.
    pub(super) fn has_come(mut self) -> Option<Counted<'a>> {
        // Given back by what is made of it, not by the place.
        let (of, network, bytes) = (self.of, self.network, std::mem::take(&mut self.bytes));
        if bytes == 0 {
            return None;
        }
        let mut state = of.state();
        // Also where the place was lost just now: it is all there.
        state.remove(network, self.number);
        state.add(network, bytes);
        drop(state);
        Some(Counted { of, network, bytes })
    }

    /// Returns once somebody else has this place.
    pub(super) async fn lost(&mut self) {
        // Nothing is ever sent: the sender is gone.
        let _ = (&mut self.kept).await;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.of.state().remove(self.network, self.number);
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.of.state().give_back(self.network, self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn from(address: &str) -> Option<IpAddr> {
        Some(address.parse().unwrap())
    }

    fn waiting(awaited_max: usize, awaited_of_network_max: usize) -> Waiting {
        Waiting::new(&BodyLimits {
            bytes_max: 100,
            all_bytes_max: 100,
            time_max: Duration::from_secs(1),
            awaited_max,
            awaited_of_network_max,
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
    fn a_body_that_has_come_counts_although_its_place_was_lost_just_then() {
        let waiting = waiting(1, 1);
        let mut first = waiting.take(None);
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
        let mut first = waiting.take(None);
        let _second = waiting.take(from("192.0.2.1"));
        first.lost().await;
    }
}
