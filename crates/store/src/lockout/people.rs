//! The local users and roles as one transaction sees them, and who of them can act now.
//!
//! They are read account by account, as far as a question leads, and policy documents are parsed only for whom a trust policy
//! lets in: most clusters have an administrator who is found without any of this.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

use lanyard_api::{
    ClusterUid, Scope,
    authn::accounts::{AccessKey, IamRole, InlinePolicy, PolicyOwner, User},
    mapping::{Block, BlockTarget},
};
use lanyard_iam::{
    AccessKeyId, AccountId, ConditionKeys, FoldedArn, NamedDocument, Partition, PolicyDocument, PrincipalArn,
    PrincipalId, PrincipalKind, RequestContext, TrustPolicy, evaluate,
    policy::{Decision, TrustCaller, evaluate_assume_role, evaluate_trust},
    session::SESSION_CHAIN_DEPTH_MAX,
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    error::StoreError,
    record::{Record, record_of},
    sql::Connection,
    tables::{changes::rows_of, principal::known_as},
};

/// IAM's action for assuming a role (AWS STS `AssumeRole`).
const ASSUME_ROLE: &str = "sts:AssumeRole";

/// Most pairs of a caller and a role that one question weighs, at some microseconds each. Whom it has not found by then
/// counts as nobody: a write that leaves a cluster to such a labyrinth has to say that it may.
const WEIGHINGS_MAX: usize = 200_000;

/// What only the call will tell, so that nobody is shut out for it: where it comes from, and what it asks for (the condition
/// keys of AWS STS and the global ones of a request).
const OPEN_KEYS: [&str; 8] = [
    "aws:SourceIp",
    "aws:RequestedRegion",
    "aws:RequestTag/",
    "aws:TagKeys",
    "sts:ExternalId",
    "sts:RoleSessionName",
    "sts:SourceIdentity",
    "sts:TransitiveTagKeys",
];

/// The same of a session's own making: its name and tags, and when it is made.
const OPEN_KEYS_OF_SESSIONS: [&str; 4] =
    ["aws:userid", "aws:PrincipalTag/", "aws:TokenIssueTime", "aws:SourceIdentity"];

/// The name of a session that no trust policy names.
const ANY_SESSION: &str = "any";

/// A local user or role.
pub(super) struct Person {
    pub(super) arn: PrincipalArn,
    id: PrincipalId,
    tags: BTreeMap<String, String>,
    kind: PersonKind,
    /// As stored; see [`Person::documents`].
    policies: Vec<(String, String)>,
    /// None where one cannot be read: it may hold a deny, so that its owner may do nothing.
    documents: OnceLock<Option<Vec<(String, PolicyDocument)>>>,
}

enum PersonKind {
    /// With its active keys.
    User(Vec<AccessKeyId>),
    /// None where the trust policy cannot be read: nobody may assume it then.
    Role(Option<TrustPolicy>),
}

/// The users with an active key and the roles of an account.
type Home = Vec<Arc<Person>>;

/// Whose blocks count: those of the hub always, beside these.
#[derive(Clone, Default)]
pub(super) struct Gates {
    pub(super) cluster: Option<ClusterUid>,
    pub(super) accounts: BTreeSet<AccountId>,
}

/// The local principals.
pub(super) struct People<'c> {
    connection: &'c mut Connection,
    now: OffsetDateTime,
    local: Vec<(AccountId, Partition)>,
    homes: HashMap<AccountId, Arc<Home>>,
    blocks: Blocks,
    weighings: usize,
}

/// Who is blocked, and where that holds.
#[derive(Default)]
struct Blocks(HashMap<Blocked, Vec<Scope>>);

#[derive(PartialEq, Eq, Hash)]
enum Blocked {
    Account(AccountId),
    Principal(FoldedArn),
    AccessKey(AccessKeyId),
}

impl Blocks {
    async fn load(connection: &mut Connection) -> Result<Self, StoreError> {
        const SELECT: &str = "SELECT body FROM blocks WHERE target_kind = 'access_key' \
                              OR (target_kind IN ('principal', 'account') AND target_authority = 'local')";
        let mut blocks = Self::default();
        for line in connection.fetch(SELECT, []).await? {
            let block: Block = record_of(&line.bytes(0)?)?;
            let blocked = match block.target {
                BlockTarget::Account { account, .. } => Blocked::Account(account),
                BlockTarget::Principal { canonical_arn, .. } => {
                    let principal = PrincipalArn::parse(canonical_arn.as_str());
                    let known = principal.as_ref().map(known_as).unwrap_or(canonical_arn);
                    Blocked::Principal(known.folded())
                }
                BlockTarget::AccessKey { access_key_id } => Blocked::AccessKey(access_key_id),
                BlockTarget::Session { .. }
                | BlockTarget::OidcSubject { .. }
                | BlockTarget::OidcIssuer { .. }
                | BlockTarget::Certificate { .. } => continue,
            };
            blocks.0.entry(blocked).or_default().push(block.scope);
        }
        Ok(blocks)
    }

    fn stop(&self, blocked: &Blocked, gates: &Gates) -> bool {
        let holds = |scope: &Scope| match scope {
            Scope::Hub => true,
            Scope::Account(account) => gates.accounts.contains(account),
            Scope::Cluster(uid) => gates.cluster == Some(*uid),
        };
        self.0.get(blocked).is_some_and(|scopes| scopes.iter().any(holds))
    }

    /// Somebody, or their whole account.
    fn stop_person(&self, person: &Person, gates: &Gates) -> bool {
        !self.0.is_empty()
            && (self.stop(&Blocked::Account(person.arn.account), gates)
                || self.stop(&Blocked::Principal(known_as(&person.arn).folded()), gates))
    }
}

impl Gates {
    /// A caller's own account stops its calls too.
    fn and(&self, account: AccountId) -> Self {
        let mut gates = self.clone();
        gates.accounts.insert(account);
        gates
    }
}

impl<'c> People<'c> {
    pub(super) async fn load(
        connection: &'c mut Connection,
        now: OffsetDateTime,
    ) -> Result<Self, StoreError> {
        const LOCAL: &str = "SELECT id, partition_name FROM accounts WHERE authority = 'local' ORDER BY id";
        let mut local = Vec::new();
        for line in connection.fetch(LOCAL, []).await? {
            let broken = |_| StoreError::Broken("an account has no good number or partition".to_owned());
            let account = line.text(0)?.parse().map_err(|_| broken(()))?;
            local.push((account, line.text(1)?.parse().map_err(|_| broken(()))?));
        }
        let blocks = Blocks::load(connection).await?;
        Ok(Self { connection, now, local, homes: HashMap::new(), blocks, weighings: 0 })
    }

    /// The partition of a local account.
    pub(super) fn partition_of(&self, account: AccountId) -> Option<Partition> {
        self.local.iter().find(|(local, _)| *local == account).map(|(_, partition)| *partition)
    }

    /// The users with an active key and the roles of a local account.
    pub(super) async fn home(&mut self, account: AccountId) -> Result<Arc<Home>, StoreError> {
        if let Some(home) = self.homes.get(&account) {
            return Ok(Arc::clone(home));
        }
        let Some(partition) = self.partition_of(account) else { return Ok(Arc::default()) };
        let mut policies: BTreeMap<PolicyOwner, Vec<(String, String)>> = BTreeMap::new();
        for InlinePolicy { owner, name, document, .. } in self.records(account).await? {
            policies.entry(owner).or_default().push((name, document));
        }
        let mut keys: BTreeMap<String, Vec<AccessKeyId>> = BTreeMap::new();
        for key in self.records::<AccessKey>(account).await? {
            if key.active {
                keys.entry(key.user).or_default().push(key.id);
            }
        }
        let mut home = Vec::new();
        let mut add = |kind, named: PrincipalKind, id: &str, tags, policies: Option<Vec<_>>| {
            // One without a usable id cannot act: no session and no key leads to it.
            let Ok(id) = PrincipalId::parse(id) else { return };
            let (arn, policies) =
                (PrincipalArn { partition, account, kind: named }, policies.unwrap_or_default());
            home.push(Arc::new(Person { arn, id, tags, kind, policies, documents: OnceLock::new() }));
        };
        for user in self.records::<User>(account).await? {
            let Some(keys) = keys.remove(&user.name) else { continue };
            let policies = policies.remove(&PolicyOwner::User(user.name.clone()));
            let named = PrincipalKind::User { path: user.path, name: user.name };
            add(PersonKind::User(keys), named, &user.principal_id, user.tags, policies);
        }
        for role in self.records::<IamRole>(account).await? {
            let policies = policies.remove(&PolicyOwner::Role(role.name.clone()));
            let kind = PersonKind::Role(role.trust().ok());
            let named = PrincipalKind::Role { path: role.path, name: role.name };
            add(kind, named, &role.principal_id, role.tags, policies);
        }
        let home = Arc::new(home);
        self.homes.insert(account, Arc::clone(&home));
        Ok(home)
    }

    /// All records of a kind of an account.
    async fn records<R: Record>(&mut self, account: AccountId) -> Result<Vec<R>, StoreError> {
        let rows = rows_of(self.connection, R::KIND, Scope::Account(account)).await?;
        rows.iter().map(|(_, body)| record_of(body)).collect()
    }

    /// The role of a name, its letter case aside.
    pub(super) async fn role(
        &mut self,
        account: AccountId,
        name_folded: &str,
    ) -> Result<Option<Arc<Person>>, StoreError> {
        let home = self.home(account).await?;
        let is_it = |person: &&Arc<Person>| {
            let name = matches!(person.kind, PersonKind::Role(_)).then(|| person.arn.name()).flatten();
            name.is_some_and(|name| name.eq_ignore_ascii_case(name_folded))
        };
        Ok(home.iter().find(is_it).cloned())
    }

    /// Whether somebody could act as this person now: a user who has a live key, or a role that such a user can assume, also
    /// by roles in between. Nothing behind the gates blocks any of them.
    pub(super) async fn can_act(&mut self, person: &Arc<Person>, gates: &Gates) -> Result<bool, StoreError> {
        if self.blocks.stop_person(person, gates) {
            return Ok(false);
        }
        if let PersonKind::User(keys) = &person.kind {
            return Ok(self.has_key(keys, gates));
        }
        let mut seen = BTreeSet::from([(person.arn.to_string(), gates.accounts.clone())]);
        let mut last = vec![(Arc::clone(person), gates.clone())];
        // The chain depth of a session counts the roles before its own.
        for _ in 0..=SESSION_CHAIN_DEPTH_MAX {
            let mut before = Vec::new();
            for (role, gates) in last {
                let PersonKind::Role(Some(trust)) = &role.kind else { continue };
                for (account, partition) in self.nearest_first(role.arn.account) {
                    if !trust.may_let_in(partition, account) {
                        continue;
                    }
                    let gates = gates.and(account);
                    for caller in self.home(account).await?.iter() {
                        if self.weighings >= WEIGHINGS_MAX {
                            return Ok(false);
                        }
                        self.weighings += 1;
                        let stands = match &caller.kind {
                            PersonKind::User(keys) => self.has_key(keys, &gates),
                            PersonKind::Role(_) => true,
                        };
                        if !stands
                            || self.blocks.stop_person(caller, &gates)
                            || !self.may_assume(caller, &role, trust)
                        {
                            continue;
                        }
                        if matches!(caller.kind, PersonKind::User(_)) {
                            return Ok(true);
                        }
                        if seen.insert((caller.arn.to_string(), gates.accounts.clone())) {
                            before.push((Arc::clone(caller), gates.clone()));
                        }
                    }
                }
            }
            last = before;
        }
        Ok(false)
    }

    /// The local accounts, this one before the others.
    fn nearest_first(&self, account: AccountId) -> Vec<(AccountId, Partition)> {
        let (mut own, others): (Vec<_>, Vec<_>) = self.local.iter().partition(|(local, _)| *local == account);
        own.extend(others);
        own
    }

    fn has_key(&self, keys: &[AccessKeyId], gates: &Gates) -> bool {
        keys.iter().any(|key| !self.blocks.stop(&Blocked::AccessKey(key.clone()), gates))
    }

    /// Whether a role's trust policy and the caller's own policies let them assume it, as IAM weighs both.
    fn may_assume(&self, caller: &Person, role: &Person, trust: &TrustPolicy) -> bool {
        caller.appearances(trust).iter().any(|principal| {
            let own = (*principal != caller.arn).then_some(&caller.arn);
            let asks = TrustCaller::Aws { principal, role: own, id: &caller.id };
            let mut keys = caller.keys(principal, self.now);
            keys.set("aws:ResourceAccount", role.arn.account.as_str());
            keys.set_iam_resource_tags(&role.tags);
            let resource = role.arn.to_string();
            let request = RequestContext { action: ASSUME_ROLE, resource: &resource, keys: &keys };
            if evaluate_trust(trust, &asks, &request).decision != Decision::Allow {
                return false;
            }
            let Some(documents) = caller.documents() else { return false };
            evaluate_assume_role(&named(documents), None, trust, &asks, &role.arn, &request).is_allowed()
        })
    }

    /// Whether a person's own policies let them do this.
    pub(super) fn may(&self, person: &Person, action: &str, resource: &str) -> bool {
        let Some(documents) = person.documents() else { return false };
        let principal = person.appearance(ANY_SESSION);
        let keys = person.keys(&principal, self.now);
        evaluate(&named(documents), None, &RequestContext { action, resource, keys: &keys }).is_allowed()
    }
}

impl Person {
    /// What it calls as: a user itself, a role by a session of that name.
    fn appearance(&self, session: &str) -> PrincipalArn {
        match &self.arn.kind {
            PrincipalKind::Role { name, .. } => PrincipalArn {
                kind: PrincipalKind::AssumedRole { role: name.clone(), session: session.to_owned() },
                ..self.arn
            },
            _ => self.arn.clone(),
        }
    }

    /// All that it may call as so that it makes a difference to a trust policy: sessions choose their names.
    fn appearances(&self, trust: &TrustPolicy) -> Vec<PrincipalArn> {
        let mut all = vec![self.appearance(ANY_SESSION)];
        if matches!(self.kind, PersonKind::Role(_)) {
            let named = trust.named_sessions().filter_map(PrincipalArn::session_name);
            all.extend(named.map(|name| self.appearance(name)));
        }
        all
    }

    /// What is known of a call by it.
    fn keys(&self, principal: &PrincipalArn, now: OffsetDateTime) -> ConditionKeys {
        let mut keys = ConditionKeys::new();
        let is_session = *principal != self.arn;
        keys.set_principal(principal, is_session.then_some(&self.arn), &self.id)
            .set_direct_call(self.arn.account);
        keys.set_tags("aws:PrincipalTag/", &self.tags);
        // A moment within four digits of years can always be written.
        keys.set("aws:CurrentTime", now.format(&Rfc3339).unwrap_or_default())
            .set("aws:EpochTime", now.unix_timestamp().to_string())
            .leave_open(OPEN_KEYS);
        if is_session {
            keys.set_all("aws:userid", []).leave_open(OPEN_KEYS_OF_SESSIONS);
        }
        keys
    }

    fn documents(&self) -> Option<&[(String, PolicyDocument)]> {
        let parse = |(name, text): &(String, String)| Some((name.clone(), PolicyDocument::parse(text).ok()?));
        self.documents.get_or_init(|| self.policies.iter().map(parse).collect()).as_deref()
    }
}

fn named(documents: &[(String, PolicyDocument)]) -> Vec<NamedDocument<'_>> {
    documents.iter().map(|(name, document)| NamedDocument { name, document }).collect()
}
