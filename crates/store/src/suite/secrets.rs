//! Sealed values and the keys that seal them.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use lanyard_api::{
    Authority, Mutation, Scope,
    authn::accounts::{AccessKey, User},
};
use lanyard_kit::{Clock as _, TestClock};

use super::{Bench, tamper, world::*};
use crate::{
    Change, EnvelopeKey, Follower, Holder, Keyed, Keyring, KeyringError, Place, Purpose, Sealed, Store,
    StoreError,
};

pub(super) const SECRET: &[u8] = b"correct horse battery staple";

pub(super) async fn keep(store: &Store, key: &AccessKey) -> Sealed {
    let sealed = store.keyring().seal(Purpose::AccessKeySecret, &Place::of(key), SECRET).unwrap();
    let mut transaction = store.begin("test", &by("test"), &[home()]).await.unwrap();
    transaction.put(key).await.unwrap();
    transaction.put_secret(&Place::of(key), &sealed).await.unwrap();
    transaction.commit_unrecorded().await.unwrap();
    sealed
}

async fn with_users(bench: &Bench) -> Store {
    let store = bench.open().await;
    insert(&store, &account(HOME, Authority::Local)).await.unwrap();
    insert(&store, &user("ana")).await.unwrap();
    insert(&store, &user("bob")).await.unwrap();
    store
}

pub(super) async fn a_sealed_value_opens_at_its_place(bench: Bench) {
    let store = with_users(&bench).await;
    let key = key("ana", 1);
    keep(&store, &key).await;
    let other = bench.open().await;
    let sealed = other.secret(&Place::of(&key)).await.unwrap().unwrap();
    let opened = other.keyring().open(Purpose::AccessKeySecret, &Place::of(&key), &sealed).unwrap();
    assert_eq!(opened.as_slice(), SECRET);
    assert!(!sealed.as_bytes().windows(7).any(|part| part == b"correct"));
    let printed = format!("{sealed:?} {:?} {:?} {:?}", store, store.keyring(), bench.database.envelope());
    assert!(!printed.contains("correct") && !printed.contains("99, 111"), "{printed}");
}

pub(super) async fn immunity_38_a_sealed_value_that_was_moved_does_not_open(bench: Bench) {
    let store = with_users(&bench).await;
    let (mine, theirs) = (key("ana", 1), key("bob", 2));
    keep(&store, &mine).await;
    keep(&store, &theirs).await;
    let keyring = store.keyring();
    let refused = |sealed: &Sealed, purpose: Purpose, place: &Place, what: &str| {
        let before = keyring.unopened();
        let opened = keyring.open(purpose, place, sealed);
        assert!(matches!(opened, Err(KeyringError::Unopened(of)) if of == purpose), "{what}");
        assert_eq!(keyring.unopened(), before + 1, "{what} is counted");
    };

    // In the database: one row's secret in the other's.
    tamper(
        &store,
        "UPDATE secrets SET sealed = (SELECT sealed FROM secrets WHERE place_row LIKE '%1') WHERE place_row LIKE '%2'",
    )
    .await;
    let moved = store.secret(&Place::of(&theirs)).await.unwrap().unwrap();
    refused(&moved, Purpose::AccessKeySecret, &Place::of(&theirs), "another row's value");
    let place = Place::of(&mine);
    keyring.open(Purpose::AccessKeySecret, &place, &moved).unwrap();

    refused(&moved, Purpose::TokenCache, &place, "another purpose");
    for other in [
        Place::new("user", &*place.row, &*place.owner),
        Place::new(&*place.table, "x", &*place.owner),
        Place::new(&*place.table, &*place.row, "account/444455556666"),
        // The same characters, cut elsewhere.
        Place::new(format!("{}{}", place.table, &place.row[..1]), &place.row[1..], &*place.owner),
        Place::new(&*place.table, format!("{}{}", place.row, &place.owner[..1]), &place.owner[1..]),
    ] {
        refused(&moved, Purpose::AccessKeySecret, &other, "another place");
    }
    for at in 0..moved.as_bytes().len() {
        let mut bytes = moved.as_bytes().to_vec();
        bytes[at] ^= 1;
        refused(&Sealed::from_bytes(bytes), Purpose::AccessKeySecret, &place, "an altered value");
        refused(
            &Sealed::from_bytes(moved.as_bytes()[..at].to_vec()),
            Purpose::AccessKeySecret,
            &place,
            "a cut value",
        );
    }
    // An old value put back into a place that was deleted and made anew for another key.
    let again = key("bob", 3);
    refused(&moved, Purpose::AccessKeySecret, &Place::of(&again), "an old value in a new place");
    // A purpose's key itself, moved to another purpose in the database.
    tamper(
        &store,
        "UPDATE purpose_keys SET sealed = (SELECT sealed FROM purpose_keys WHERE purpose = 'proof') WHERE purpose = 'vouch_authn'",
    )
    .await;
    let opened = Store::open(&bench.options()).await;
    assert!(
        matches!(opened, Err(StoreError::Keyring(KeyringError::Unopened(Purpose::VouchAuthn)))),
        "{opened:?}"
    );
}

pub(super) async fn a_secret_goes_with_its_record(bench: Bench) {
    let store = with_users(&bench).await;
    let keys = [key("ana", 1), key("ana", 2), key("bob", 3)];
    for key in &keys {
        keep(&store, key).await;
    }
    delete(&store, &keys[0], &[]).await.unwrap();
    assert_eq!(store.secret(&Place::of(&keys[0])).await.unwrap(), None);
    let mut transaction = store.begin("test", &by("test"), &[home()]).await.unwrap();
    transaction.delete::<User>(home(), "ana").await.unwrap();
    transaction.commit_unrecorded().await.unwrap();
    assert_eq!(store.secret(&Place::of(&keys[1])).await.unwrap(), None);
    assert!(store.secret(&Place::of(&keys[2])).await.unwrap().is_some());

    let place = Place::new("spoke", "dev", "hub");
    let sealed = store.keyring().seal(Purpose::SpokeKubeconfig, &place, SECRET).unwrap();
    let mut transaction = begin_hub(&store).await;
    transaction.put_secret(&place, &sealed).await.unwrap();
    assert!(transaction.delete_secret(&place).await.unwrap());
    assert!(!transaction.delete_secret(&place).await.unwrap());
    transaction.commit_unrecorded().await.unwrap();
    assert_eq!(store.secret(&place).await.unwrap(), None);
}

pub(super) async fn a_rotated_key_seals_anew_and_still_opens_what_is_old(bench: Bench) {
    let store = bench.open().await;
    let place = Place::new("t", "r", "o");
    let purpose = Purpose::SpokeKubeconfig;
    let (old, old_key) = (
        store.keyring().seal(purpose, &place, SECRET).unwrap(),
        store.keyring().purpose_key(purpose).unwrap(),
    );
    assert_eq!(store.rotate(&by("test"), &[purpose], Duration::ZERO, &[]).await.unwrap().0, 2);
    let keyring = store.keyring();
    let new = keyring.seal(purpose, &place, SECRET).unwrap();
    assert_ne!(*keyring.purpose_key(purpose).unwrap(), *old_key);
    let versions: Vec<u32> =
        keyring.purpose_keys(purpose).unwrap().into_iter().map(|(version, _)| version).collect();
    assert_eq!(versions, [2, 1]);
    for sealed in [&old, &new] {
        assert_eq!(keyring.open(purpose, &place, sealed).unwrap().as_slice(), SECRET);
    }
    assert_eq!(keyring.purpose_keys(Purpose::Proof).unwrap().len(), 1, "the others are as they were");
    let reopened = bench.open().await;
    assert_eq!(reopened.keyring().open(purpose, &place, &new).unwrap().as_slice(), SECRET);
}

/// Notes the newest version of a purpose's key each time that it sees a change.
struct Versions {
    keyring: Keyring,
    seen: Mutex<Vec<u32>>,
}

impl Follower for Versions {
    fn apply(&self, _: &[Change]) {
        let newest = self.keyring.purpose_keys(Purpose::Proof).unwrap()[0].0;
        self.seen.lock().unwrap().push(newest);
    }
}

pub(super) async fn another_process_has_a_rotated_key_before_its_followers_see_the_change(bench: Bench) {
    let (store, other) = (bench.open().await, bench.open().await);
    let follower = Arc::new(Versions { keyring: other.keyring().clone(), seen: Mutex::default() });
    other.follow(follower.clone());
    put(&store, &setting("a", "1")).await.unwrap();
    other.catch_up().await.unwrap();
    store.rotate(&by("test"), &[Purpose::Proof], Duration::ZERO, &[]).await.unwrap();
    other.catch_up().await.unwrap();
    assert_eq!(*follower.seen.lock().unwrap(), [1, 2]);
    let (one, two) =
        (store.keyring().purpose_key(Purpose::Proof), other.keyring().purpose_key(Purpose::Proof));
    assert_eq!(*one.unwrap(), *two.unwrap());
}

pub(super) async fn a_new_version_opens_everywhere_before_it_seals_anywhere(bench: Bench) {
    const OVERLAP: Duration = Duration::from_secs(60);
    let (place, purpose) = (Place::new("t", "r", "o"), Purpose::TokenCache);
    // Its clock is behind.
    let (clock, mut options) = (TestClock::new(bench.clock.now()), bench.options());
    options.clock = Arc::new(clock.clone());
    let (store, other) = (bench.open().await, Store::open(&options).await.unwrap());
    let made = Keyed::following(other.keyring(), move |keyring| keyring.purpose_key(purpose)).unwrap();
    let (old, first) = (store.keyring().seal(purpose, &place, SECRET).unwrap(), made.get());
    let rotated = store.rotate(&by("test"), &[purpose], OVERLAP, &[]).await.unwrap();
    assert_eq!(rotated, (2, bench.clock.now() + OVERLAP));
    other.catch_up().await.unwrap();
    let versions = |store: &Store| -> Vec<u32> {
        store.keyring().purpose_keys(purpose).unwrap().into_iter().map(|(version, _)| version).collect()
    };
    for store in [&store, &other, &bench.open().await] {
        assert_eq!(versions(store), [1, 2], "the old one seals, the new one opens");
        assert_eq!(store.keyring().newest_version(purpose).unwrap(), 2);
    }
    assert_eq!(*made.get(), *first);
    // One process is a moment ahead of the other: what it seals opens there all the same.
    bench.clock.advance(time::Duration::minutes(1));
    store.catch_up().await.unwrap();
    assert_eq!((versions(&store), versions(&other)), (vec![2, 1], vec![1, 2]));
    let new = store.keyring().seal(purpose, &place, SECRET).unwrap();
    for sealed in [&old, &new] {
        assert_eq!(other.keyring().open(purpose, &place, sealed).unwrap().as_slice(), SECRET);
    }
    clock.advance(time::Duration::minutes(1));
    other.catch_up().await.unwrap();
    assert_eq!(versions(&other), [2, 1]);
    assert_eq!(*made.get(), store.keyring().purpose_key(purpose).unwrap());
    assert_ne!(*made.get(), *first);
    // A start in between, and the copy for a service, keep the moment.
    store.rotate(&by("test"), &[Purpose::Proof], OVERLAP, &[]).await.unwrap();
    let envelope = EnvelopeKey::random().unwrap();
    store.entrust(&by("test"), Holder::Authz, &envelope).await.unwrap();
    let mut options = bench.options();
    options.keyring = Keyring::of(Holder::Authz, envelope, Vec::new());
    let authz = Store::open(&options).await.unwrap();
    assert_eq!(authz.keyring().purpose_keys(Purpose::Proof).unwrap()[0].0, 1);
}

pub(super) async fn what_is_made_of_several_keys_changes_with_all_of_them_at_once(bench: Bench) {
    const SESSION: [Purpose; 3] = [Purpose::SessionSigning, Purpose::SessionOpening, Purpose::SessionSecret];
    const OPENING: [Purpose; 3] =
        [Purpose::SessionVerifying, Purpose::SessionOpening, Purpose::SessionSecret];
    let store = bench.open().await;
    store.rotate(&by("test"), &SESSION[..1], Duration::ZERO, &[]).await.unwrap();
    assert_eq!(store.keyring().sealing_generation(SESSION).unwrap().0, 1, "half a rotation changes nothing");
    // All of them get one number, whatever they had.
    let (version, _) = store.rotate(&by("test"), &SESSION, Duration::from_secs(60), &[]).await.unwrap();
    assert_eq!(version, 3);
    let opening = || -> Vec<u32> {
        store.keyring().generations(OPENING).unwrap().into_iter().map(|(version, _)| version).collect()
    };
    assert_eq!((opening(), store.keyring().sealing_generation(SESSION).unwrap().0), (vec![3, 1], 1));
    bench.clock.advance(time::Duration::minutes(1));
    store.catch_up().await.unwrap();
    assert_eq!(store.keyring().sealing_generation(SESSION).unwrap().0, 3);
}

pub(super) async fn a_rotation_is_a_line_of_the_chain(bench: Bench) {
    let store = bench.open().await;
    let before = store.revision(Scope::Hub).await.unwrap();
    let why = Mutation { reason: Some("a laptop was lost".to_owned()), ..Mutation::system("an operator") };
    store.rotate(&why, &[Purpose::Proof, Purpose::Chain], Duration::ZERO, &[]).await.unwrap();
    let lines = store.changes_since(Scope::Hub, before, 10).await.unwrap();
    let told: BTreeSet<_> = lines.iter().map(|line| (line.key.as_str(), line.reason.as_deref())).collect();
    let reason = Some("a laptop was lost");
    assert_eq!(told, BTreeSet::from([("purpose_key/chain", reason), ("purpose_key/proof", reason)]));
    assert!(lines.iter().all(|line| line.actor.contains("an operator")), "{}", lines[0].actor);
    put(&store, &setting("a", "1")).await.unwrap();
    assert_eq!(store.verify_chain(Scope::Hub).await.unwrap().fault, None);
    let versions = store.key_versions().await.unwrap();
    let of = |purpose| versions.iter().filter(|one| one.purpose == purpose).map(|one| one.version).max();
    assert_eq!(
        [of(Purpose::Proof), of(Purpose::Chain), of(Purpose::TokenCache)],
        [Some(2), Some(2), Some(1)]
    );
}

fn versions_of(store: &Store, purpose: Purpose) -> Vec<u32> {
    store.keyring().purpose_keys(purpose).unwrap().into_iter().map(|(version, _)| version).collect()
}

pub(super) async fn what_lies_at_rest_is_sealed_anew_and_then_the_old_version_goes(bench: Bench) {
    const PURPOSE: Purpose = Purpose::AccessKeySecret;
    let store = with_users(&bench).await;
    let keys = [key("ana", 1), key("bob", 2)];
    for key in &keys {
        keep(&store, key).await;
    }
    let other = bench.open().await;
    store.rotate(&by("test"), &[PURPOSE], Duration::ZERO, &[]).await.unwrap();
    keep(&store, &key("bob", 3)).await;
    bench.clock.advance(time::Duration::hours(1));
    // While something lies under it, it stays, however old it is.
    assert_eq!(store.retire(&by("test"), &[PURPOSE]).await.unwrap(), []);
    let resealed = store.reseal(&by("test"), PURPOSE).await.unwrap();
    assert_eq!((resealed.resealed, resealed.unopened), (2, 0));
    assert_eq!(store.reseal(&by("test"), PURPOSE).await.unwrap().resealed, 0, "all of it is new");
    assert_eq!(store.reseal(&by("test"), Purpose::Proof).await.unwrap().resealed, 0, "nothing is at rest");
    let before = store.revision(Scope::Hub).await.unwrap();
    let retired = store.retire(&by("test"), &[PURPOSE]).await.unwrap();
    assert_eq!(retired.iter().map(|one| one.version).collect::<Vec<_>>(), [1]);
    let lines = store.changes_since(Scope::Hub, before, 10).await.unwrap();
    assert_eq!(
        lines.iter().map(|line| line.key.as_str()).collect::<Vec<_>>(),
        ["purpose_key/access_key_secret/retired"]
    );
    other.catch_up().await.unwrap();
    // In the process that did it, in one that heard of it, and in one that starts now.
    for store in [&store, &other, &bench.open().await] {
        assert_eq!(versions_of(store, PURPOSE), [2]);
        for key in &keys {
            let sealed = store.secret(&Place::of(key)).await.unwrap().unwrap();
            let opened = store.keyring().open(PURPOSE, &Place::of(key), &sealed).unwrap();
            assert_eq!(opened.as_slice(), SECRET);
        }
    }
    assert_eq!(store.retire(&by("test"), &Purpose::ALL).await.unwrap(), [], "the last one stays");
    assert_eq!(store.verify_chain(Scope::Hub).await.unwrap().fault, None);
}

/// A key that is made anew, or goes, makes nobody fetch all keys again at each look at what another key seals.
pub(super) async fn what_lies_at_rest_is_read_by_the_versions_of_its_own_purpose(bench: Bench) {
    let store = with_users(&bench).await;
    let key = key("ana", 1);
    keep(&store, &key).await;
    store.rotate(&by("test"), &[Purpose::Proof], Duration::ZERO, &[]).await.unwrap();
    bench.clock.advance(time::Duration::hours(2));
    store.retire(&by("test"), &[Purpose::Proof]).await.unwrap();
    // Who fetched them would see that.
    tamper(&store, "DELETE FROM purpose_keys WHERE purpose = 'proof'").await;
    let generation = store.keyring().generation();
    assert!(store.secret(&Place::of(&key)).await.unwrap().is_some());
    assert_eq!(store.keyring().generation(), generation);
}

/// A process that is asked to open what it cannot looks for the key once, and not for everything that anybody makes up.
pub(super) async fn a_version_that_was_not_heard_of_is_asked_for(bench: Bench) {
    const PURPOSE: Purpose = Purpose::AccessKeySecret;
    let store = with_users(&bench).await;
    let other = bench.open().await;
    assert!(!other.has_asked_for_keys());
    let heard = other.keyring().generation();
    store.rotate(&by("test"), &[PURPOSE], Duration::ZERO, &[]).await.unwrap();
    let sealed = store.keyring().seal(PURPOSE, &Place::of(&key("ana", 1)), SECRET).unwrap();
    let opened = || other.keyring().open(PURPOSE, &Place::of(&key("ana", 1)), &sealed).is_ok();
    other.ask_for_keys().await;
    assert!(opened() && other.has_asked_for_keys());
    assert!(other.keyring().generation() > heard);
    other.catch_up().await.unwrap();
    let known = other.keyring().generation();
    // Who fetched them again would see that.
    tamper(&store, "DELETE FROM purpose_keys WHERE purpose = 'proof'").await;
    for _ in 0..3 {
        other.ask_for_keys().await;
    }
    assert_eq!(other.keyring().generation(), known, "a moment ago is soon enough");
}

/// What does not open must not make a store that fails be asked as often as anybody makes it up.
pub(super) async fn a_store_that_fails_is_asked_for_keys_no_oftener(bench: Bench) {
    let store = bench.open().await;
    store.close().await;
    store.ask_for_keys().await;
    assert!(store.has_asked_for_keys(), "it was asked, and gave none");
}

pub(super) async fn a_store_that_hangs_is_not_waited_for_when_keys_are_asked_for(bench: Bench) {
    let store = bench.open().await;
    // All of its connections: who asks for one more waits for it, 30 seconds here.
    let mut held = Vec::new();
    while let Ok(connection) = tokio::time::timeout(Duration::from_secs(1), store.read()).await {
        held.push(connection.unwrap());
    }
    let began = std::time::Instant::now();
    futures::future::join_all((0..20).map(|_| store.ask_for_keys())).await;
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert!(store.has_asked_for_keys());
    drop(held);
}

pub(super) async fn a_version_stays_while_anything_that_it_made_can_live(bench: Bench) {
    let store = bench.open().await;
    let envelope = EnvelopeKey::random().unwrap();
    store.entrust(&by("test"), Holder::Authz, &envelope).await.unwrap();
    let rotated = [Purpose::Proof, Purpose::SessionSigning, Purpose::SessionOpening, Purpose::SessionSecret];
    let all = [rotated.as_slice(), &[Purpose::Chain]].concat();
    store.rotate(&by("test"), &all, Duration::from_secs(60), std::slice::from_ref(&envelope)).await.unwrap();
    let retired = async |after: time::Duration| -> BTreeSet<(Purpose, u32)> {
        bench.clock.advance(after);
        let retired = store.retire(&by("test"), &Purpose::ALL).await.unwrap();
        retired.into_iter().map(|one| (one.purpose, one.version)).collect()
    };
    assert_eq!(retired(time::Duration::ZERO).await, BTreeSet::new(), "the new one does not seal yet");
    assert_eq!(retired(time::Duration::minutes(50)).await, BTreeSet::new(), "proofs of the old one count");
    assert_eq!(retired(time::Duration::minutes(30)).await, BTreeSet::from([(Purpose::Proof, 1)]));
    let sessions = BTreeSet::from([
        (Purpose::SessionSigning, 1),
        (Purpose::SessionVerifying, 1),
        (Purpose::SessionOpening, 1),
        (Purpose::SessionSecret, 1),
    ]);
    assert_eq!(retired(time::Duration::hours(36)).await, sessions);
    assert_eq!(retired(time::Duration::days(3650)).await, BTreeSet::new(), "the chain is verified for good");
    // The service's own copy went with it.
    let mut options = bench.options();
    options.keyring = Keyring::of(Holder::Authz, envelope, Vec::new());
    let authz = Store::open(&options).await.unwrap();
    assert_eq!(versions_of(&authz, Purpose::Proof), [2]);
}

pub(super) async fn a_value_that_does_not_open_is_left_and_keeps_its_version(bench: Bench) {
    let store = with_users(&bench).await;
    for key in [key("ana", 1), key("bob", 2)] {
        keep(&store, &key).await;
    }
    tamper(
        &store,
        "UPDATE secrets SET sealed = (SELECT sealed FROM secrets WHERE place_row LIKE '%1') WHERE place_row LIKE '%2'",
    )
    .await;
    store.rotate(&by("test"), &[Purpose::AccessKeySecret], Duration::ZERO, &[]).await.unwrap();
    let resealed = store.reseal(&by("test"), Purpose::AccessKeySecret).await.unwrap();
    assert_eq!((resealed.resealed, resealed.unopened), (1, 1));
    bench.clock.advance(time::Duration::hours(1));
    assert_eq!(store.retire(&by("test"), &[Purpose::AccessKeySecret]).await.unwrap(), []);
}

pub(super) async fn a_store_opens_with_the_envelope_key_it_was_made_with_alone(bench: Bench) {
    let locked = Keyring::new(bench.database.envelope().clone()).purpose_key(Purpose::Chain);
    assert!(matches!(locked, Err(KeyringError::Locked(Purpose::Chain))), "before a store is opened");
    drop(bench.open().await);
    let mut options = bench.options();
    let foreign = EnvelopeKey::random().unwrap();
    options.keyring = Keyring::new(foreign.clone());
    match Store::open(&options).await {
        Err(StoreError::Keyring(KeyringError::ForeignEnvelope { stored, given })) => {
            assert_eq!((stored, given), (bench.database.envelope().id(), foreign.id()));
        }
        other => panic!("{other:?}"),
    }
    // And left nothing of its own behind.
    drop(bench.open().await);
}

pub(super) async fn an_envelope_key_can_be_replaced(bench: Bench) {
    let place = Place::new("t", "r", "o");
    let sealed = bench.open().await.keyring().seal(Purpose::SpokeKubeconfig, &place, SECRET).unwrap();
    let new = EnvelopeKey::random().unwrap();
    let mut options = bench.options();
    options.keyring = Keyring::with_previous(new.clone(), vec![bench.database.envelope().clone()]);
    drop(Store::open(&options).await.unwrap());
    options.keyring = Keyring::new(new);
    let store = Store::open(&options).await.unwrap();
    assert_eq!(store.keyring().open(Purpose::SpokeKubeconfig, &place, &sealed).unwrap().as_slice(), SECRET);
}

pub(super) async fn immunity_61_a_service_has_its_own_purposes_keys_and_no_others(bench: Bench) {
    let store = bench.open().await;
    let envelope = EnvelopeKey::random().unwrap();
    let mut options = bench.options();
    options.keyring = Keyring::of(Holder::Authz, envelope.clone(), Vec::new());
    match Store::open(&options).await {
        Err(StoreError::Keyring(KeyringError::NotEntrusted { holder, given, .. })) => {
            assert_eq!((holder, given), (Holder::Authz, envelope.id()));
        }
        other => panic!("{other:?}"),
    }
    store.entrust(&by("test"), Holder::Authz, &envelope).await.unwrap();
    let authz = Store::open(&options).await.unwrap();
    for purpose in Purpose::ALL {
        let (own, suite) = (authz.keyring().purpose_key(purpose), store.keyring().purpose_key(purpose));
        match own {
            Ok(key) => assert!(Holder::Authz.may_have(purpose) && *key == *suite.unwrap(), "{purpose}"),
            Err(KeyringError::Locked(locked)) => {
                assert!(!Holder::Authz.may_have(purpose) && locked == purpose, "{purpose}");
            }
            Err(other) => panic!("{purpose}: {other}"),
        }
    }
    // No envelope key is two services', or one's and the suite's.
    for (holder, envelope) in [(Holder::Mapping, &envelope), (Holder::Authz, bench.database.envelope())] {
        match store.entrust(&by("test"), holder, envelope).await {
            Err(StoreError::Keyring(KeyringError::SharedEnvelope(of))) => assert_eq!(of, holder),
            other => panic!("{other:?}"),
        }
    }
    // Nor does its envelope key open the keys of another service by saying to be that one, or the suite.
    for holder in [Holder::Credentials, Holder::Authn, Holder::Mapping, Holder::Suite] {
        options.keyring = Keyring::of(holder, envelope.clone(), Vec::new());
        let opened = Store::open(&options).await;
        assert!(matches!(opened, Err(StoreError::Keyring(_))), "{holder}: {opened:?}");
    }
    // It writes as before: the chain is one.
    put(&authz, &setting("a", "1")).await.unwrap();
    put(&store, &setting("b", "2")).await.unwrap();
}

pub(super) async fn a_services_envelope_key_is_replaced_and_the_old_one_opens_nothing(bench: Bench) {
    let store = bench.open().await;
    let envelopes = [EnvelopeKey::random().unwrap(), EnvelopeKey::random().unwrap()];
    let open = async |envelope: &EnvelopeKey| {
        let mut options = bench.options();
        options.keyring = Keyring::of(Holder::Mapping, envelope.clone(), Vec::new());
        Store::open(&options).await
    };
    for (at, envelope) in envelopes.iter().enumerate() {
        store.entrust(&by("test"), Holder::Mapping, envelope).await.unwrap();
        // Once more changes nothing.
        store.entrust(&by("test"), Holder::Mapping, envelope).await.unwrap();
        for (other, envelope) in envelopes.iter().enumerate() {
            assert_eq!(open(envelope).await.is_ok(), other == at, "{other} at {at}");
        }
    }
}

/// Its certificates are renewed as it runs, so that nobody starts it anew for that.
pub(super) async fn a_service_whose_envelope_key_is_replaced_hears_of_all_that_comes_after(bench: Bench) {
    let store = bench.open().await;
    let [first, second] = [EnvelopeKey::random().unwrap(), EnvelopeKey::random().unwrap()];
    let open = async |envelope: &EnvelopeKey| {
        let mut options = bench.options();
        options.keyring = Keyring::of(Holder::Mapping, envelope.clone(), Vec::new());
        Store::open(&options).await.unwrap()
    };
    store.entrust(&by("test"), Holder::Mapping, &first).await.unwrap();
    let running = open(&first).await;
    store.entrust(&by("test"), Holder::Mapping, &second).await.unwrap();
    running.catch_up().await.unwrap();
    running.ask_for_keys().await;
    assert_eq!(versions_of(&running, Purpose::Proof), [1], "it goes on with what it had");
    store
        .rotate(&by("test"), &[Purpose::Proof], Duration::ZERO, std::slice::from_ref(&second))
        .await
        .unwrap();
    put(&store, &setting("a", "1")).await.unwrap();
    running.catch_up().await.unwrap();
    let hub = running.revisions().into_iter().find(|(scope, _)| *scope == Scope::Hub);
    assert_eq!(hub.unwrap().1, store.revision(Scope::Hub).await.unwrap(), "nothing waits for a key");
    assert_eq!(versions_of(&running, Purpose::Proof), [1]);
    put(&running, &setting("b", "2")).await.unwrap();
    assert_eq!(versions_of(&open(&second).await, Purpose::Proof), [2, 1]);
}

pub(super) async fn a_service_is_given_a_version_that_its_giver_has_not_heard_of(bench: Bench) {
    let (store, giver) = (bench.open().await, bench.open().await);
    store.rotate(&by("test"), &[Purpose::Proof], Duration::ZERO, &[]).await.unwrap();
    let envelope = EnvelopeKey::random().unwrap();
    giver.entrust(&by("test"), Holder::Authz, &envelope).await.unwrap();
    let mut options = bench.options();
    options.keyring = Keyring::of(Holder::Authz, envelope, Vec::new());
    assert_eq!(versions_of(&Store::open(&options).await.unwrap(), Purpose::Proof), [2, 1]);
}

pub(super) async fn a_rotated_key_is_sealed_for_those_who_may_have_it_or_not_made(bench: Bench) {
    let store = bench.open().await;
    let envelopes: Vec<_> = Holder::SERVICES.iter().map(|_| EnvelopeKey::random().unwrap()).collect();
    for (holder, envelope) in Holder::SERVICES.into_iter().zip(&envelopes) {
        store.entrust(&by("test"), holder, envelope).await.unwrap();
    }
    let open = async |at: usize| {
        let mut options = bench.options();
        options.keyring = Keyring::of(Holder::SERVICES[at], envelopes[at].clone(), Vec::new());
        Store::open(&options).await.unwrap()
    };
    // Of the two that may have it one is not given: nothing is made.
    match store.rotate(&by("test"), &[Purpose::Proof], Duration::ZERO, &envelopes[..2]).await {
        Err(StoreError::Keyring(KeyringError::EntrustedTo { holder, purpose })) => {
            assert_eq!((holder, purpose), (Holder::Authz, Purpose::Proof));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(store.keyring().purpose_keys(Purpose::Proof).unwrap().len(), 1);
    assert_eq!(store.rotate(&by("test"), &[Purpose::Proof], Duration::ZERO, &envelopes).await.unwrap().0, 2);
    // What is made of a key is made anew with it, for whoever has it alone.
    assert_eq!(
        store.rotate(&by("test"), &[Purpose::SessionVerifying], Duration::ZERO, &envelopes).await.unwrap().0,
        2
    );
    let (authn, mapping, authz, credentials) = (open(0).await, open(1).await, open(2).await, open(3).await);
    let newest = |store: &Store, purpose| store.keyring().purpose_keys(purpose).unwrap()[0].clone();
    assert_eq!(newest(&mapping, Purpose::Proof).0, 2);
    assert_eq!(newest(&mapping, Purpose::Proof), newest(&authz, Purpose::Proof));
    assert_eq!(newest(&authn, Purpose::SessionVerifying).0, 2);
    assert_eq!(newest(&credentials, Purpose::SessionSigning).0, 2);
    assert!(authn.keyring().purpose_key(Purpose::SessionSigning).is_err());
}

pub(super) async fn first_starts_at_once_make_one_set_of_keys(bench: Bench) {
    let options: Vec<_> = (0..6).map(|_| bench.options()).collect();
    let opened = futures::future::join_all(options.iter().map(Store::open)).await;
    let stores: Vec<Store> = opened.into_iter().map(Result::unwrap).collect();
    for purpose in Purpose::ALL {
        let first = stores[0].keyring().purpose_key(purpose).unwrap();
        for store in &stores {
            assert_eq!(*store.keyring().purpose_key(purpose).unwrap(), *first, "{purpose}");
        }
        for other in Purpose::ALL {
            let theirs = stores[0].keyring().purpose_key(other).unwrap();
            assert_eq!(*first == *theirs, purpose == other, "each purpose has a key of its own");
        }
    }
}
