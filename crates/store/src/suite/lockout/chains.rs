//! Who assumes a role is an administrator by it, along a chain of roles.

use lanyard_api::{Authority, Scope, authn::accounts::*, mapping::*};

use super::{Done, founded, local};
use crate::{
    Record, Store, StoreError, Transaction,
    suite::{Bench, world::*},
};

/// A cluster whose one administrator is the last role of a chain: `ana`, whom her policy lets, assumes `between`, and that
/// one `last`.
struct Chained {
    cluster: Cluster,
    ana: User,
    ana_key: AccessKey,
    may: InlinePolicy,
    between: IamRole,
    last: IamRole,
}

async fn chained(store: &Store) -> Chained {
    let root = format!("arn:aws:iam::{HOME}:root");
    let (ana, last_name, between_name) = (user("ana"), "last", "between");
    let may = InlinePolicy {
        document: statement("Allow", "sts:AssumeRole", &format!("arn:aws:iam::{HOME}:role/{between_name}")),
        ..policy(PolicyOwner::User(ana.name.clone()), "assume")
    };
    let between = IamRole { trust_policy: trusting(&[&root]), ..role(between_name) };
    let last = IamRole {
        trust_policy: trusting(&[&format!("arn:aws:iam::{HOME}:role/{between_name}")]),
        ..role(last_name)
    };
    let (cluster, ana_key) = (cluster("chained"), key(&ana.name, 1));
    insert(store, &cluster).await.unwrap();
    insert(store, &ana).await.unwrap();
    insert(store, &ana_key).await.unwrap();
    insert(store, &may).await.unwrap();
    insert(store, &between).await.unwrap();
    insert(store, &last).await.unwrap();
    insert(store, &line(&cluster, 0, Authority::Local, &format!("arn:aws:iam::{HOME}:role/last")))
        .await
        .unwrap();
    Chained { cluster, ana, ana_key, may, between, last }
}

type ChainWay = (&'static str, for<'a> fn(&'a Chained, &'a mut Transaction) -> Done<'a>, bool);

macro_rules! chain_way {
    ($name:literal, $locks_out:literal, |$world:ident, $transaction:ident| $body:expr) => {
        (
            $name,
            |$world, $transaction| {
                Box::pin(async move {
                    $body;
                    Ok(())
                })
            },
            $locks_out,
        )
    };
}

fn trusts_no_one(role: &IamRole) -> IamRole {
    IamRole { trust_policy: trusting(&[&format!("arn:aws:iam::{HOME}:user/ghost")]), ..role.clone() }
}

/// The role, whose trust policy names the other and means the principal of this unique id.
fn meaning(role: &IamRole, named: &IamRole, id: &str) -> IamRole {
    let arn = format!("arn:aws:iam::{HOME}:role/{}", named.name);
    IamRole { trusted_ids: [(arn, id.to_owned())].into(), ..role.clone() }
}

/// What takes the chain apart, and what does not.
const CHAIN_WAYS: &[ChainWay] = &[
    chain_way!("the last role trusts another", true, |w, t| t.put(&trusts_no_one(&w.last)).await?),
    chain_way!("the last role trusts who bore the name of the role in between before", true, |w, t| t
        .put(&meaning(&w.last, &w.between, "AROAGONE"))
        .await?),
    chain_way!("the last role trusts the role in between by its unique id", false, |w, t| t
        .put(&meaning(&w.last, &w.between, &w.between.principal_id))
        .await?),
    chain_way!("a role in between trusts another", true, |w, t| t.put(&trusts_no_one(&w.between)).await?),
    chain_way!("its trust policy cannot be read", true, |w, t| t
        .put(&IamRole { trust_policy: "{}".to_owned(), ..w.between.clone() })
        .await?),
    chain_way!("the role in between is deleted", true, |w, t| t
        .delete::<IamRole>(home(), &w.between.name)
        .await?),
    chain_way!("the last role is deleted", true, |w, t| t.delete::<IamRole>(home(), &w.last.name).await?),
    chain_way!("the user's policy is deleted", true, |w, t| t
        .delete::<InlinePolicy>(home(), &w.may.key())
        .await?),
    chain_way!("the user's policy allows something else", true, |w, t| t
        .put(&InlinePolicy { document: statement("Allow", "iam:*", "*"), ..w.may.clone() })
        .await?),
    chain_way!("another policy of the user denies it", true, |w, t| t
        .insert(&InlinePolicy {
            document: statement("Deny", "sts:*", "*"),
            ..policy(PolicyOwner::User(w.ana.name.clone()), "deny")
        })
        .await?),
    chain_way!("another policy of the role in between denies it", true, |w, t| t
        .insert(&InlinePolicy {
            document: statement("Deny", "sts:*", "*"),
            ..policy(PolicyOwner::Role(w.between.name.clone()), "deny")
        })
        .await?),
    chain_way!("the user's key is switched off", true, |w, t| t
        .put(&AccessKey { active: false, ..w.ana_key.clone() })
        .await?),
    chain_way!("the user is deleted", true, |w, t| t.delete::<User>(home(), &w.ana.name).await?),
    chain_way!("the user is blocked in the cluster", true, |w, t| {
        t.insert(&block(Scope::Cluster(w.cluster.uid), local(&format!("arn:aws:iam::{HOME}:user/ana"))))
            .await?
    }),
    chain_way!("the role in between is blocked in its account", true, |w, t| {
        let _ = w;
        t.insert(&block(home(), local(&format!("arn:aws:iam::{HOME}:role/between")))).await?
    }),
    chain_way!("the user's key is blocked", true, |w, t| {
        let access_key_id = w.ana_key.id.clone();
        t.insert(&block(Scope::Hub, BlockTarget::AccessKey { access_key_id })).await?
    }),
    chain_way!("the user gets another policy", false, |w, t| t
        .insert(&InlinePolicy {
            document: statement("Deny", "iam:*", "*"),
            ..policy(PolicyOwner::User(w.ana.name.clone()), "other")
        })
        .await?),
    chain_way!("the last role trusts more", false, |w, t| {
        let arns = ["user/ghost", "role/between"].map(|name| format!("arn:aws:iam::{HOME}:{name}"));
        let trust_policy = trusting(&[&arns[0], &arns[1]]);
        t.put(&IamRole { trust_policy, ..w.last.clone() }).await?
    }),
    chain_way!("one who is not in the chain is blocked", false, |w, t| {
        let _ = w;
        t.insert(&block(Scope::Hub, local(&format!("arn:aws:iam::{HOME}:user/bob")))).await?
    }),
];

pub(in crate::suite) async fn immunity_56_a_role_counts_while_somebody_can_assume_it(bench: Bench) {
    let store = founded(&bench).await;
    let w = chained(&store).await;
    let scopes = [Scope::Hub, home(), Scope::Cluster(w.cluster.uid)];
    for (what, way, locks_out) in CHAIN_WAYS {
        let mut transaction = store.begin("test", &by("test"), &scopes).await.unwrap();
        way(&w, &mut transaction).await.unwrap();
        match transaction.commit_unrecorded().await {
            Err(StoreError::Lockout { clusters }) if *locks_out => {
                assert_eq!(clusters[0].cluster, w.cluster.uid, "{what}");
            }
            Ok(_) if !locks_out => {}
            other => panic!("{what}: {other:?}"),
        }
    }
}
