//! Records, their constraints, and what goes with them.

use std::{collections::BTreeMap, fmt::Debug};

use lanyard_api::{
    Authority, Revision, Scope,
    authn::accounts::*,
    credentials::{HostedIssuer, WorkloadIssuer},
    mapping::*,
};

use super::{Bench, world::*};
use crate::{
    ClusterServiceAccount, IssuerTaken, Kind, RbacObject, Record, RecordError, Setting, Store, StoreError,
};

async fn round_trip<R: Record + PartialEq + Debug>(store: &Store, first: R, second: R) {
    let scope = first.scope();
    let kind = R::KIND;
    for record in [&second, &first] {
        insert(store, record).await.unwrap();
        let read: Option<R> = store.get(scope, &record.key()).await.unwrap();
        assert_eq!(read.as_ref(), Some(record), "{kind}");
    }
    let mut keys = vec![first.key(), second.key()];
    keys.sort();
    let (_, listed) = store.load::<R>(scope).await.unwrap();
    assert_eq!(listed.iter().map(Record::key).collect::<Vec<_>>(), keys, "{kind}");
    let first_key = &keys[0];
    for (after, records_max, expected) in [
        ("", 1, &keys[..1]),
        ("", 2, &keys[..]),
        (first_key, 2, &keys[1..]),
        (&format!("{first_key}\0nothing"), 2, &keys[1..]),
        (&keys[1], 2, &[]),
    ] {
        let listed: Vec<R> = store.list_after(scope, after, records_max).await.unwrap();
        assert_eq!(listed.iter().map(Record::key).collect::<Vec<_>>(), expected, "{kind} after {after:?}");
    }

    let mut transaction = store.begin("test", &by("test"), &[scope]).await.unwrap();
    assert_eq!(transaction.get::<R>(scope, &first.key()).await.unwrap().as_ref(), Some(&first), "{kind}");
    assert_eq!(transaction.list::<R>(scope).await.unwrap().len(), 2, "{kind}");
    assert_eq!(transaction.count::<R>(scope).await.unwrap(), 2, "{kind}");
    drop(transaction);

    let change = store.changes_since(scope, Revision(0), u32::MAX).await.unwrap().pop().unwrap();
    assert_eq!((change.kind, &change.key), (kind, &first.key()));
    assert_eq!(change.after::<R>().unwrap().as_ref(), Some(&first), "{kind}");
}

pub(super) async fn a_record_of_every_kind_reads_back_and_is_listed_by_key(bench: Bench) {
    let store = bench.open().await;
    round_trip(&store, account(HOME, Authority::Local), account(AWAY, Authority::Aws)).await;
    let (dev, prod) = (cluster("dev"), cluster("prod"));
    round_trip(&store, dev.clone(), prod.clone()).await;
    round_trip(&store, kubeconfig(&dev), kubeconfig(&prod)).await;
    round_trip(&store, credential(&dev, "a"), credential(&dev, "b")).await;
    round_trip(&store, user("ana"), user("bob")).await;
    round_trip(&store, key("ana", 1), key("bob", 2)).await;
    // Somebody is left who may come in where the blocks below stop ana.
    let trust_policy = trusting(&[&format!("arn:aws:iam::{HOME}:user/bob")]);
    round_trip(&store, IamRole { trust_policy, ..role("dev") }, role("ops")).await;
    let owners = (PolicyOwner::User("ana".to_owned()), PolicyOwner::Role("dev".to_owned()));
    round_trip(&store, policy(owners.0, "all"), policy(owners.1, "all")).await;
    round_trip(&store, instance_profile("dev", None), instance_profile("node", Some("ops"))).await;
    let elsewhere = |arn: &str, name: &str| InlinePolicy {
        account: account_id(AWAY),
        ..policy(PolicyOwner::Principal(arn.parse().unwrap()), name)
    };
    let of_role = elsewhere(&format!("arn:aws:iam::{AWAY}:role/Dev"), "a");
    round_trip(&store, of_role, elsewhere(&format!("arn:aws:iam::{AWAY}:user/team/ana"), "a")).await;
    let issuer = "https://token.actions.githubusercontent.com";
    round_trip(&store, oidc_provider(issuer), oidc_provider(&format!("{issuer}/"))).await;
    let entries = (
        entry(&dev, "arn:aws:iam::111122223333:user/ana"),
        entry(&dev, "arn:aws:iam::111122223333:role/dev"),
    );
    let associations = (association(&entries.0, ADMIN_POLICY), association(&entries.1, ADMIN_POLICY));
    let administrators = (administrator(&entries.0), administrator(&entries.1));
    let stale = (stale_entry(&entries.0), stale_entry(&entries.1));
    round_trip(&store, entries.0, entries.1).await;
    round_trip(&store, associations.0, associations.1).await;
    round_trip(&store, administrators.0, administrators.1).await;
    round_trip(&store, aws_auth(&dev, 9), aws_auth(&dev, 10)).await;
    round_trip(&store, node(&dev, "i-1"), node(&dev, "i-2")).await;
    round_trip(&store, object(&dev, "view"), object(&dev, "edit")).await;
    round_trip(&store, service_account(&dev, "bot"), service_account(&dev, "other")).await;
    round_trip(&store, identity_provider(&dev, "okta"), identity_provider(&dev, "dex")).await;
    let issuer = || "https://okta.example".to_owned();
    let target = BlockTarget::AccessKey { access_key_id: key("ana", 1).id };
    let subject = BlockTarget::OidcSubject { issuer: issuer(), subject: "ana".to_owned() };
    let everyone = BlockTarget::OidcIssuer { issuer: issuer() };
    let certificate = BlockTarget::Certificate { sha256: "0aff".repeat(16).parse().unwrap() };
    let others = [(Scope::Hub, subject), (home(), everyone), (Scope::Cluster(dev.uid), certificate)];
    for (scope, other) in others {
        round_trip(&store, block(scope, target.clone()), block(scope, other)).await;
    }
    round_trip(&store, setting("a", "1"), setting("b", "2")).await;
    round_trip(&store, stale.0, stale.1).await;

    let glass = break_glass(&dev);
    insert(&store, &glass).await.unwrap();
    assert_eq!(store.get(Scope::Cluster(dev.uid), Kind::ONLY_KEY).await.unwrap(), Some(glass));
    assert_eq!(store.cluster_by_id(&dev.id).await.unwrap(), Some(dev));
}

pub(super) async fn a_record_is_replaced_only_by_a_different_one(bench: Bench) {
    let store = bench.open().await;
    let mut setting = setting("a", "1");
    assert_eq!(put(&store, &setting).await.unwrap().revision.0, 1);
    assert_eq!(put(&store, &setting).await.unwrap().revision.0, 1, "the same again");
    setting.value = "2".to_owned();
    assert_eq!(put(&store, &setting).await.unwrap().revision.0, 2);
    assert_eq!(store.get::<Setting>(Scope::Hub, "a").await.unwrap(), Some(setting.clone()));
    assert!(matches!(insert(&store, &setting).await, Err(StoreError::Exists { kind: Kind::Setting, .. })));
    let mut transaction = begin_hub(&store).await;
    assert_eq!(transaction.delete::<Setting>(Scope::Hub, "b").await.unwrap(), None);
    assert_eq!(transaction.delete::<Setting>(Scope::Hub, "a").await.unwrap(), Some(setting));
    assert_eq!(transaction.commit_unrecorded().await.unwrap().revision.0, 3);
    assert_eq!(store.get::<Setting>(Scope::Hub, "a").await.unwrap(), None);
}

fn exists<T: Debug>(result: Result<T, StoreError>, what: &str) {
    assert!(matches!(result, Err(StoreError::Exists { .. })), "{what}: {result:?}");
}

pub(super) async fn what_must_be_unique_is(bench: Bench) {
    let store = bench.open().await;
    let dev = founded(&store).await;
    exists(insert(&store, &cluster("dev")).await, "an id is a cluster's on the hub");
    let mut twin = cluster("other");
    twin.name = "dev".to_owned();
    exists(insert(&store, &twin).await, "a name is a cluster's in partition, account and region");
    twin.region = "eu-west-1".to_owned();
    insert(&store, &twin).await.unwrap();

    insert(&store, &user("ana")).await.unwrap();
    let mut capital = user("Ana");
    capital.principal_id = "AIDAOTHER".to_owned();
    exists(insert(&store, &capital).await, "letter case does not make another user");
    capital.name = "bea".to_owned();
    capital.principal_id = user("ana").principal_id;
    exists(insert(&store, &capital).await, "a unique id is one user's");
    insert(&store, &role("ana")).await.unwrap();
    let mut capital = role("ANA");
    capital.principal_id = "AROAOTHER".to_owned();
    exists(insert(&store, &capital).await, "letter case does not make another role");
    insert(&store, &key("ana", 1)).await.unwrap();
    exists(insert(&store, &key("ana", 1)).await, "a key id is one key's");

    let of_path = entry(&dev, "arn:aws:iam::111122223333:role/team/dev");
    insert(&store, &of_path).await.unwrap();
    exists(
        insert(&store, &entry(&dev, "arn:aws:iam::111122223333:role/dev")).await,
        "a path does not make another role",
    );
    insert(&store, &entry(&dev, "arn:aws:iam::111122223333:user/dev")).await.unwrap();
    let mut of_aws = entry(&dev, "arn:aws:iam::111122223333:role/dev");
    of_aws.authority = Authority::Aws;
    insert(&store, &of_aws).await.unwrap();
    insert(&store, &entry(&twin, "arn:aws:iam::111122223333:role/dev")).await.unwrap();
    let mut same_id = entry(&dev, "arn:aws:iam::111122223333:role/new");
    same_id.id = of_path.id;
    exists(insert(&store, &same_id).await, "an entry's number is its own");

    let mut same_token = credential(&dev, "b");
    insert(&store, &credential(&dev, "a")).await.unwrap();
    same_token.token_sha256 = credential(&dev, "a").token_sha256;
    exists(insert(&store, &same_token).await, "a token is one credential's");
}

pub(super) async fn immunity_31_an_account_number_has_one_authority(bench: Bench) {
    let store = bench.open().await;
    insert(&store, &account(HOME, Authority::Local)).await.unwrap();
    for other in [Authority::Aws, Authority::Sts("minio".to_owned()), Authority::Local] {
        exists(insert(&store, &account(HOME, other.clone())).await, &other.to_string());
    }
    assert_eq!(store.load::<Account>(Scope::Hub).await.unwrap().1, [account(HOME, Authority::Local)]);
}

pub(super) async fn a_record_needs_what_it_names(bench: Bench) {
    let store = bench.open().await;
    let dangling = |result: Result<_, StoreError>, what: &str| {
        assert!(matches!(result, Err(StoreError::Dangling { .. })), "{what}: {result:?}");
    };
    dangling(insert(&store, &cluster("dev")).await, "a cluster needs its account");
    dangling(insert(&store, &user("ana")).await, "a user needs its account");
    dangling(insert(&store, &role("ana")).await, "a role needs its account");
    let dev = founded(&store).await;
    dangling(insert(&store, &key("ana", 1)).await, "a key needs its user");
    dangling(
        insert(&store, &policy(PolicyOwner::Role("ana".to_owned()), "p")).await,
        "a policy needs its owner",
    );
    let unknown = cluster("unknown");
    dangling(insert(&store, &credential(&unknown, "a")).await, "a credential needs its cluster");
    dangling(
        insert(&store, &entry(&unknown, "arn:aws:iam::111122223333:role/a")).await,
        "an entry needs its cluster",
    );
    let homeless = entry(&dev, "arn:aws:iam::111122223333:role/a");
    dangling(insert(&store, &association(&homeless, ADMIN_POLICY)).await, "an association needs its entry");
    dangling(insert(&store, &administrator(&homeless)).await, "an administrator by entry needs it");
    dangling(insert(&store, &object(&unknown, "a")).await, "an object needs its cluster");
    let target = BlockTarget::AccessKey { access_key_id: key("ana", 1).id };
    dangling(insert(&store, &block(Scope::Cluster(unknown.uid), target)).await, "a block needs its cluster");

    // An entry of one cluster is none in another.
    let twin = cluster("twin");
    insert(&store, &twin).await.unwrap();
    insert(&store, &homeless).await.unwrap();
    let mut moved = association(&homeless, ADMIN_POLICY);
    moved.cluster = twin.uid;
    dangling(insert(&store, &moved).await, "an association stays in its entry's cluster");
}

pub(super) async fn what_is_named_stays(bench: Bench) {
    let store = bench.open().await;
    founded(&store).await;
    let in_use = delete(&store, &account(HOME, Authority::Local), &[home()]).await;
    assert!(matches!(in_use, Err(StoreError::InUse { kind: Kind::Account, .. })), "{in_use:?}");
    assert!(store.get::<Account>(Scope::Hub, HOME).await.unwrap().is_some());

    let away = Scope::Account(account_id(AWAY));
    insert(&store, &account(AWAY, Authority::Aws)).await.unwrap();
    let target = BlockTarget::Account { authority: Authority::Aws, account: account_id(AWAY) };
    insert(&store, &block(away, target)).await.unwrap();
    delete(&store, &account(AWAY, Authority::Aws), &[away]).await.unwrap();
    assert_eq!(store.load::<Block>(away).await.unwrap().1, [], "its own blocks go with it");

    insert(&store, &account(AWAY, Authority::Aws)).await.unwrap();
    let owner = PolicyOwner::Principal(format!("arn:aws:iam::{AWAY}:role/Dev").parse().unwrap());
    let elsewhere = InlinePolicy { account: account_id(AWAY), ..policy(owner, "p") };
    insert(&store, &elsewhere).await.unwrap();
    let unbegun = delete(&store, &account(AWAY, Authority::Aws), &[]).await;
    assert!(matches!(unbegun, Err(StoreError::ScopeNotBegun(_))), "{unbegun:?}");
    delete(&store, &account(AWAY, Authority::Aws), &[away]).await.unwrap();
    assert_eq!(store.load::<InlinePolicy>(away).await.unwrap().1, [], "and so do its principals' policies");
    assert!(
        matches!(insert(&store, &elsewhere).await, Err(StoreError::Dangling { .. })),
        "they need their account"
    );
}

pub(super) async fn what_hangs_on_a_record_goes_with_it_line_by_line(bench: Bench) {
    let store = bench.open().await;
    let dev = founded(&store).await;
    let owner = PolicyOwner::User("ana".to_owned());
    insert(&store, &user("ana")).await.unwrap();
    insert(&store, &key("ana", 1)).await.unwrap();
    insert(&store, &policy(owner, "p")).await.unwrap();
    insert(&store, &user("bob")).await.unwrap();
    insert(&store, &key("bob", 2)).await.unwrap();
    let before = store.revision(home()).await.unwrap();
    delete(&store, &user("ana"), &[]).await.unwrap();
    let lines = store.changes_since(home(), before, 10).await.unwrap();
    let told: Vec<_> = lines.iter().map(|line| (line.kind, line.key.clone(), line.after.is_none())).collect();
    assert_eq!(
        told,
        [
            (Kind::AccessKey, key("ana", 1).id.to_string(), true),
            (Kind::InlinePolicy, "user/ana/p".to_owned(), true),
            (Kind::User, "ana".to_owned(), true),
        ]
    );
    assert_eq!(store.load::<AccessKey>(home()).await.unwrap().1, [key("bob", 2)]);

    let scope = Scope::Cluster(dev.uid);
    let entry = entry(&dev, "arn:aws:iam::111122223333:user/bob");
    insert(&store, &entry).await.unwrap();
    insert(&store, &association(&entry, ADMIN_POLICY)).await.unwrap();
    insert(&store, &administrator(&entry)).await.unwrap();
    insert(&store, &stale_entry(&entry)).await.unwrap();
    let mut mutation = by("test");
    mutation.allow_lockout = true;
    let mut transaction = store.begin("test", &mutation, &[scope]).await.unwrap();
    transaction.delete::<AccessEntry>(scope, &entry.key()).await.unwrap();
    let revision = transaction.commit_unrecorded().await.unwrap().revision;
    let lines = store.changes_since(scope, Revision(revision.0 - 1), 1).await.unwrap();
    let kinds: Vec<_> = lines.iter().map(|line| line.kind).collect();
    assert_eq!(kinds, [Kind::PolicyAssociation, Kind::Administrator, Kind::StaleEntry, Kind::AccessEntry]);
    assert_eq!(store.verify_chain(scope).await.unwrap().fault, None);
}

pub(super) async fn immunity_37_a_cluster_takes_all_that_is_its_own_along_and_its_uid_is_never_used_again(
    bench: Bench,
) {
    let store = bench.open().await;
    let dev = founded(&store).await;
    let scope = Scope::Cluster(dev.uid);
    let entry = entry(&dev, "arn:aws:iam::111122223333:user/bob");
    insert(&store, &entry).await.unwrap();
    insert(&store, &association(&entry, ADMIN_POLICY)).await.unwrap();
    insert(&store, &administrator(&entry)).await.unwrap();
    insert(&store, &stale_entry(&entry)).await.unwrap();
    insert(&store, &aws_auth(&dev, 1)).await.unwrap();
    insert(&store, &node(&dev, "i-1")).await.unwrap();
    insert(&store, &break_glass(&dev)).await.unwrap();
    insert(&store, &object(&dev, "view")).await.unwrap();
    insert(&store, &identity_provider(&dev, "okta")).await.unwrap();
    insert(&store, &service_account(&dev, "bot")).await.unwrap();
    insert(&store, &issuer(&dev, "https://issuer.example", &["a", "b"])).await.unwrap();
    insert(&store, &hosted_issuer(&dev, "https://hub.example/id/1", &["c"])).await.unwrap();
    insert(&store, &pod_identity_association(&dev, "team-a", "bot")).await.unwrap();
    insert(&store, &cluster_update(&dev, 0)).await.unwrap();
    let target = BlockTarget::AccessKey { access_key_id: key("ana", 1).id };
    insert(&store, &block(scope, target)).await.unwrap();
    insert(&store, &credential(&dev, "a")).await.unwrap();
    insert(&store, &kubeconfig(&dev)).await.unwrap();

    let half = delete(&store, &dev, &[]).await;
    assert!(matches!(half, Err(StoreError::ScopeNotBegun(missing)) if missing == scope), "{half:?}");
    delete(&store, &dev, &[scope]).await.unwrap();
    let every = [Kind::ALL.as_slice()].concat();
    assert_eq!(store.load_rows(scope, &every).await.unwrap().1, []);
    assert_eq!(store.load::<SpokeCredential>(Scope::Hub).await.unwrap().1, []);
    assert_eq!(store.load::<SpokeKubeconfig>(Scope::Hub).await.unwrap().1, []);
    for scope in [scope, Scope::Hub] {
        assert_eq!(store.verify_chain(scope).await.unwrap().fault, None, "{scope}");
    }

    let again = insert(&store, &dev).await;
    assert!(matches!(again, Err(StoreError::Exists { kind: Kind::Cluster, .. })), "{again:?}");
    let mut anew = dev.clone();
    anew.uid = lanyard_api::ClusterUid::random();
    insert(&store, &anew).await.unwrap();
    assert_eq!(store.load::<RbacObject>(Scope::Cluster(anew.uid)).await.unwrap().1, []);
    // What was one cluster's alone is free again.
    insert(&store, &issuer(&anew, "https://issuer.example", &["a", "b"])).await.unwrap();
    insert(&store, &hosted_issuer(&anew, "https://hub.example/id/1", &["c"])).await.unwrap();
}

pub(super) async fn immunity_49_a_signing_key_and_an_issuers_name_are_one_clusters(bench: Bench) {
    let store = bench.open().await;
    let (dev, prod) = (founded(&store).await, cluster("prod"));
    insert(&store, &prod).await.unwrap();
    let (own, default) = ("https://issuer.example", "https://kubernetes.default.svc");
    put(&store, &issuer(&dev, own, &["a", "b", "b"])).await.unwrap();
    let taken = async |issuer: &WorkloadIssuer| {
        let scopes = [Scope::Hub, issuer.scope()];
        let mut transaction = store.begin("test", &by("test"), &scopes).await.unwrap();
        transaction.issuer_taken(issuer).await.unwrap()
    };
    let cases = [
        (issuer(&prod, own, &["c"]), Some(IssuerTaken::Name)),
        (issuer(&prod, default, &["c", "b"]), Some(IssuerTaken::Key("b".to_owned()))),
        (issuer(&prod, default, &["c"]), None),
        (issuer(&dev, own, &["a", "d"]), None),
    ];
    for (pushed, expected) in cases {
        assert_eq!(taken(&pushed).await, expected, "{pushed:?}");
        let written = put(&store, &pushed).await;
        assert_eq!(written.is_ok(), expected.is_none(), "the tables say the same: {written:?}");
    }
    // What the hub publishes for a cluster is that cluster's alone as well, on either side.
    let hub = "https://hub.example/id/1";
    put(&store, &hosted_issuer(&dev, hub, &["a", "e"])).await.unwrap();
    let published = async |issuer: &HostedIssuer| {
        let scopes = [Scope::Hub, issuer.scope()];
        let mut transaction = store.begin("test", &by("test"), &scopes).await.unwrap();
        transaction.hosted_issuer_taken(issuer).await.unwrap()
    };
    let elsewhere = "https://hub.example/id/2";
    let cases = [
        (hosted_issuer(&prod, hub, &["f"]), Some(IssuerTaken::Name)),
        (hosted_issuer(&prod, own, &["f"]), Some(IssuerTaken::Name)),
        (hosted_issuer(&prod, elsewhere, &["f", "e"]), Some(IssuerTaken::Key("e".to_owned()))),
        (hosted_issuer(&prod, elsewhere, &["d"]), Some(IssuerTaken::Key("d".to_owned()))),
        (hosted_issuer(&prod, elsewhere, &["f"]), None),
        (hosted_issuer(&dev, hub, &["d", "g"]), None),
    ];
    for (issuer, expected) in cases {
        assert_eq!(published(&issuer).await, expected, "{issuer:?}");
    }
    assert_eq!(taken(&issuer(&prod, default, &["e"])).await, Some(IssuerTaken::Key("e".to_owned())));
    assert_eq!(taken(&issuer(&prod, hub, &["f"])).await, Some(IssuerTaken::Name));
    put(&store, &hosted_issuer(&dev, hub, &["g"])).await.unwrap();
    // A key that its cluster has no more is free; the name that every cluster gives itself is nobody's.
    put(&store, &issuer(&prod, default, &["b"])).await.unwrap();
    put(&store, &issuer(&dev, default, &["a"])).await.unwrap();
    assert_eq!(taken(&issuer(&prod, own, &["b"])).await, None);
}

pub(super) async fn the_newest_updates_of_a_cluster_are_kept(bench: Bench) {
    let store = bench.open().await;
    let dev = founded(&store).await;
    let scope = Scope::Cluster(dev.uid);
    let updates: Vec<ClusterUpdate> = (0..5).map(|minute| cluster_update(&dev, minute)).collect();
    for update in &updates {
        let mut transaction = store.begin("test", &by("test"), &[scope]).await.unwrap();
        transaction.record_update(update.clone(), 3).await.unwrap();
        let answer = transaction.answer(scope, (), Vec::new()).await.unwrap();
        assert_eq!(answer.update.as_ref(), Some(update));
    }
    let (_, mut kept) = store.load::<ClusterUpdate>(scope).await.unwrap();
    kept.sort_by_key(|update| update.created_at);
    assert_eq!(kept, updates[2..]);
}

pub(super) async fn a_service_account_has_one_association(bench: Bench) {
    let store = bench.open().await;
    let (dev, prod) = (founded(&store).await, cluster("prod"));
    insert(&store, &prod).await.unwrap();
    let first = pod_identity_association(&dev, "team-a", "bot");
    insert(&store, &first).await.unwrap();
    exists(insert(&store, &pod_identity_association(&dev, "team-a", "bot")).await, "one for each");
    for other in [
        pod_identity_association(&dev, "team-b", "bot"),
        pod_identity_association(&dev, "team-a", "Bot"),
        pod_identity_association(&prod, "team-a", "bot"),
    ] {
        insert(&store, &other).await.unwrap();
        let mut transaction = store.begin("test", &by("test"), &[other.scope()]).await.unwrap();
        let found = transaction
            .pod_identity_association_of(other.cluster, &other.namespace, &other.service_account)
            .await
            .unwrap();
        assert_eq!(found, Some(other));
    }
    let mut transaction = store.begin("test", &by("test"), &[first.scope()]).await.unwrap();
    let none = transaction.pod_identity_association_of(dev.uid, "team-a", "nobody").await.unwrap();
    assert_eq!(none, None);
}

pub(super) async fn the_clusters_of_an_account_that_name_a_principal_are_found(bench: Bench) {
    let store = bench.open().await;
    let dev = founded(&store).await;
    let prod = cluster("prod");
    insert(&store, &prod).await.unwrap();
    let role = format!("arn:aws:iam::{HOME}:role/team/ops");
    for cluster in [&dev, &prod] {
        insert(&store, &entry(cluster, &role)).await.unwrap();
    }
    insert(&store, &entry(&dev, &format!("arn:aws:iam::{HOME}:user/ana"))).await.unwrap();
    let found = async |account: &str, authority, arn: &str, most| {
        let canonical = lanyard_iam::CanonicalArn::of(&arn.parse().unwrap());
        store.clusters_with_entry_for(account_id(account), &authority, &canonical, most).await.unwrap()
    };
    let session = format!("arn:aws:sts::{HOME}:assumed-role/ops/ci");
    let mut both = vec![dev.uid, prod.uid];
    both.sort_by_key(ToString::to_string);
    assert_eq!(found(HOME, Authority::Local, &session, 9).await, both);
    assert_eq!(found(HOME, Authority::Local, &session, 1).await, both[..1]);
    assert_eq!(found(HOME, Authority::Local, &format!("arn:aws:iam::{HOME}:user/ana"), 9).await, [dev.uid]);
    assert_eq!(found(HOME, Authority::Aws, &session, 9).await, []);
    assert_eq!(found(AWAY, Authority::Local, &session, 9).await, []);
}

pub(super) async fn immunity_52_an_audience_belongs_to_one_cluster_unless_it_is_shared(bench: Bench) {
    let store = bench.open().await;
    let dev = founded(&store).await;
    let (mut prod, okta) = (cluster("prod"), identity_provider(&dev, "okta"));
    prod.name = "prod".to_owned();
    insert(&store, &prod).await.unwrap();
    insert(&store, &okta).await.unwrap();
    let (mut same_name, mut same_issuer) =
        (identity_provider(&dev, "okta"), identity_provider(&dev, "other"));
    same_name.settings.issuer_url = "https://other.example".to_owned();
    exists(insert(&store, &same_name).await, "a name is one configuration's in its cluster");
    same_issuer.settings.issuer_url = okta.settings.issuer_url.clone();
    exists(insert(&store, &same_issuer).await, "an issuer is one configuration's in its cluster");
    let elsewhere = identity_provider(&prod, "okta");
    exists(insert(&store, &elsewhere).await, "an audience is one cluster's");
    let mut shared = elsewhere.clone();
    shared.settings.shared_audience = true;
    insert(&store, &shared).await.unwrap();
    let mut transaction = store.begin("test", &by("test"), &[Scope::Cluster(dev.uid)]).await.unwrap();
    let (issuer, client) = (okta.settings.issuer_url.as_str(), okta.settings.client_id.as_str());
    let mut others = async |uid, client: &str| {
        transaction.other_identity_providers_of_audience(uid, issuer, client).await.unwrap()
    };
    assert_eq!(others(dev.uid, client).await, [shared]);
    assert_eq!(others(prod.uid, client).await, std::slice::from_ref(&okta));
    assert_eq!(others(dev.uid, "Kubernetes").await, []);
}

pub(super) async fn immunity_52_who_takes_an_audience_is_found_among_clusters_and_providers(bench: Bench) {
    let store = bench.open().await;
    let dev = founded(&store).await;
    let okta = identity_provider(&dev, "okta");
    let (issuer, client) = (okta.settings.issuer_url.as_str(), okta.settings.client_id.as_str());
    let mut provider = oidc_provider(issuer);
    provider.client_ids = vec!["sts.amazonaws.com".to_owned(), client.to_owned()];
    insert(&store, &okta).await.unwrap();
    insert(&store, &provider).await.unwrap();
    let mut transaction = begin_hub(&store).await;
    let found = transaction.identity_providers_of_audience(issuer, client).await.unwrap();
    assert_eq!(found, std::slice::from_ref(&okta));
    assert_eq!(transaction.identity_providers_of_audience(issuer, "sts.amazonaws.com").await.unwrap(), []);
    for (asked, id, is_found) in [
        (issuer.to_owned(), client, true),
        (issuer.to_owned(), "sts.amazonaws.com", true),
        (issuer.to_owned(), "Kubernetes", false),
        (format!("{issuer}/"), client, false),
    ] {
        let found = transaction.oidc_providers_of_audience(&asked, id).await.unwrap();
        assert_eq!(
            found.as_slice(),
            if is_found { std::slice::from_ref(&provider) } else { &[] },
            "{asked} {id}"
        );
    }
}

pub(super) async fn a_transaction_is_all_or_nothing(bench: Bench) {
    let store = bench.open().await;
    let mut transaction = begin_hub(&store).await;
    transaction.insert(&setting("a", "1")).await.unwrap();
    drop(transaction);
    assert_eq!(store.get::<Setting>(Scope::Hub, "a").await.unwrap(), None);

    let mut transaction = begin_hub(&store).await;
    transaction.insert(&setting("a", "1")).await.unwrap();
    assert!(transaction.insert(&setting("a", "2")).await.is_err());
    let failed = transaction.commit_unrecorded().await;
    assert!(matches!(failed, Err(StoreError::Aborted)), "{failed:?}");
    assert_eq!(store.load::<Setting>(Scope::Hub).await.unwrap().1, []);
    assert_eq!(store.revision(Scope::Hub).await.unwrap().0, 0);
}

pub(super) async fn a_write_outside_the_scopes_begun_with_is_refused(bench: Bench) {
    let store = bench.open().await;
    founded(&store).await;
    let mut transaction = begin_hub(&store).await;
    let refused = transaction.insert(&user("ana")).await;
    assert!(matches!(refused, Err(StoreError::ScopeNotBegun(scope)) if scope == home()), "{refused:?}");
    assert!(matches!(transaction.commit_unrecorded().await, Err(StoreError::Aborted)));
    assert_eq!(store.get::<User>(home(), "ana").await.unwrap(), None);
    let none = store.begin("test", &by("test"), &[]).await;
    assert!(none.is_err());
    let misplaced = store.get::<User>(Scope::Hub, "ana").await;
    assert!(matches!(misplaced, Err(StoreError::Record(RecordError::Misplaced { .. }))), "{misplaced:?}");
}

pub(super) async fn immunity_15_keys_are_compared_byte_by_byte(bench: Bench) {
    let store = bench.open().await;
    // Each pair is one name to some collation or other: letter case, trailing blanks, accents, normal forms, width, ß and ss,
    // dotless i, a letter that is ignored, digits of other scripts.
    let pairs = [
        ("a", "A"),
        ("a", "a "),
        ("a", "a\t"),
        ("a", " a"),
        ("a", "á"),
        ("\u{e9}", "e\u{301}"),
        ("ss", "ß"),
        ("i", "ı"),
        ("I", "İ"),
        ("a", "ａ"),
        ("a", "a\u{200b}"),
        ("a", "a\u{ad}"),
        ("a", "а"),
        ("1", "١"),
        ("ﬁ", "fi"),
        ("K", "\u{212a}"),
    ];
    for (one, other) in pairs {
        for name in [one, other] {
            let mut transaction = begin_hub(&store).await;
            transaction.put(&setting(name, name)).await.unwrap();
            transaction.commit_unrecorded().await.unwrap();
        }
        for name in [one, other] {
            let found = store.get::<Setting>(Scope::Hub, name).await.unwrap();
            assert_eq!(
                found.map(|setting| setting.value).as_deref(),
                Some(name),
                "{name:?} of {one:?} and {other:?}"
            );
        }
    }
    // The order of lists, by which they page, is that of bytes too.
    let (_, listed) = store.load::<Setting>(Scope::Hub).await.unwrap();
    let names: Vec<_> = listed.into_iter().map(|setting| setting.name).collect();
    let mut sorted = names.clone();
    sorted.sort();
    assert_eq!(names, sorted);
}

pub(super) async fn immunity_15_a_text_that_one_database_could_not_hold_is_refused_by_both(bench: Bench) {
    let store = bench.open().await;
    let nul = insert(&store, &setting("a\0b", "1")).await;
    assert!(matches!(nul, Err(StoreError::Record(RecordError::Nul { .. }))), "{nul:?}");
    assert_eq!(store.get::<Setting>(Scope::Hub, "a\0b").await.unwrap(), None);
    let long = insert(&store, &setting(&"n".repeat(crate::TEXT_BYTES_MAX + 1), "1")).await;
    assert!(matches!(long, Err(StoreError::Record(RecordError::TextTooLong { .. }))), "{long:?}");
    insert(&store, &setting(&"n".repeat(crate::TEXT_BYTES_MAX), "\0 is fine in a value")).await.unwrap();
    let huge = insert(&store, &setting("huge", &"v".repeat(crate::RECORD_BYTES_MAX))).await;
    assert!(matches!(huge, Err(StoreError::Record(RecordError::TooLong { .. }))), "{huge:?}");
    let empty = insert(&store, &setting("", "1")).await;
    assert!(matches!(empty, Err(StoreError::Record(RecordError::Refused { .. }))), "{empty:?}");
    for reason in ["a\0b".to_owned(), "r".repeat(crate::REASON_BYTES_MAX + 1)] {
        let mut mutation = by("test");
        mutation.reason = Some(reason);
        assert!(matches!(store.begin("test", &mutation, &[Scope::Hub]).await, Err(StoreError::Reason)));
    }
}

/// Texts that would end a statement, go on behind it, stand for others or name a parameter, were they ever part of one.
const LIKE_SQL: [&str; 12] = [
    "'",
    "''",
    "\"",
    "a'; DROP TABLE users; --",
    "a\"; DELETE FROM users; --",
    "' OR '1'='1",
    "--",
    "/* and so on",
    "\\'",
    "$1",
    "?1",
    "%",
];

pub(super) async fn a_text_that_reads_like_sql_is_a_text(bench: Bench) {
    let store = bench.open().await;
    let dev = founded(&store).await;
    let scope = Scope::Cluster(dev.uid);
    let bystanders = (user("zoe"), entry(&dev, "arn:aws:iam::111122223333:user/zoe"));
    insert(&store, &bystanders.0).await.unwrap();
    insert(&store, &bystanders.1).await.unwrap();
    for text in LIKE_SQL {
        let tags = || BTreeMap::from([(text.to_owned(), text.to_owned())]);
        let owner = PolicyOwner::User(text.to_owned());
        let person = User { path: format!("/{text}/"), tags: tags(), ..user(text) };
        let (owned, of_person) = (key(text, 1), policy(owner.clone(), text));
        let granted = AccessEntry {
            username: text.to_owned(),
            groups: vec![text.to_owned()],
            tags: tags(),
            ..entry(&dev, "arn:aws:iam::111122223333:user/ana")
        };
        let target = BlockTarget::OidcSubject { issuer: text.to_owned(), subject: text.to_owned() };
        let stopped = Block { reason: text.to_owned(), ..block(scope, target) };
        let bot = service_account(&dev, text);
        let mut mutation = by(text);
        mutation.reason = Some(text.to_owned());
        let mut transaction = store.begin("test", &mutation, &[home(), scope]).await.unwrap();
        transaction.insert(&person).await.unwrap();
        transaction.insert(&owned).await.unwrap();
        transaction.insert(&of_person).await.unwrap();
        transaction.insert(&granted).await.unwrap();
        transaction.insert(&stopped).await.unwrap();
        transaction.insert(&bot).await.unwrap();
        let committed = transaction.commit_unrecorded().await.unwrap();

        assert_eq!(store.get(home(), text).await.unwrap(), Some(person.clone()), "{text}");
        assert_eq!(store.get(scope, &granted.key()).await.unwrap(), Some(granted.clone()), "{text}");
        assert_eq!(store.get(scope, &stopped.key()).await.unwrap(), Some(stopped.clone()), "{text}");
        assert_eq!(store.get(scope, &bot.key()).await.unwrap(), Some(bot.clone()), "{text}");
        assert_eq!(store.access_keys_of(account_id(HOME), text).await.unwrap(), [owned], "{text}");
        assert_eq!(store.policies_of(account_id(HOME), &owner).await.unwrap(), [of_person], "{text}");
        // Every one of them comes before `zoe`, who alone is left after it.
        let after: Vec<User> = store.list_after(home(), text, 9).await.unwrap();
        assert_eq!(after, std::slice::from_ref(&bystanders.0), "{text}");
        for (scope, revision) in committed.revisions {
            let lines = store.changes_since(scope, Revision(revision.0 - 1), 1).await.unwrap();
            let expected = (format!("system:{text}"), Some(text.to_owned()));
            assert_eq!(lines.len(), 3, "{text}");
            assert!(
                lines.iter().all(|line| (&line.actor, &line.reason) == (&expected.0, &expected.1)),
                "{lines:?}"
            );
        }

        delete(&store, &person, &[]).await.unwrap();
        delete(&store, &granted, &[]).await.unwrap();
        delete(&store, &stopped, &[]).await.unwrap();
        delete(&store, &bot, &[]).await.unwrap();
        assert_eq!(
            store.load::<User>(home()).await.unwrap().1,
            std::slice::from_ref(&bystanders.0),
            "{text}"
        );
        assert_eq!(store.load::<AccessKey>(home()).await.unwrap().1, [], "{text}");
        assert_eq!(store.load::<InlinePolicy>(home()).await.unwrap().1, [], "{text}");
        assert_eq!(
            store.load::<AccessEntry>(scope).await.unwrap().1,
            std::slice::from_ref(&bystanders.1),
            "{text}"
        );
        assert_eq!(store.load::<Block>(scope).await.unwrap().1, [], "{text}");
        assert_eq!(store.load::<ClusterServiceAccount>(scope).await.unwrap().1, [], "{text}");
    }
    for scope in [home(), scope] {
        assert_eq!(store.verify_chain(scope).await.unwrap().fault, None);
    }
}
