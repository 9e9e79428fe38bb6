//! The guard's query against the rule written out plainly, on random worlds.

use std::collections::BTreeSet;

use lanyard_api::{
    Authority, EntryId, Scope, TrustedAccount,
    authn::accounts::{AccessKey, Account, IamRole, InlinePolicy, PolicyOwner, User},
    mapping::{AccessEntry, AccessScope, AuthenticationMode, Block, BlockTarget, Cluster, PolicyAssociation},
};
use lanyard_iam::{CanonicalArn, PrincipalArn, PrincipalKind};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use time::{Duration, OffsetDateTime};

use super::{Bench, NOON, world::*};
use crate::{Administrator, AdministratorSource, StaleEntry, Store, StoreError, Transaction, lockout::live};

/// A hub with two clusters, one in each of its accounts.
#[derive(Debug, Clone)]
struct World {
    accounts: Vec<Account>,
    clusters: Vec<Cluster>,
    users: Vec<User>,
    keys: Vec<AccessKey>,
    roles: Vec<IamRole>,
    /// By the name of the role.
    trusts: Vec<(&'static str, Trust)>,
    documents: Vec<InlinePolicy>,
    /// By the name of the user or role.
    may: Vec<(&'static str, May)>,
    entries: Vec<AccessEntry>,
    /// Of those under whose ARN somebody else has knocked.
    stale: Vec<StaleEntry>,
    policies: Vec<PolicyAssociation>,
    administrators: Vec<Administrator>,
    blocks: Vec<Block>,
}

/// Whom a role's trust policy lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    Unreadable,
    /// The user `a`, by its ARN.
    A,
    /// The same, with an external id that is the caller's to give.
    AWithId,
    /// The account, and so whom its own policies let.
    Account,
    /// The account, when that moment has not passed yet.
    AccountBefore2000,
    /// The account without `a`.
    AccountButA,
    /// The role `via`.
    Via,
    /// One session of it.
    SessionOfVia,
}

/// What somebody's identity policy says of assuming roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum May {
    Nothing,
    Unreadable,
    AssumeAll,
    AssumeAllButR,
}

/// How a trust policy takes a caller.
#[derive(PartialEq, Eq)]
enum Taken {
    No,
    AsOfTheAccount,
    AsItself,
}

impl Trust {
    fn document(self) -> String {
        let allow = |principal: &str, condition: &str| {
            let condition =
                if condition.is_empty() { String::new() } else { format!(r#","Condition":{condition}"#) };
            format!(
                r#"{{"Effect":"Allow","Principal":{{"AWS":"{principal}"}},"Action":"sts:AssumeRole"{condition}}}"#
            )
        };
        let (a, root) = (format!("arn:aws:iam::{HOME}:user/a"), format!("arn:aws:iam::{HOME}:root"));
        let statements = match self {
            Self::Unreadable => return "{}".to_owned(),
            Self::A => allow(&a, ""),
            Self::AWithId => allow(&a, r#"{"StringEquals":{"sts:ExternalId":"secret"}}"#),
            Self::Account => allow(&root, ""),
            Self::AccountBefore2000 => {
                allow(HOME, r#"{"DateLessThan":{"aws:CurrentTime":"2000-01-01T00:00:00Z"}}"#)
            }
            Self::AccountButA => [
                allow(&root, ""),
                format!(r#"{{"Effect":"Deny","Principal":{{"AWS":"{a}"}},"Action":"sts:AssumeRole"}}"#),
            ]
            .join(","),
            Self::Via => allow(&format!("arn:aws:iam::{HOME}:role/via"), ""),
            Self::SessionOfVia => allow(&format!("arn:aws:sts::{HOME}:assumed-role/via/on-call"), ""),
        };
        format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#)
    }

    fn takes(self, caller: &str) -> Taken {
        let is = |name: &str| if caller == name { Taken::AsItself } else { Taken::No };
        match self {
            Self::Unreadable | Self::AccountBefore2000 => Taken::No,
            Self::A | Self::AWithId => is("a"),
            Self::Account => Taken::AsOfTheAccount,
            Self::AccountButA if caller == "a" => Taken::No,
            Self::AccountButA => Taken::AsOfTheAccount,
            Self::Via | Self::SessionOfVia => is("via"),
        }
    }
}

impl May {
    fn document(self) -> Option<String> {
        let all = r#"{"Effect":"Allow","Action":"sts:*","Resource":"*"}"#;
        let not_r = format!(
            r#"{{"Effect":"Deny","Action":"sts:AssumeRole","Resource":"arn:aws:iam::{HOME}:role/r"}}"#
        );
        let statements = match self {
            Self::Nothing => return None,
            Self::Unreadable => return Some("{}".to_owned()),
            Self::AssumeAll => all.to_owned(),
            Self::AssumeAllButR => format!("{all},{not_r}"),
        };
        Some(format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#))
    }
}

fn has_ended(ends_at: Option<OffsetDateTime>) -> bool {
    ends_at.is_some_and(|end| end <= NOON)
}

impl World {
    /// The clusters with somebody who could log in now as an administrator.
    fn live(&self) -> BTreeSet<String> {
        let live = |cluster: &&Cluster| self.administrators.iter().any(|a| self.is_live(cluster, a));
        self.clusters.iter().filter(live).map(|cluster| cluster.uid.to_string()).collect()
    }

    fn is_live(&self, cluster: &Cluster, administrator: &Administrator) -> bool {
        let principal = PrincipalArn::parse(administrator.canonical_arn.as_str()).unwrap();
        let Administrator { authority, account, .. } = administrator;
        let vouched = self.accounts.iter().any(|a| a.id == *account && a.authority == *authority);
        let trusted = TrustedAccount { authority: authority.clone(), account: *account };
        administrator.cluster == cluster.uid
            && !has_ended(administrator.ends_at)
            && self.source_counts(cluster, &administrator.source)
            && vouched
            && cluster.trusted_accounts.contains(&trusted)
            && !self.is_blocked(cluster, authority, &principal)
            && (*authority != Authority::Local || self.can_sign(cluster, administrator, &principal))
    }

    fn source_counts(&self, cluster: &Cluster, source: &AdministratorSource) -> bool {
        match source {
            AdministratorSource::AwsAuth(_) => cluster.authentication_mode != AuthenticationMode::Api,
            AdministratorSource::Entry(id) => {
                let entry = self.entries.iter().find(|entry| entry.id == *id).unwrap();
                let policy = self.policies.iter().find(|policy| policy.entry == *id);
                let is_admin = |policy: &PolicyAssociation| {
                    policy.policy_arn == ADMIN_POLICY
                        && policy.scope == AccessScope::Cluster
                        && !has_ended(policy.ends_at)
                };
                cluster.authentication_mode != AuthenticationMode::ConfigMap
                    && !has_ended(entry.ends_at)
                    && !self.stale.iter().any(|stale| stale.entry == *id)
                    && policy.is_some_and(is_admin)
            }
        }
    }

    fn holds(&self, block: &Block, cluster: &Cluster) -> bool {
        match block.scope {
            Scope::Hub => true,
            Scope::Account(id) => id == cluster.account,
            Scope::Cluster(uid) => uid == cluster.uid,
        }
    }

    /// Whoever assumes a role makes a management call, which the blocks of their own account stop too.
    fn holds_for_callers(&self, block: &Block, cluster: &Cluster) -> bool {
        self.holds(block, cluster) || block.scope == home()
    }

    fn is_blocked(&self, cluster: &Cluster, authority: &Authority, principal: &PrincipalArn) -> bool {
        self.is_blocked_behind(authority, principal, &|block| self.holds(block, cluster))
    }

    fn is_blocked_behind(
        &self,
        authority: &Authority,
        principal: &PrincipalArn,
        holds: &dyn Fn(&Block) -> bool,
    ) -> bool {
        self.blocks.iter().filter(|block| holds(block)).any(|block| match &block.target {
            BlockTarget::Principal { authority: whose, canonical_arn } => {
                let blocked = PrincipalArn::parse(canonical_arn.as_str()).unwrap();
                let same_name = blocked.name().unwrap().eq_ignore_ascii_case(principal.name().unwrap());
                let same_kind =
                    std::mem::discriminant(&blocked.kind) == std::mem::discriminant(&principal.kind);
                // All users here are at the root path, and a role's counts for nothing.
                whose == authority && blocked.account == principal.account && same_kind && same_name
            }
            BlockTarget::Account { authority: whose, account } => {
                whose == authority && *account == principal.account
            }
            BlockTarget::AccessKey { .. }
            | BlockTarget::Session { .. }
            | BlockTarget::OidcSubject { .. }
            | BlockTarget::OidcIssuer { .. }
            | BlockTarget::Certificate { .. } => false,
        })
    }

    fn has_key(&self, cluster: &Cluster, user: &User) -> bool {
        self.has_key_behind(user, &|block| self.holds(block, cluster))
    }

    fn has_key_behind(&self, user: &User, holds: &dyn Fn(&Block) -> bool) -> bool {
        let is_blocked = |key: &AccessKey| {
            let target = BlockTarget::AccessKey { access_key_id: key.id.clone() };
            self.blocks.iter().any(|block| holds(block) && block.target == target)
        };
        self.keys.iter().any(|key| key.user == user.name && key.active && !is_blocked(key))
    }

    fn can_sign(&self, cluster: &Cluster, administrator: &Administrator, principal: &PrincipalArn) -> bool {
        let is_bound = |id: &str| administrator.principal_id.as_deref().is_none_or(|bound| bound == id);
        let has_name = |name: &str| principal.name().unwrap().eq_ignore_ascii_case(name);
        match principal.kind {
            PrincipalKind::User { .. } => self.users.iter().any(|user| {
                user.account == principal.account
                    && has_name(&user.name)
                    && is_bound(&user.principal_id)
                    && self.has_key(cluster, user)
            }),
            PrincipalKind::Role { .. } => self.roles.iter().any(|role| {
                role.account == principal.account
                    && has_name(&role.name)
                    && is_bound(&role.principal_id)
                    && self.can_be_assumed(cluster, &role.name, &mut Vec::new())
            }),
            _ => false,
        }
    }

    /// Somebody with a key can assume it, themselves or by another role.
    fn can_be_assumed(&self, cluster: &Cluster, role: &str, before: &mut Vec<String>) -> bool {
        before.push(role.to_owned());
        let is_local =
            self.accounts.iter().any(|a| a.id == account_id(HOME) && a.authority == Authority::Local);
        let holds = |block: &Block| self.holds_for_callers(block, cluster);
        let free = |kind: &str, name: &str| {
            let arn = PrincipalArn::parse(&format!("arn:aws:iam::{HOME}:{kind}/{name}")).unwrap();
            !self.is_blocked_behind(&Authority::Local, &arn, &holds)
        };
        let by_user = self.users.iter().any(|user| {
            self.has_key_behind(user, &holds) && free("user", &user.name) && self.assumes(&user.name, role)
        });
        let mut by_role = || {
            self.roles.iter().any(|other| {
                !before.contains(&other.name)
                    && free("role", &other.name)
                    && self.assumes(&other.name, role)
                    && self.can_be_assumed(cluster, &other.name, before)
            })
        };
        is_local && (by_user || by_role())
    }

    /// IAM's rule inside one account.
    fn assumes(&self, caller: &str, role: &str) -> bool {
        let (_, trust) = self.trusts.iter().find(|(name, _)| *name == role).unwrap();
        let may = self.may.iter().find(|(name, _)| *name == caller).map_or(May::Nothing, |(_, may)| *may);
        match (trust.takes(caller), may) {
            (Taken::No, _) | (_, May::Unreadable) => false,
            (_, May::AssumeAllButR) if role == "r" => false,
            (Taken::AsItself, _) => true,
            (Taken::AsOfTheAccount, may) => may != May::Nothing,
        }
    }

    async fn write(&self, transaction: &mut Transaction) -> Result<(), StoreError> {
        macro_rules! insert {
            ($($field:ident),*) => { $(for record in &self.$field { transaction.insert(record).await?; })* };
        }
        insert!(
            accounts,
            clusters,
            users,
            keys,
            roles,
            documents,
            entries,
            stale,
            policies,
            administrators,
            blocks
        );
        Ok(())
    }
}

fn authority() -> impl Strategy<Value = Authority> {
    prop_oneof![9 => Just(Authority::Local), 1 => Just(Authority::Aws)]
}

fn end() -> impl Strategy<Value = Option<OffsetDateTime>> {
    prop_oneof![9 => Just(None), 1 => Just(Some(NOON)), 1 => Just(Some(NOON + Duration::milliseconds(1)))]
}

/// Users and roles that are there, and one that is not, in either letter case.
fn principal() -> impl Strategy<Value = CanonicalArn> {
    let names = [
        "user/a",
        "user/A",
        "user/a",
        "user/b",
        "user/ghost",
        "role/r",
        "role/R",
        "role/r",
        "role/x/r",
        "role/via",
        "role/ghost",
    ];
    let accounts = prop_oneof![9 => Just(HOME), 1 => Just(AWAY)];
    (accounts, proptest::sample::select(names.to_vec()))
        .prop_map(|(account, name)| CanonicalArn::parse(&format!("arn:aws:iam::{account}:{name}")).unwrap())
}

fn one_cluster(id: &'static str, account: &'static str) -> impl Strategy<Value = Cluster> {
    use AuthenticationMode::{Api, ApiAndConfigMap, ConfigMap};
    let mode = proptest::sample::select(vec![Api, ApiAndConfigMap, ConfigMap]);
    let pairs =
        [(Authority::Local, HOME), (Authority::Aws, HOME), (Authority::Local, AWAY), (Authority::Aws, AWAY)];
    let trusted = proptest::sample::subsequence(pairs.to_vec(), 3..=4);
    (mode, trusted).prop_map(move |(authentication_mode, trusted)| {
        let trusted = trusted.into_iter();
        let trusted_accounts = trusted
            .map(|(authority, account)| TrustedAccount { authority, account: account_id(account) })
            .collect();
        Cluster { authentication_mode, trusted_accounts, account: account_id(account), ..cluster(id) }
    })
}

fn users() -> impl Strategy<Value = (Vec<User>, Vec<AccessKey>)> {
    let keys = proptest::collection::vec((0..4_u8, 0..4_u8), 2);
    (proptest::sample::subsequence(vec!["a", "b"], 1..=2), keys).prop_map(|(names, keys)| {
        let keys = names.iter().zip(keys).zip(1..).filter(|((_, (exists, _)), _)| *exists > 0);
        let keys = keys
            .map(|((name, (_, active)), number)| AccessKey { active: active > 0, ..key(name, number) })
            .collect();
        (names.into_iter().map(user).collect(), keys)
    })
}

/// The roles that there are, with whom they trust.
fn roles() -> impl Strategy<Value = Vec<(&'static str, Trust)>> {
    use Trust::{A, AWithId, Account, AccountBefore2000, AccountButA, SessionOfVia, Unreadable, Via};
    let trust = || {
        proptest::sample::select(vec![
            A,
            AWithId,
            Account,
            Account,
            AccountBefore2000,
            AccountButA,
            SessionOfVia,
            Unreadable,
            Via,
            Via,
        ])
    };
    let names = proptest::sample::subsequence(vec!["r", "via"], 0..=2);
    (names, trust(), trust())
        .prop_map(|(names, first, second)| names.into_iter().zip([first, second]).collect())
}

fn documents() -> impl Strategy<Value = Vec<(&'static str, May)>> {
    let may = || {
        prop_oneof![
            3 => Just(May::Nothing),
            4 => Just(May::AssumeAll),
            1 => Just(May::AssumeAllButR),
            1 => Just(May::Unreadable),
        ]
    };
    (may(), may(), may()).prop_map(|(a, b, via)| vec![("a", a), ("b", b), ("via", via)])
}

/// An administrator of one of the clusters by an entry, with what the entry needs, or by a line.
type Granted = (Option<(AccessEntry, Option<StaleEntry>, Option<PolicyAssociation>)>, Administrator);

fn granted(clusters: Vec<Cluster>, number: u32) -> impl Strategy<Value = Granted> {
    let policies = ["AmazonEKSClusterAdminPolicy", "AmazonEKSViewPolicy"];
    let scopes = [AccessScope::Cluster, AccessScope::Namespace(vec!["*".to_owned()])];
    let policy = (
        prop_oneof![9 => Just(policies[0]), 1 => Just(policies[1])],
        prop_oneof![9 => Just(scopes[0].clone()), 1 => Just(scopes[1].clone())],
        end(),
        0..4_u8,
        0..10_u8,
    );
    let id = prop_oneof![6 => Just(None), 1 => Just(Some("AIDAA".to_owned())), 1 => Just(Some("AROAR".to_owned()))];
    let ends = (end(), end());
    (proptest::sample::select(clusters), authority(), principal(), id, ends, any::<bool>(), policy).prop_map(
        move |(cluster, authority, canonical_arn, principal_id, (row_end, entry_end), by_entry, policy)| {
            let mut row = line(&cluster, number, authority, canonical_arn.as_str());
            (row.principal_id, row.ends_at) = (principal_id, row_end);
            if !by_entry {
                return (None, row);
            }
            // Entries must differ in their principal; whose they are is told by the row alone.
            let arn = format!("arn:aws:iam::{HOME}:role/entry{number}");
            let entry = AccessEntry { id: EntryId::random(), ends_at: entry_end, ..entry(&cluster, &arn) };
            row.source = AdministratorSource::Entry(entry.id);
            let (name, scope, ends_at, there, stale) = policy;
            let stale = (stale == 0).then(|| stale_entry(&entry));
            let arn = ADMIN_POLICY.replace("AmazonEKSClusterAdminPolicy", name);
            let policy = PolicyAssociation { scope, ends_at, ..association(&entry, &arn) };
            (Some((entry, stale, (there > 0).then_some(policy))), row)
        },
    )
}

fn blocks(clusters: &[Cluster]) -> impl Strategy<Value = Vec<Block>> + use<> {
    let mut scopes = vec![Scope::Hub, home(), Scope::Account(account_id(AWAY))];
    scopes.extend(clusters.iter().map(|cluster| Scope::Cluster(cluster.uid)));
    let target = prop_oneof![
        3 => (authority(), principal())
            .prop_map(|(authority, canonical_arn)| BlockTarget::Principal { authority, canonical_arn }),
        1 => (authority(), proptest::sample::select(vec![HOME, AWAY]))
            .prop_map(|(authority, account)| BlockTarget::Account { authority, account: account_id(account) }),
        2 => (1..3_u32).prop_map(|number| BlockTarget::AccessKey { access_key_id: key("a", number).id }),
        1 => (authority(), principal()).prop_map(|(authority, canonical_arn)| {
            BlockTarget::Session { authority, canonical_arn, session_name: "s".to_owned() }
        }),
    ];
    let one = (proptest::sample::select(scopes), target).prop_map(|(scope, target)| block(scope, target));
    proptest::collection::vec(one, 0..3)
}

fn worlds() -> impl Strategy<Value = World> {
    let clusters = (one_cluster("here", HOME), one_cluster("there", AWAY));
    clusters.prop_flat_map(|(here, there)| {
        let clusters = vec![here, there];
        let granted = (0..4).map(|number| granted(clusters.clone(), number)).collect::<Vec<_>>();
        let granted = (granted, 1..=4_usize);
        let people = (users(), roles(), documents());
        (Just(clusters.clone()), authority(), people, granted, blocks(&clusters)).prop_map(
            |(clusters, authority, ((users, keys), trusts, may), (granted, count), blocks)| {
                let role_of = |(name, trust): &(&'static str, Trust)| IamRole {
                    trust_policy: trust.document(),
                    ..role(name)
                };
                let roles: Vec<IamRole> = trusts.iter().map(role_of).collect();
                let document_of = |(name, may): &(&'static str, May)| {
                    let owner = if *name == "via" {
                        PolicyOwner::Role((*name).to_owned())
                    } else {
                        PolicyOwner::User((*name).to_owned())
                    };
                    let exists = roles.iter().any(|role| role.name == *name)
                        || users.iter().any(|user| user.name == *name);
                    let document = may.document().filter(|_| exists)?;
                    Some(InlinePolicy { document, ..policy(owner, "sts") })
                };
                let mut world = World {
                    documents: may.iter().filter_map(document_of).collect(),
                    may: may.clone(),
                    roles: roles.clone(),
                    trusts,
                    accounts: vec![account(HOME, authority), account(AWAY, Authority::Aws)],
                    clusters,
                    users,
                    keys,
                    entries: Vec::new(),
                    stale: Vec::new(),
                    policies: Vec::new(),
                    administrators: Vec::new(),
                    blocks,
                };
                for (entry, administrator) in granted.into_iter().take(count) {
                    if let Some((entry, stale, policy)) = entry {
                        world.stale.extend(stale);
                        world.entries.push(entry);
                        world.policies.extend(policy);
                    }
                    world.administrators.push(administrator);
                }
                world
            },
        )
    })
}

async fn answers(store: &Store, world: &World) -> BTreeSet<String> {
    let mut scopes = vec![Scope::Hub, home(), Scope::Account(account_id(AWAY))];
    scopes.extend(world.clusters.iter().map(|cluster| Scope::Cluster(cluster.uid)));
    let mut transaction = store.begin("test", &by("test"), &scopes).await.unwrap();
    world.write(&mut transaction).await.unwrap();
    let all = live(transaction.connection(), NOON, "").await.unwrap();
    for cluster in &world.clusters {
        let uid = cluster.uid.to_string();
        let alone = live(transaction.connection(), NOON, &uid).await.unwrap();
        assert_eq!(alone, all.iter().filter(|other| **other == uid).cloned().collect(), "one cluster alone");
    }
    // Dropped: the next world finds an empty hub.
    all
}

pub(super) async fn immunity_56_the_guard_counts_whom_the_rule_counts(bench: Bench) {
    let store = bench.open().await;
    let runtime = tokio::runtime::Handle::current();
    let mut runner = TestRunner::new(Config { cases: 800, failure_persistence: None, ..Config::default() });
    let alive = std::cell::Cell::new(0);
    let done = runner.run(&worlds(), |world| {
        let answer = tokio::task::block_in_place(|| runtime.block_on(answers(&store, &world)));
        let expected = world.live();
        alive.set(alive.get() + expected.len());
        prop_assert_eq!(answer, expected);
        Ok(())
    });
    done.unwrap();
    assert!(alive.get() > 40, "the worlds are worth asking about: {}", alive.get());
}
