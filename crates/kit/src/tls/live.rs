//! Certificates that follow what they come from: new connections use what is there now, open ones go on.
//!
//! Files are read again and again rather than watched, for what changes may be a link far above them, as in a mounted
//! secret. What does not do is not taken: the certificate before it stays in use, and the log and a metric say so.

mod authority;
mod doubts;
mod following;
mod identity;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

pub use authority::LiveAuthority;
pub use following::Following;
pub use identity::{Clients, LiveError, LiveIdentity};

/// How often the files are read: far below what any lifetime or renewal needs, and next to nothing to do.
pub const RELOAD_INTERVAL: Duration = Duration::from_secs(10);

/// Configurations of one kind, the newest of them.
pub type Live<C> = watch::Receiver<Arc<C>>;

/// A text that may change, the newest of it.
pub type LiveText = watch::Receiver<Arc<str>>;

/// How a look at the files ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// They are as they were.
    Unchanged,
    /// New connections use what is there now.
    Taken,
    /// What is there does not do, or not yet: it is read again before anybody is told.
    Doubtful,
    /// What is there does not do. The certificate before it stays in use.
    Refused,
}

/// What never changes, as what could.
#[must_use]
pub fn fixed<C>(value: C) -> Live<C> {
    // A receiver keeps the last value although its sender is gone.
    watch::channel(Arc::new(value)).1
}
