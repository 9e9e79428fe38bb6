//! Keys and sealing without a database.

use std::os::unix::fs::{PermissionsExt, symlink};

use lanyard_kit::{SecretString, tls::FileError};
use proptest::prelude::*;
use time::OffsetDateTime;

use super::{EnvelopeKey, Keyring, KeyringError, Place, Purpose, Sealed};

fn opened() -> Keyring {
    let keyring = Keyring::new(EnvelopeKey::random().unwrap());
    let keys: Vec<_> = Purpose::ALL.iter().map(|purpose| keyring.make_key(*purpose).unwrap()).collect();
    assert!(keyring.take_keys(&keys, OffsetDateTime::UNIX_EPOCH).unwrap().is_empty());
    keyring
}

fn place() -> impl Strategy<Value = Place> {
    // Few letters, so that parts often make the same text when put together.
    ("[ab]{0,3}", "[ab]{0,3}", "[ab]{0,3}").prop_map(|(table, row, owner)| Place::new(table, row, owner))
}

fn purpose() -> impl Strategy<Value = Purpose> {
    proptest::sample::select(Purpose::ALL.as_slice())
}

proptest! {
    #[test]
    fn immunity_38_a_value_opens_for_its_purpose_at_its_place_and_nowhere_else(
        plain in proptest::collection::vec(any::<u8>(), 0..64),
        (sealed_for, opened_for) in (purpose(), purpose()),
        (sealed_at, opened_at) in (place(), place()),
    ) {
        let keyring = opened();
        let sealed = keyring.seal(sealed_for, &sealed_at, &plain).unwrap();
        let opened_again = keyring.open(sealed_for, &sealed_at, &sealed).unwrap();
        prop_assert_eq!(opened_again.as_slice(), plain.as_slice());
        let is_its_own = sealed_for == opened_for && sealed_at == opened_at;
        prop_assert_eq!(keyring.open(opened_for, &opened_at, &sealed).is_ok(), is_its_own);
        prop_assert_eq!(keyring.unopened(), u64::from(!is_its_own));
        prop_assert!(opened().open(sealed_for, &sealed_at, &sealed).is_err(), "another hub's key");
    }

    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let sealed = Sealed::from_bytes(bytes);
        prop_assert!(opened().open(Purpose::Proof, &Place::new("a", "b", "c"), &sealed).is_err());
    }
}

#[test]
fn what_does_not_open_is_counted_by_the_purpose_it_was_asked_for() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let keyring = opened();
    let (here, elsewhere) = (Place::new("a", "b", "c"), Place::new("a", "b", "d"));
    let sealed = keyring.seal(Purpose::Proof, &here, b"x").unwrap();
    let opens = |purpose, place| {
        metrics::with_local_recorder(&recorder, || keyring.open(purpose, place, &sealed).is_ok())
    };
    assert!(opens(Purpose::Proof, &here));
    assert!(!opens(Purpose::Proof, &elsewhere));
    assert!(!opens(Purpose::TokenCache, &here) && !opens(Purpose::TokenCache, &elsewhere));
    let shown = recorder.handle().render();
    for line in [
        "lanyard_store_unopened_total{purpose=\"proof\"} 1\n",
        "lanyard_store_unopened_total{purpose=\"token_cache\"} 2\n",
    ] {
        assert!(shown.contains(line), "{line} is not in\n{shown}");
    }
}

#[test]
fn the_same_value_sealed_twice_differs() {
    let keyring = opened();
    let place = Place::new("a", "b", "c");
    let seal = || keyring.seal(Purpose::Proof, &place, b"x").unwrap();
    assert_ne!(seal(), seal());
}

#[test]
fn what_is_made_of_keys_is_made_anew_for_other_keys_and_other_moments_alone() {
    let keyring = Keyring::new(EnvelopeKey::random().unwrap());
    let begins = OffsetDateTime::UNIX_EPOCH + time::Duration::hours(1);
    let mut keys = vec![keyring.make_key(Purpose::Proof).unwrap()];
    let take = |keys: &[_], now| {
        keyring.take_keys(keys, now).unwrap();
        keyring.generation()
    };
    let first = take(&keys, OffsetDateTime::UNIX_EPOCH);
    assert_eq!(first, 1);
    assert_eq!(take(&keys, OffsetDateTime::UNIX_EPOCH), first, "the same once more");
    keys.extend(keyring.make_version(Purpose::Proof, (2, begins), &[]).unwrap());
    let second = take(&keys, OffsetDateTime::UNIX_EPOCH);
    assert_eq!(second, first + 1, "a new version");
    assert_eq!(take(&keys, begins), second + 1, "it begins to seal");
    assert_eq!(take(&keys, begins), second + 1);
    keys.remove(0);
    assert_eq!(take(&keys, begins), second + 2, "an old one is gone");
}

#[test]
fn an_envelope_key_is_64_hex_digits() {
    let good = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";
    let key = EnvelopeKey::parse(&SecretString::from(format!(" {good}\n"))).unwrap();
    let bytes: Vec<u8> = (0..32_u8).map(|n| (n % 16) * 0x11).collect();
    assert_eq!(key.id(), EnvelopeKey::from_bytes(bytes.try_into().unwrap()).id());
    assert_ne!(key.id(), EnvelopeKey::random().unwrap().id());
    for bad in ["", &good[1..], &format!("{good}0"), &good.replace('f', "g")] {
        let error = EnvelopeKey::parse(&SecretString::from(bad)).unwrap_err();
        assert!(matches!(error, KeyringError::Envelope), "{bad}");
        assert!(bad.is_empty() || !error.to_string().contains(bad), "{bad}");
    }
}

#[test]
fn immunity_57_the_envelope_key_lies_in_a_file_of_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let path = folder.path().join("envelope.key");
    let made = EnvelopeKey::load_or_create(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(EnvelopeKey::load_or_create(&path).unwrap().id(), made.id());
    assert!(!format!("{made:?}").contains(&std::fs::read_to_string(&path).unwrap()[..8]));

    let link = folder.path().join("link.key");
    symlink(&path, &link).unwrap();
    let linked = EnvelopeKey::load_or_create(&link);
    assert!(matches!(linked, Err(KeyringError::File(FileError::Symlink { .. }))), "{linked:?}");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let loose = EnvelopeKey::load_or_create(&path);
    assert!(matches!(loose, Err(KeyringError::File(FileError::LooseMode { .. }))), "{loose:?}");

    let garbled = folder.path().join("garbled.key");
    std::fs::write(&garbled, [0xff; 64]).unwrap();
    std::fs::set_permissions(&garbled, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(EnvelopeKey::load_or_create(&garbled), Err(KeyringError::Envelope)));
}
