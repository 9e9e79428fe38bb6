//! No write takes a cluster from some live administrators to none.

mod chains;

use futures::future::BoxFuture;
use lanyard_api::{
    Actor, ActorKind, Authority, Lineage, Mutation, Scope, TrustedAccount, Vouched, authn::accounts::*,
    mapping::*,
};
use lanyard_iam::{CanonicalArn, Partition};
use time::Duration;

pub(super) use chains::immunity_56_a_role_counts_while_somebody_can_assume_it;

use super::{Bench, NOON, world::*};
use crate::{Administrator, LockedOut, Record, Setting, StaleEntry, Store, StoreError, Transaction};

/// A cluster whose one administrator is a local user by an access entry.
#[derive(Clone)]
struct World {
    cluster: Cluster,
    user: User,
    key: AccessKey,
    entry: AccessEntry,
    policy: PolicyAssociation,
    administrator: Administrator,
}

/// Another one on the same hub, with a cluster and a user of its own.
async fn world(store: &Store, number: u32) -> World {
    let mut cluster = cluster(&format!("c{number}"));
    cluster.trusted_accounts.push(TrustedAccount { authority: Authority::Aws, account: account_id(AWAY) });
    let user = user(&format!("u{number}"));
    let key = key(&user.name, number);
    let mut entry = entry(&cluster, &format!("arn:aws:iam::{HOME}:user/{}", user.name));
    entry.principal_id = Some(user.principal_id.clone());
    let policy = association(&entry, ADMIN_POLICY);
    let administrator = administrator(&entry);
    insert(store, &cluster).await.unwrap();
    insert(store, &user).await.unwrap();
    insert(store, &key).await.unwrap();
    insert(store, &entry).await.unwrap();
    insert(store, &policy).await.unwrap();
    insert(store, &administrator).await.unwrap();
    World { cluster, user, key, entry, policy, administrator }
}

async fn founded(bench: &Bench) -> Store {
    let store = bench.open().await;
    insert(&store, &account(HOME, Authority::Local)).await.unwrap();
    insert(&store, &account(AWAY, Authority::Aws)).await.unwrap();
    store
}

impl World {
    fn scope(&self) -> Scope {
        Scope::Cluster(self.cluster.uid)
    }

    fn scopes(&self) -> [Scope; 3] {
        [Scope::Hub, home(), self.scope()]
    }

    /// An administrator that nothing done to the first one touches.
    fn second(&self) -> Administrator {
        line(&self.cluster, 0, Authority::Aws, &format!("arn:aws:iam::{AWAY}:role/admin"))
    }

    fn locked_out(&self) -> LockedOut {
        LockedOut {
            cluster: self.cluster.uid,
            id: self.cluster.id.clone(),
            account: self.cluster.account,
            is_told: false,
        }
    }

    fn arn(&self) -> CanonicalArn {
        self.entry.principal_arn.one().unwrap().canonical()
    }
}

type Done<'a> = BoxFuture<'a, Result<(), StoreError>>;
type Way = (&'static str, for<'a> fn(&'a World, &'a mut Transaction) -> Done<'a>);

macro_rules! way {
    ($name:literal, |$world:ident, $transaction:ident| $body:expr) => {
        ($name, |$world, $transaction| {
            Box::pin(async move {
                $body;
                Ok(())
            })
        })
    };
}

async fn block_all(
    transaction: &mut Transaction,
    scope: Scope,
    target: BlockTarget,
) -> Result<(), StoreError> {
    transaction.insert(&block(scope, target)).await
}

/// Every way of losing an administrator by entry.
const WAYS: &[Way] = &[
    way!("its entry is deleted", |w, t| t.delete::<AccessEntry>(w.scope(), &w.entry.key()).await?),
    way!("its entry ends", |w, t| t.put(&AccessEntry { ends_at: Some(NOON), ..w.entry.clone() }).await?),
    way!("its policy is removed", |w, t| t.delete::<PolicyAssociation>(w.scope(), &w.policy.key()).await?),
    way!("its policy ends", |w, t| t
        .put(&PolicyAssociation { ends_at: Some(NOON), ..w.policy.clone() })
        .await?),
    way!("its policy holds in namespaces only", |w, t| {
        let scope = AccessScope::Namespace(vec!["*".to_owned()]);
        t.put(&PolicyAssociation { scope, ..w.policy.clone() }).await?
    }),
    way!("its row is removed", |w, t| t.delete::<Administrator>(w.scope(), &w.administrator.key()).await?),
    way!("its row ends", |w, t| t
        .put(&Administrator { ends_at: Some(NOON), ..w.administrator.clone() })
        .await?),
    way!("its last key is switched off", |w, t| t.put(&AccessKey { active: false, ..w.key.clone() }).await?),
    way!("its last key is deleted", |w, t| t.delete::<AccessKey>(home(), &w.key.key()).await?),
    way!("the user is deleted", |w, t| t.delete::<User>(home(), &w.user.name).await?),
    way!("the user is made anew under the name", |w, t| {
        t.delete::<User>(home(), &w.user.name).await?;
        t.insert(&User { principal_id: format!("{}ANEW", w.user.principal_id), ..w.user.clone() }).await?;
        t.insert(&w.key).await?
    }),
    way!("the user moves to another path", |w, t| t
        .put(&User { path: "/x/".to_owned(), ..w.user.clone() })
        .await?),
    way!("it is blocked in the cluster", |w, t| {
        let target = BlockTarget::Principal { authority: Authority::Local, canonical_arn: w.arn() };
        block_all(t, w.scope(), target).await?
    }),
    way!("it is blocked in all clusters of the account", |w, t| {
        let target = BlockTarget::Principal { authority: Authority::Local, canonical_arn: w.arn() };
        block_all(t, home(), target).await?
    }),
    way!("it is blocked on the hub", |w, t| {
        let target = BlockTarget::Principal { authority: Authority::Local, canonical_arn: w.arn() };
        block_all(t, Scope::Hub, target).await?
    }),
    way!("its account is blocked in the cluster", |w, t| {
        let target = BlockTarget::Account { authority: Authority::Local, account: w.user.account };
        block_all(t, w.scope(), target).await?
    }),
    way!("its last key is blocked", |w, t| {
        let target = BlockTarget::AccessKey { access_key_id: w.key.id.clone() };
        block_all(t, Scope::Hub, target).await?
    }),
    way!("its account is trusted no more", |w, t| {
        t.put(&Cluster { trusted_accounts: vec![w.cluster.trusted_accounts[1].clone()], ..w.cluster.clone() })
            .await?
    }),
    way!("entries count no more", |w, t| {
        t.put(&Cluster { authentication_mode: AuthenticationMode::ConfigMap, ..w.cluster.clone() }).await?
    }),
    way!("another authority vouches for the account", |w, t| {
        t.put(&Account { authority: Authority::Aws, ..account(HOME, Authority::Local) }).await?;
        let _ = w;
    }),
];

async fn take(
    store: &Store,
    world: &World,
    (_, way): &Way,
    allow_lockout: bool,
) -> Result<crate::Committed, StoreError> {
    let mut mutation = by("test");
    mutation.allow_lockout = allow_lockout;
    let mut transaction = store.begin("test", &mutation, &world.scopes()).await?;
    way(world, &mut transaction).await?;
    transaction.commit_unrecorded().await
}

fn refused(result: Result<crate::Committed, StoreError>, world: &World, what: &str) {
    match result {
        Err(StoreError::Lockout { clusters }) => assert_eq!(clusters, [world.locked_out()], "{what}"),
        other => panic!("{what}: {other:?}"),
    }
}

pub(super) async fn immunity_56_each_way_of_losing_the_last_administrator_is_refused(bench: Bench) {
    let store = founded(&bench).await;
    let world = world(&store, 1).await;
    for way in WAYS {
        refused(take(&store, &world, way, false).await, &world, way.0);
    }
    for scope in world.scopes() {
        assert_eq!(store.verify_chain(scope).await.unwrap().fault, None, "nothing of it was written");
    }

    // By aws-auth, from an account of AWS: nothing is known of the principal, much of the account.
    let mut of_aws = cluster("aws");
    of_aws.trusted_accounts.push(TrustedAccount { authority: Authority::Aws, account: account_id(AWAY) });
    insert(&store, &of_aws).await.unwrap();
    let first = line(&of_aws, 0, Authority::Aws, &format!("arn:aws:iam::{AWAY}:role/admin"));
    insert(&store, &first).await.unwrap();
    let (scope, away) = (Scope::Cluster(of_aws.uid), Scope::Account(account_id(AWAY)));
    let begin = || async { store.begin("test", &by("test"), &[Scope::Hub, away, scope]).await.unwrap() };
    let locked_out = |result: Result<_, StoreError>, what: &str| match result {
        Err(StoreError::Lockout { clusters }) => assert_eq!(clusters[0].cluster, of_aws.uid, "{what}"),
        other => panic!("{what}: {other:?}"),
    };

    let mut transaction = begin().await;
    transaction.delete::<Account>(Scope::Hub, AWAY).await.unwrap();
    locked_out(transaction.commit_unrecorded().await, "its account is deleted");

    let mut transaction = begin().await;
    let mode = AuthenticationMode::Api;
    transaction.put(&Cluster { authentication_mode: mode, ..of_aws.clone() }).await.unwrap();
    locked_out(transaction.commit_unrecorded().await, "aws-auth counts no more");

    let mut transaction = begin().await;
    transaction.delete::<Administrator>(scope, &first.key()).await.unwrap();
    let nobody = line(&of_aws, 1, Authority::Local, &format!("arn:aws:iam::{HOME}:user/nobody"));
    transaction.insert(&nobody).await.unwrap();
    locked_out(transaction.commit_unrecorded().await, "another aws-auth names nobody who exists");

    // From a role whose path aws-auth leaves out, and in other letters than the block.
    let mut transaction = begin().await;
    let canonical_arn = CanonicalArn::parse(&format!("arn:aws:iam::{AWAY}:role/team/ADMIN")).unwrap();
    let target = BlockTarget::Principal { authority: Authority::Aws, canonical_arn };
    transaction.insert(&block(scope, target)).await.unwrap();
    locked_out(transaction.commit_unrecorded().await, "it is blocked");
}

/// By a user of an account.
fn by_user_of(account: &str) -> Mutation {
    let kind = ActorKind::Principal {
        authority: Authority::Local,
        arn: format!("arn:aws:iam::{account}:user/boss").parse().unwrap(),
        principal_id: "AIDABOSS".to_owned(),
        lineage: Box::new(Lineage {
            access_key_id: None,
            ancestors: Vec::new(),
            transitive_tags: Default::default(),
            source_identity: None,
            chain_depth: 0,
        }),
        session_policy: None,
    };
    Mutation::by(Vouched::in_process(Actor { kind, ..Actor::system("test") }))
}

pub(super) async fn a_refusal_names_a_cluster_where_the_call_is_about_it_alone(bench: Bench) {
    let store = founded(&bench).await;
    let world = world(&store, 1).await;
    let is_told = |result: Result<crate::Committed, StoreError>| match result {
        Err(StoreError::Lockout { clusters }) => {
            clusters.iter().map(|cluster| cluster.is_told).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    for (account, expected) in [(HOME, true), (AWAY, false)] {
        let mut transaction = store.begin("test", &by_user_of(account), &[world.scope()]).await.unwrap();
        transaction.delete::<AccessEntry>(world.scope(), &world.entry.key()).await.unwrap();
        assert_eq!(is_told(transaction.commit_unrecorded().await), [expected], "its entry, by {account}");
    }
    // Whoever may change a user of the account need not know that there is a cluster.
    let mut transaction = store.begin("test", &by_user_of(HOME), &[home()]).await.unwrap();
    transaction.delete::<AccessKey>(home(), &world.key.key()).await.unwrap();
    assert_eq!(is_told(transaction.commit_unrecorded().await), [false], "a user's key");
}

pub(super) async fn immunity_56_losing_the_last_administrator_is_allowed_when_it_is_said(bench: Bench) {
    let store = founded(&bench).await;
    for (number, way) in (1..).zip(&WAYS[..5]) {
        let world = world(&store, number).await;
        take(&store, &world, way, true).await.unwrap();
    }

    let marked = world(&store, 101).await;
    let tags = [("lanyard:allow-lockout".to_owned(), "true".to_owned())].into();
    put(&store, &Cluster { tags, ..marked.cluster.clone() }).await.unwrap();
    take(&store, &marked, &WAYS[0], false).await.unwrap();

    let other = world(&store, 102).await;
    let tags = [("lanyard:allow-lockout".to_owned(), "yes".to_owned())].into();
    put(&store, &Cluster { tags, ..other.cluster.clone() }).await.unwrap();
    refused(take(&store, &other, &WAYS[0], false).await, &other, "the tag says `true` or nothing");

    // A cluster that goes altogether is locked to nobody.
    let gone = world(&store, 103).await;
    delete(&store, &gone.cluster, &[gone.scope()]).await.unwrap();
}

pub(super) async fn immunity_56_a_second_administrator_makes_each_of_these_harmless(bench: Bench) {
    let store = founded(&bench).await;
    // The last way is the account's and so every world's.
    for (number, way) in (1..).zip(&WAYS[..WAYS.len() - 1]) {
        let world = world(&store, number).await;
        if way.0 == "its account is blocked in the cluster" || number % 2 == 0 {
            insert(&store, &world.second()).await.unwrap();
        } else {
            let mut second = entry(&world.cluster, &format!("arn:aws:iam::{AWAY}:role/admin"));
            second.authority = Authority::Aws;
            insert(&store, &second).await.unwrap();
            insert(&store, &association(&second, ADMIN_POLICY)).await.unwrap();
            insert(&store, &administrator(&second)).await.unwrap();
        }
        let of_this_alone = way.0 != "entries count no more" || number % 2 == 0;
        match take(&store, &world, way, false).await {
            Ok(_) => assert!(of_this_alone, "{}", way.0),
            Err(error) => assert!(!of_this_alone, "{}: {error}", way.0),
        }
        // What was done on the hub and in the account must not reach the next world.
        let (_, blocks) = store.load::<Block>(Scope::Hub).await.unwrap();
        for block in blocks.iter().chain(&store.load::<Block>(home()).await.unwrap().1) {
            delete(&store, block, &[]).await.unwrap();
        }
    }
}

/// Makes a change to a lone administrator that has a live one beside it, takes that one away, and tells whether the first counts.
async fn counts(store: &Store, world: &World, administrator: &Administrator) -> bool {
    put(store, &world.second()).await.unwrap();
    let mut transaction = store.begin("test", &by("test"), &[world.scope()]).await.unwrap();
    transaction.put(administrator).await.unwrap();
    transaction.commit_unrecorded().await.unwrap();
    let mut transaction = store.begin("test", &by("test"), &[world.scope()]).await.unwrap();
    transaction.delete::<Administrator>(world.scope(), &world.second().key()).await.unwrap();
    match transaction.commit_unrecorded().await {
        Ok(_) => true,
        Err(StoreError::Lockout { .. }) => false,
        Err(other) => panic!("{other}"),
    }
}

pub(super) async fn immunity_56_whose_arn_another_bears_is_no_administrator(bench: Bench) {
    let store = founded(&bench).await;
    let world = world(&store, 1).await;
    let mut of_aws = entry(&world.cluster, &format!("arn:aws:iam::{AWAY}:role/admin"));
    of_aws.authority = Authority::Aws;
    of_aws.principal_id = Some("AROAOLD".to_owned());
    insert(&store, &of_aws).await.unwrap();
    insert(&store, &association(&of_aws, ADMIN_POLICY)).await.unwrap();
    insert(&store, &administrator(&of_aws)).await.unwrap();
    let stale = stale_entry(&of_aws);
    assert!(stale.takes("AROANEWER") && !stale.takes("AROANEW") && stale.newest() == Some("AROANEW"));
    let full = StaleEntry { principal_ids: vec![String::new(); StaleEntry::IDS_MAX], ..stale.clone() };
    assert!(!full.takes("AROANEWER"));
    insert(&store, &stale).await.unwrap();
    let last = delete(&store, &world.administrator, &[]).await;
    assert!(matches!(last, Err(StoreError::Lockout { .. })), "a stale entry lets nobody in: {last:?}");
    // Bound again, it does.
    delete(&store, &stale, &[]).await.unwrap();
    delete(&store, &world.administrator, &[]).await.unwrap();
    // That the last one went stale is a fact, which no guard keeps from being told.
    insert(&store, &stale).await.unwrap();
    // It goes with its entry.
    let mut transaction = store.begin("test", &by("test"), &[world.scope()]).await.unwrap();
    transaction.delete::<AccessEntry>(world.scope(), &of_aws.key()).await.unwrap();
    transaction.commit_unrecorded().await.unwrap();
    assert_eq!(store.load::<StaleEntry>(world.scope()).await.unwrap().1, []);
}

pub(super) async fn immunity_56_who_could_not_log_in_is_no_administrator(bench: Bench) {
    let store = founded(&bench).await;
    insert(&store, &role("ops")).await.unwrap();
    let user_arn = |name: &str| format!("arn:aws:iam::{HOME}:user/{name}");
    let role_arn = |name: &str| format!("arn:aws:iam::{HOME}:role/{name}");
    let local = |cluster: &Cluster, arn: &str| line(cluster, 1, Authority::Local, arn);
    let bound = |mut administrator: Administrator, id: &str| {
        administrator.principal_id = Some(id.to_owned());
        administrator
    };
    let ending = |mut administrator: Administrator, ends_at| {
        administrator.ends_at = Some(ends_at);
        administrator
    };

    let trusts =
        |name: &str, principals: &[&str]| IamRole { trust_policy: trusting(principals), ..role(name) };
    put(&store, &trusts("ops", &[&user_arn("u1"), &user_arn("nokey")])).await.unwrap();
    insert(&store, &trusts("through", &[&role_arn("ops")])).await.unwrap();
    insert(&store, &trusts("closed", &[&user_arn("nokey")])).await.unwrap();
    insert(&store, &trusts("circle", &[&role_arn("circle")])).await.unwrap();

    // Nobody local has a key yet.
    let mut keyless = cluster("keyless");
    keyless.trusted_accounts.push(TrustedAccount { authority: Authority::Aws, account: account_id(AWAY) });
    insert(&store, &keyless).await.unwrap();
    insert(&store, &user("nokey")).await.unwrap();
    let probe = entry(&keyless, &user_arn("nokey"));
    let mut world_without = World {
        cluster: keyless.clone(),
        user: user("nokey"),
        key: key("nokey", 900),
        policy: association(&probe, ADMIN_POLICY),
        administrator: administrator(&probe),
        entry: probe,
    };
    assert!(
        !counts(&store, &world_without, &local(&keyless, &user_arn("nokey"))).await,
        "a user without a key"
    );
    assert!(
        !counts(&store, &world_without, &local(&keyless, &role_arn("ops"))).await,
        "a role that nobody can assume"
    );

    let w = world(&store, 1).await;
    let c = &w.cluster;
    // Not by the entry: by lines, one at a time.
    insert(&store, &w.second()).await.unwrap();
    delete(&store, &w.administrator, &[]).await.unwrap();
    let other_partition = Administrator {
        canonical_arn: CanonicalArn::parse(&format!("arn:aws-cn:iam::{HOME}:user/u1")).unwrap(),
        ..local(c, &user_arn("u1"))
    };
    let cases = [
        ("a user with a key", local(c, &user_arn("u1")), true),
        ("in other letters, as aws-auth may have it", local(c, &user_arn("U1")), true),
        ("bound to its id", bound(local(c, &user_arn("u1")), &w.user.principal_id), true),
        ("bound to another id", bound(local(c, &user_arn("u1")), "AIDAOTHER"), false),
        ("under another path", local(c, &user_arn("x/u1")), false),
        ("nobody of that name", local(c, &user_arn("ghost")), false),
        ("a role that a user with a key may assume", local(c, &role_arn("ops")), true),
        ("a role that such a role may assume", local(c, &role_arn("through")), true),
        ("a role that a user without a key may assume", local(c, &role_arn("closed")), false),
        ("a role that itself alone may assume", local(c, &role_arn("circle")), false),
        ("the same named with a path", local(c, &role_arn("x/ops")), true),
        ("a role bound to another id", bound(local(c, &role_arn("ops")), "AROAOTHER"), false),
        ("no role of that name", local(c, &role_arn("ghost")), false),
        ("root, which has no keys", local(c, &format!("arn:aws:iam::{HOME}:root")), false),
        ("of another partition", other_partition, false),
        ("ended", ending(local(c, &user_arn("u1")), NOON), false),
        ("not yet ended", ending(local(c, &user_arn("u1")), NOON + Duration::seconds(1)), true),
        ("by an authority that is not the account's", line(c, 1, Authority::Aws, &user_arn("u1")), false),
        (
            "of an account that the cluster does not trust",
            line(c, 1, Authority::Aws, "arn:aws:iam::777788889999:role/admin"),
            false,
        ),
    ];
    for (what, administrator, expected) in cases {
        assert_eq!(counts(&store, &w, &administrator).await, expected, "{what}");
    }

    world_without.cluster.partition = Partition::Aws;
    assert!(
        counts(&store, &world_without, &local(&keyless, &role_arn("ops"))).await,
        "now that a user has a key"
    );
}

fn local(arn: &str) -> BlockTarget {
    BlockTarget::Principal { authority: Authority::Local, canonical_arn: CanonicalArn::parse(arn).unwrap() }
}

pub(super) async fn immunity_56_no_block_leaves_nobody_who_may_lift_it(bench: Bench) {
    let store = founded(&bench).await;
    let away = Scope::Account(account_id(AWAY));
    put(&store, &account(AWAY, Authority::Local)).await.unwrap();
    insert(&store, &Setting::hub_id(lanyard_api::HubId::random())).await.unwrap();
    insert(&store, &Setting::embedded_account(account_id(HOME))).await.unwrap();
    let operator = user("operator");
    insert(&store, &operator).await.unwrap();
    insert(&store, &key("operator", 1)).await.unwrap();
    let all = InlinePolicy {
        document: statement("Allow", "*", "*"),
        ..policy(PolicyOwner::User(operator.name.clone()), "all")
    };
    insert(&store, &all).await.unwrap();
    insert(&store, &user("reader")).await.unwrap();
    insert(&store, &key("reader", 2)).await.unwrap();
    let tenant = User { account: account_id(AWAY), principal_id: "AIDATENANT".to_owned(), ..user("tenant") };
    insert(&store, &tenant).await.unwrap();

    let of = |number: &str| BlockTarget::Account { authority: Authority::Local, account: account_id(number) };
    let user_arn = |number: &str, name: &str| local(&format!("arn:aws:iam::{number}:user/{name}"));
    let access_key = BlockTarget::AccessKey { access_key_id: key("operator", 1).id };
    let of_aws = BlockTarget::Account { authority: Authority::Aws, account: account_id(HOME) };
    let cases = [
        (Scope::Hub, of(HOME), true),
        (home(), of(HOME), true),
        (Scope::Hub, user_arn(HOME, "operator"), true),
        (home(), user_arn(HOME, "Operator"), true),
        (Scope::Hub, access_key.clone(), true),
        (home(), access_key, true),
        // What stops nobody who may lift it.
        (Scope::Hub, user_arn(HOME, "reader"), false),
        (Scope::Hub, of_aws, false),
        (Scope::Hub, of(AWAY), false),
        (away, of(AWAY), false),
        (away, of(HOME), false),
    ];
    let put_up = async |scope: Scope, target: &BlockTarget, allow_lockout: bool| {
        let mut mutation = by("test");
        mutation.allow_lockout = allow_lockout;
        let mut transaction = store.begin("test", &mutation, &[scope]).await.unwrap();
        let block = block(scope, target.clone());
        transaction.insert(&block).await.unwrap();
        (transaction.commit_unrecorded().await, block)
    };
    for (scope, target, locks_out) in &cases {
        let (done, made) = put_up(*scope, target, false).await;
        match done {
            Err(StoreError::NobodyLifts) if *locks_out => {}
            Ok(_) if !locks_out => drop(delete(&store, &made, &[]).await.unwrap()),
            other => panic!("{scope} {target:?}: {other:?}"),
        }
    }

    // With somebody else who may lift it, each is harmless; said by name, it is done.
    insert(&store, &user("second")).await.unwrap();
    insert(&store, &key("second", 3)).await.unwrap();
    let lifts = InlinePolicy {
        document: statement("Allow", "lanyard:DeleteBlock", "*"),
        ..policy(PolicyOwner::User("second".to_owned()), "lifts")
    };
    insert(&store, &lifts).await.unwrap();
    let (done, made) = put_up(Scope::Hub, &user_arn(HOME, "operator"), false).await;
    done.unwrap();
    delete(&store, &made, &[]).await.unwrap();
    let (done, made) = put_up(Scope::Hub, &of(HOME), false).await;
    assert!(matches!(done, Err(StoreError::NobodyLifts)), "{done:?}");
    drop(made);
    put_up(Scope::Hub, &of(HOME), true).await.0.unwrap();
    // Nobody is left to be locked out by another one.
    put_up(Scope::Hub, &user_arn(HOME, "operator"), false).await.0.unwrap();
}

pub(super) async fn immunity_56_two_at_once_cannot_take_one_each(bench: Bench) {
    let store = founded(&bench).await;
    let other = bench.open().await;
    for number in 1..=6 {
        let world = world(&store, number).await;
        let mut second = user(&format!("second{number}"));
        second.path = "/".to_owned();
        let second_key = key(&second.name, 100 + number);
        insert(&store, &second).await.unwrap();
        insert(&store, &second_key).await.unwrap();
        let by_line =
            line(&world.cluster, 0, Authority::Local, &format!("arn:aws:iam::{HOME}:user/{}", second.name));
        insert(&store, &by_line).await.unwrap();
        // One loses the entry, in the cluster's scope; the other loses its key, in the account's.
        let inactive = AccessKey { active: false, ..second_key.clone() };
        let (entry_goes, key_goes) = tokio::join!(delete(&store, &world.entry, &[]), put(&other, &inactive));
        let done = [entry_goes, key_goes];
        assert_eq!(done.iter().filter(|result| result.is_ok()).count(), 1, "{done:?}");
        assert_eq!(
            done.iter().filter(|r| matches!(r, Err(StoreError::Lockout { .. }))).count(),
            1,
            "{done:?}"
        );
    }
}

pub(super) async fn a_cluster_without_administrators_may_stay_so(bench: Bench) {
    let store = founded(&bench).await;
    let empty = cluster("empty");
    insert(&store, &empty).await.unwrap();
    let entry = entry(&empty, &format!("arn:aws:iam::{HOME}:role/dev"));
    insert(&store, &entry).await.unwrap();
    delete(&store, &entry, &[]).await.unwrap();

    // What a mutation itself adds and takes away again was not there when it began.
    let scope = Scope::Cluster(empty.uid);
    let mut transaction = store.begin("test", &by("test"), &[scope, home()]).await.unwrap();
    transaction.insert(&user("ana")).await.unwrap();
    transaction.insert(&key("ana", 1)).await.unwrap();
    let by_line = line(&empty, 0, Authority::Local, &format!("arn:aws:iam::{HOME}:user/ana"));
    transaction.insert(&by_line).await.unwrap();
    transaction.delete::<Administrator>(scope, &by_line.key()).await.unwrap();
    transaction.commit_unrecorded().await.unwrap();
}

pub(super) async fn an_administrator_whose_end_passes_is_not_a_write(bench: Bench) {
    let store = founded(&bench).await;
    let w = world(&store, 1).await;
    let ends_at = Some(NOON + Duration::hours(1));
    put(&store, &Administrator { ends_at, ..w.administrator.clone() }).await.unwrap();
    refused(delete(&store, &w.entry, &[]).await, &w, "a moment before");
    bench.clock.set(NOON + Duration::hours(1));
    // Nobody was locked out by this write: it had happened by itself.
    delete(&store, &w.entry, &[]).await.unwrap();
}
