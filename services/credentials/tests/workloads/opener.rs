//! Opens sessions as authn does: without the seed that signs.

use lanyard_iam::{SessionOpener, session::OpeningKeys};
use lanyard_store::{Keyring, Purpose};

pub(crate) fn session_opener(keyring: &Keyring) -> SessionOpener {
    let purposes = [Purpose::SessionVerifying, Purpose::SessionOpening, Purpose::SessionSecret];
    let opening = keyring.generations(purposes).unwrap().into_iter().map(
        |(key_id, [verifying_key, sealing_key, secret_key])| OpeningKeys {
            key_id,
            verifying_key: *verifying_key,
            sealing_key,
            secret_key,
        },
    );
    SessionOpener::new(&opening.collect::<Vec<_>>()).unwrap()
}
