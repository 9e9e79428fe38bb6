//! Secrets at rest: keys for each purpose, and sealing that binds a value to its place.

mod envelope;
mod holder;
mod keyed;
mod kms;
mod purpose;
mod ring;
mod sealed;

pub use envelope::EnvelopeKey;
pub use holder::Holder;
pub use keyed::Keyed;
pub use kms::{KmsEnvelope, WrappedEnvelope};
pub use purpose::{Needed, Purpose};
pub(crate) use ring::StoredKey;
pub use ring::{Keyring, KeyringError, PurposeKey};
pub use sealed::{Place, Sealed};

#[cfg(test)]
mod tests;
