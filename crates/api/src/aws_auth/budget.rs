//! How much is made of a document: an alias is a few bytes in it, and what it repeats is made anew for each line.

use lanyard_iam::arn::ARN_BYTES_MAX;

use super::{MAP_BYTES_MAX, tree::Node};

/// What holds a name beside its text, in bytes of memory: of short ones it is most.
const NAME_COST_BYTES: usize = 96;

/// How often a name's text is held: as it was written, and by its parts.
const COPIES: usize = 2;

/// What may still be made of a document, in bytes of memory; nothing more from the first line on that is beyond it.
pub(super) struct Budget(Option<usize>);

impl Budget {
    pub(super) fn whole() -> Self {
        Self(Some(MAP_BYTES_MAX))
    }

    /// Takes what a line costs; false where that is more than is left.
    pub(super) fn take(&mut self, cost: usize) -> bool {
        self.0 = self.0.and_then(|left| left.checked_sub(cost));
        self.0.is_some()
    }

    pub(super) fn is_spent(&self) -> bool {
        self.0.is_none()
    }
}

/// What one name, or an ARN, costs to hold, in bytes of memory. Nothing is made of a text that is longer than an ARN may be.
pub(super) fn cost(name: &Node) -> usize {
    let bytes = name.text().map_or(0, str::len).min(ARN_BYTES_MAX);
    NAME_COST_BYTES + COPIES * bytes
}
