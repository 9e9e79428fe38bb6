//! Bodies that are waited for: so many of all senders, so many of one network. Where there is no place left, it is the network with most
//! that gives one, the one that it has waited for longest: whoever sends many heads and no bodies is in the way of no other.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use crate::limits::network_of;

/// What one site has of IPv6 at most (RFC 6177), in bits: any number of networks in it costs nothing.
const V6_PREFIX_BITS: u32 = 48;

/// The places, and who has them.
#[derive(Debug)]
pub(super) struct Waiting {
    all_max: usize,
    of_network_max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    count: usize,
    /// Of the last place.
    number: u64,
    /// The places of each network that has any, by their numbers; whoever's sender is gone has lost theirs.
    of: HashMap<Option<IpAddr>, VecDeque<(u64, oneshot::Sender<()>)>>,
}

/// A place; it is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Place<'a> {
    of: &'a Waiting,
    network: Option<IpAddr>,
    number: u64,
    kept: oneshot::Receiver<()>,
}

impl Waiting {
    pub(super) fn new(all_max: usize, of_network_max: usize) -> Self {
        Self { all_max: all_max.max(1), of_network_max, state: Mutex::default() }
    }

    /// A place for a body from this address; none where its network has as many as it may. Those without an address count as one network
    /// that may have all.
    pub(super) fn take(&self, from: Option<IpAddr>) -> Option<Place<'_>> {
        let network = from.map(|address| network_of(address, V6_PREFIX_BITS));
        let mut state = self.state();
        let own = state.of.get(&network).map_or(0, VecDeque::len);
        if network.is_some() && own >= self.of_network_max {
            return None;
        }
        if state.count >= self.all_max {
            state.take_of_most();
        }
        let (keep, kept) = oneshot::channel();
        state.count += 1;
        state.number += 1;
        let number = state.number;
        state.of.entry(network).or_default().push_back((number, keep));
        Some(Place { of: self, network, number, kept })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes the place of whoever has waited longest in the network that has most.
    fn take_of_most(&mut self) {
        let oldest =
            |places: &VecDeque<(u64, _)>| std::cmp::Reverse(places.front().map(|(number, _)| *number));
        let most = self.of.iter().max_by_key(|(_, places)| (places.len(), oldest(places)));
        if let Some((network, number)) =
            most.and_then(|(network, places)| Some((*network, places.front()?.0)))
        {
            self.remove(network, number);
        }
    }

    /// Takes a place away, unless it has been taken already.
    fn remove(&mut self, network: Option<IpAddr>, number: u64) {
        let Some(places) = self.of.get_mut(&network) else { return };
        if let Ok(at) = places.binary_search_by_key(&number, |(number, _)| *number) {
            places.remove(at);
            self.count = self.count.saturating_sub(1);
        }
        if places.is_empty() {
            self.of.remove(&network);
        }
    }
}

impl Place<'_> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn from(address: &str) -> Option<IpAddr> {
        Some(address.parse().unwrap())
    }

    fn is_lost(place: &mut Place<'_>) -> bool {
        matches!(place.kept.try_recv(), Err(oneshot::error::TryRecvError::Closed))
    }

    #[test]
    fn a_network_has_so_many_and_what_it_gives_back() {
        let waiting = Waiting::new(100, 2);
        for (first, same, other) in [
            ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"),
            ("2001:db8:1::1", "2001:db8:1:ffff::2", "2001:db8:2::1"),
        ] {
            let held = [waiting.take(from(first)).unwrap(), waiting.take(from(same)).unwrap()];
            assert!(waiting.take(from(first)).is_none() && waiting.take(from(same)).is_none(), "{first}");
            assert!(waiting.take(from(other)).is_some(), "{first}");
            drop(held);
            assert!(waiting.take(from(first)).is_some(), "{first}");
        }
        assert!(
            waiting.state().of.is_empty() && waiting.state().count == 0,
            "who holds none takes no memory"
        );
    }

    #[test]
    fn immunity_28_where_no_place_is_left_the_network_with_most_gives_the_one_that_waited_longest() {
        let waiting = Waiting::new(4, 3);
        let mut quiet = waiting.take(from("192.0.2.9")).unwrap();
        let mut loud: Vec<_> = (0..3).map(|_| waiting.take(from("2001:db8::1")).unwrap()).collect();
        let mut fresh = waiting.take(from("192.0.2.1")).unwrap();
        let lost: Vec<bool> = loud.iter_mut().map(is_lost).collect();
        assert_eq!(lost, [true, false, false]);
        let mut more = waiting.take(from("192.0.2.2")).unwrap();
        assert!(is_lost(&mut loud[1]) && !is_lost(&mut loud[2]));
        // Of those who have one each it is the one who has waited longest.
        let last = waiting.take(from("192.0.2.3")).unwrap();
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
        let waiting = Waiting::new(1, 1);
        let mut first = waiting.take(None).unwrap();
        let _second = waiting.take(from("192.0.2.1")).unwrap();
        first.lost().await;
    }
}
