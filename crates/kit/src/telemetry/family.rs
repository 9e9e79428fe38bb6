//! Metrics with labels of closed sets: every combination is registered at once and found again without a look-up.

use std::marker::PhantomData;
use std::time::Duration;

use metrics::{Counter, Histogram, SharedString};

/// One label: a closed enum.
///
/// ```
/// # use lanyard_kit::telemetry::{Label, names};
/// #[derive(Clone, Copy)]
/// enum Outcome { Verified, Refused, Fault }
///
/// impl Label for Outcome {
///     const KEY: &'static str = names::OUTCOME;
///     const ALL: &'static [Self] = &[Self::Verified, Self::Refused, Self::Fault];
///     fn value(self) -> &'static str {
///         match self { Self::Verified => "verified", Self::Refused => "refused", Self::Fault => "fault" }
///     }
///     fn index(self) -> usize { self as usize }
/// }
/// ```
pub trait Label: Copy + 'static {
    /// The label's name, from [`names`](super::names).
    const KEY: &'static str;
    /// Every value, in the order of [`Self::index`].
    const ALL: &'static [Self];
    /// How the value is shown.
    fn value(self) -> &'static str;
    /// Its place in [`Self::ALL`]; `self as usize` for an enum without numbers of its own.
    fn index(self) -> usize;
}

/// One label, two, or none.
pub trait Labels: Copy + 'static {
    /// Every combination, in the order of [`Self::place`].
    fn all() -> Vec<Self>;
    /// The place among them.
    fn place(self) -> usize;
    /// Names and values.
    fn pairs(self) -> Vec<(&'static str, &'static str)>;
}

impl Labels for () {
    fn all() -> Vec<Self> {
        vec![()]
    }

    fn place(self) -> usize {
        0
    }

    fn pairs(self) -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }
}

impl<A: Label> Labels for A {
    fn all() -> Vec<Self> {
        A::ALL.to_vec()
    }

    fn place(self) -> usize {
        self.index()
    }

    fn pairs(self) -> Vec<(&'static str, &'static str)> {
        vec![(A::KEY, self.value())]
    }
}

impl<A: Label, B: Label> Labels for (A, B) {
    fn all() -> Vec<Self> {
        A::ALL.iter().flat_map(|a| B::ALL.iter().map(|b| (*a, *b))).collect()
    }

    fn place(self) -> usize {
        self.0.index() * B::ALL.len() + self.1.index()
    }

    fn pairs(self) -> Vec<(&'static str, &'static str)> {
        vec![(A::KEY, self.0.value()), (B::KEY, self.1.value())]
    }
}

/// A counter for each combination of labels. Make it after [`Metrics::install`](super::Metrics::install), once.
pub struct Counters<L> {
    each: Box<[Counter]>,
    labels: PhantomData<fn(L)>,
}

impl<L: Labels> Counters<L> {
    /// Registers every combination, at zero.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self::registered(name, None)
    }

    /// The same under one value more, such as that of a cluster. The caller sees to it that there are not too many.
    #[must_use]
    pub fn of(name: &'static str, label: (&'static str, SharedString)) -> Self {
        Self::registered(name, Some(label))
    }

    fn registered(name: &'static str, first: Option<(&'static str, SharedString)>) -> Self {
        let each = L::all().into_iter().map(|labels| {
            let counter = metrics::counter!(name, owned(first.as_ref(), labels));
            counter.increment(0);
            counter
        });
        Self { each: each.collect(), labels: PhantomData }
    }

    /// One more of these.
    pub fn increment(&self, labels: L) {
        self.add(labels, 1);
    }

    /// So many more of these.
    pub fn add(&self, labels: L, count: u64) {
        // A label whose `index` lies outside `ALL` loses its count rather than its process.
        if let Some(counter) = self.each.get(labels.place()) {
            counter.increment(count);
        }
    }
}

/// A histogram of durations for each combination of labels. Make it once, as [`Counters`].
pub struct Histograms<L> {
    each: Box<[Histogram]>,
    labels: PhantomData<fn(L)>,
}

impl<L: Labels> Histograms<L> {
    /// Registers every combination.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self::registered(name, None)
    }

    /// The same under one value more, as [`Counters::of`].
    #[must_use]
    pub fn of(name: &'static str, label: (&'static str, SharedString)) -> Self {
        Self::registered(name, Some(label))
    }

    fn registered(name: &'static str, first: Option<(&'static str, SharedString)>) -> Self {
        let each =
            L::all().into_iter().map(|labels| metrics::histogram!(name, owned(first.as_ref(), labels)));
        Self { each: each.collect(), labels: PhantomData }
    }

    /// It took so long.
    pub fn record(&self, labels: L, duration: Duration) {
        if let Some(histogram) = self.each.get(labels.place()) {
            histogram.record(duration);
        }
    }

    /// Each of so many took so long.
    pub fn record_many(&self, labels: L, duration: Duration, count: usize) {
        if let Some(histogram) = self.each.get(labels.place()) {
            histogram.record_many(duration, count);
        }
    }
}

impl<L> std::fmt::Debug for Counters<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Counters({})", self.each.len())
    }
}

impl<L> std::fmt::Debug for Histograms<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Histograms({})", self.each.len())
    }
}

fn owned<L: Labels>(first: Option<&(&'static str, SharedString)>, labels: L) -> Vec<metrics::Label> {
    let pair = |(key, value)| (key, SharedString::const_str(value));
    let all = first.cloned().into_iter().chain(labels.pairs().into_iter().map(pair));
    all.map(|(key, value)| metrics::Label::new(SharedString::const_str(key), value)).collect()
}
