//! A hub as a scenario describes it, and the changes that its steps make.

use std::collections::BTreeMap;

use lanyard_api::{
    Mutation, Revision, Scope, UserInfo,
    authn::accounts::User,
    authz::{ObjectBatch, Objects},
    aws_auth::{AwsAuth, AwsAuthPart},
    grants::aws_auth_grant,
    mapping::{
        AccessScope, AuthenticationMode, AuthorizerMode, AwsAuthStatus, AwsAuthVersion, Block, BlockTarget,
        Cluster, GrantKind, Node,
    },
    proof::{EXTRA_KEY, Handle, Handles, KinHandles, Proof},
};
use lanyard_store::test_support::TestDatabase;
use time::Duration;

use super::file::{Ask, BlockedAt, BlockedBy, PersonText, Scenario, Step};
use crate::stage::{
    HOME, Person, START, Stage, account, actor_of, association, bare, bearing, cluster, person,
};

pub(super) struct Hub {
    pub(super) stage: Stage,
    pub(super) cluster: Cluster,
    people: BTreeMap<String, Known>,
    blocks: Vec<Block>,
    aws_auth_version: u64,
}

/// One of the people, and the badge that they bear.
struct Known {
    person: Person,
    text: PersonText,
    badge: UserInfo,
}

impl Hub {
    pub(super) async fn set_up(scenario: &Scenario, database: TestDatabase) -> Self {
        let stage = Stage::new(database).await;
        let mut cluster =
            cluster("main", scenario.cluster.authorizer.unwrap_or(AuthorizerMode::WebhookFirst));
        cluster.authentication_mode = scenario.cluster.mode.unwrap_or(AuthenticationMode::ApiAndConfigMap);
        stage.put(&cluster).await;
        let mut hub =
            Self { stage, cluster, people: BTreeMap::new(), blocks: Vec::new(), aws_auth_version: 0 };
        if let Some(content) = &scenario.aws_auth {
            hub.push_aws_auth(content).await;
        }
        if let Some(documents) = &scenario.rbac {
            hub.apply(documents).await;
        }
        for (name, text) in &scenario.people {
            hub.add(name, text).await;
        }
        hub
    }

    async fn add(&mut self, name: &str, text: &PersonText) {
        let groups: Vec<&str> = text.groups.iter().map(String::as_str).collect();
        let mut person = person(&self.cluster, name, &groups);
        person.entry.username = text.username.clone().unwrap_or_else(|| name.to_owned());
        person.entry.entry_type = text.entry_type.unwrap_or(person.entry.entry_type);
        person.entry.ends_at = text.ends_in_seconds.map(|seconds| START + Duration::seconds(seconds));
        let user = User {
            account: account(HOME),
            path: "/".to_owned(),
            name: name.to_owned(),
            principal_id: person.entry.principal_id.clone().unwrap(),
            tags: BTreeMap::new(),
            created_at: START,
        };
        self.stage.put(&user).await;
        self.stage.put(&person.key).await;
        if text.by.is_none() {
            self.stage.put(&person.entry).await;
            for (policy, namespaces) in &text.policies {
                self.stage.put(&association(&person.entry, policy, scope(Some(namespaces)), None)).await;
            }
        }
        self.people.insert(name.to_owned(), Known { person, text: text.clone(), badge: UserInfo::default() });
        self.log_in(name);
    }

    /// The badge and proof that mapping would make now.
    fn log_in(&mut self, name: &str) {
        let known = &self.people[name];
        let entry = &known.person.entry;
        let arn = entry.principal_arn.one().unwrap().canonical();
        let (username, grant_kind, grant) = match known.text.by.as_deref() {
            None => (&entry.username, GrantKind::AccessEntry, entry.id),
            Some("mapUsers") => {
                let grant = aws_auth_grant(self.cluster.uid, AwsAuthPart::MapUsers, arn.folded().as_str());
                (&entry.username, GrantKind::AwsAuth, grant)
            }
            Some("mapAccounts") => {
                let grant = aws_auth_grant(self.cluster.uid, AwsAuthPart::MapAccounts, HOME);
                (&entry.username, GrantKind::AwsAuth, grant)
            }
            Some(other) => panic!("`{other}` maps nobody here"),
        };
        let username = known.text.becomes.as_ref().unwrap_or(username);
        let key = self.stage.proof_key();
        let proof = Proof {
            cluster: self.cluster.uid,
            grant_kind,
            grant,
            revision: Revision(1),
            handles: Handles {
                account: key.account(&entry.authority, HOME),
                principal: key.principal(&entry.authority, arn.as_str()),
                principal_id: key.principal_id(&entry.authority, entry.principal_id.as_deref().unwrap()),
                access_key: key.access_key(known.person.key.id.as_str()),
                session: match &known.text.session {
                    Some(session) => key.session(&entry.authority, arn.as_str(), session),
                    None => Handle::NONE,
                },
            },
            kin: KinHandles::NONE,
            local: true,
            minted_at: self.stage.clock_now(),
            not_after: self.stage.clock_now() + Duration::seconds(70),
        };
        let badge = bearing(&key, &proof, username, &entry.groups);
        self.people.get_mut(name).unwrap().badge = badge;
    }

    /// Who asks, and what they bear.
    pub(super) fn user(&self, ask: &Ask) -> UserInfo {
        let groups: Vec<&str> = ask.groups.iter().map(String::as_str).collect();
        let mut user = match self.people.get(&ask.who) {
            Some(known) => known.badge.clone(),
            None => bare(&ask.who, &[]),
        };
        user.groups.extend(groups.iter().map(ToString::to_string));
        if let Some(owner) = &ask.proof_of {
            let value = self.people[owner].badge.extra[EXTRA_KEY].clone();
            user.extra.insert(EXTRA_KEY.into(), value);
        }
        user
    }

    pub(super) async fn change(&mut self, step: &Step) {
        match step {
            Step::Ask(_) => unreachable!("questions change nothing"),
            Step::LogIn(name) => self.log_in(name),
            Step::Entry { of, username, groups } => {
                let entry = &mut self.people.get_mut(of).unwrap().person.entry;
                entry.groups.clone_from(groups);
                if let Some(username) = username {
                    entry.username.clone_from(username);
                }
                self.stage.put(&self.people[of].person.entry).await;
            }
            Step::DeleteEntry(of) => drop(self.stage.delete(&self.people[of].person.entry).await),
            Step::MakeEntry { of, username, groups } => {
                let mut entry = self.people[of].person.entry.clone();
                (entry.username, entry.groups) = (username.clone(), groups.clone());
                self.stage.put(&entry).await;
            }
            Step::Policy { of, policy, namespaces, ends_in_seconds } => {
                let ends_at =
                    ends_in_seconds.map(|seconds| self.stage.clock_now() + Duration::seconds(seconds));
                let entry = &self.people[of].person.entry;
                self.stage.put(&association(entry, policy, scope(namespaces.as_ref()), ends_at)).await;
            }
            Step::DropPolicy { of, policy } => {
                let entry = &self.people[of].person.entry;
                self.stage.delete(&association(entry, policy, AccessScope::Cluster, None)).await;
            }
            Step::Block { of, by, at } => self.block(of, *by, *at).await,
            Step::LiftBlocks => {
                for block in std::mem::take(&mut self.blocks) {
                    self.stage.delete(&block).await;
                }
            }
            Step::Key { of, active } => {
                let key = &mut self.people.get_mut(of).unwrap().person.key;
                key.active = *active;
                self.stage.put(&self.people[of].person.key).await;
            }
            Step::DeleteUser(name) => {
                let scope = Scope::Account(account(HOME));
                let mut tx =
                    self.stage.store.begin("test", &Mutation::system("test"), &[scope]).await.unwrap();
                tx.delete::<User>(scope, name).await.unwrap().unwrap();
                tx.commit_unrecorded().await.unwrap();
            }
            Step::AwsAuth(content) => self.push_aws_auth(content).await,
            Step::Rbac(documents) => self.apply(documents).await,
            Step::Node { of, session, name } => {
                let arn = self.people[of].person.entry.principal_arn.one().unwrap().canonical();
                let node = Node {
                    cluster: self.cluster.uid,
                    instance_id: session.clone(),
                    private_dns_name: name.clone(),
                    role_arn: Some(arn.to_string()),
                    access_key_id: None,
                };
                self.stage.put(&node).await;
            }
            Step::DropNode(session) => {
                let scope = Scope::Cluster(self.cluster.uid);
                let mut tx =
                    self.stage.store.begin("test", &Mutation::system("test"), &[scope]).await.unwrap();
                tx.delete::<Node>(scope, session).await.unwrap().unwrap();
                tx.commit_unrecorded().await.unwrap();
            }
            Step::Mode(mode) => {
                self.cluster.authentication_mode = *mode;
                self.stage.put(&self.cluster).await;
            }
            Step::Authorizer(mode) => {
                self.cluster.authorizer_mode = *mode;
                self.stage.put(&self.cluster).await;
            }
            Step::TrustNobody => {
                self.cluster.trusted_accounts.clear();
                self.stage.put(&self.cluster).await;
            }
            Step::Wait { seconds } => self.stage.clock.advance(Duration::seconds(*seconds)),
        }
    }

    async fn block(&mut self, of: &str, by: BlockedBy, at: BlockedAt) {
        let Person { entry, key } = &self.people[of].person;
        let authority = entry.authority.clone();
        let target = match by {
            BlockedBy::Principal => BlockTarget::Principal {
                authority,
                canonical_arn: entry.principal_arn.one().unwrap().canonical(),
            },
            BlockedBy::Account => BlockTarget::Account { authority, account: account(HOME) },
            BlockedBy::Key => BlockTarget::AccessKey { access_key_id: key.id.clone() },
        };
        let scope = match at {
            BlockedAt::Hub => Scope::Hub,
            BlockedAt::Account => Scope::Account(self.cluster.account),
            BlockedAt::Cluster => Scope::Cluster(self.cluster.uid),
        };
        self.blocks.push(self.stage.block(scope, target).await);
    }

    async fn apply(&self, documents: &str) {
        let by = Mutation::by(actor_of(HOME));
        let batch = ObjectBatch::of(documents);
        let applied = self.stage.authz.apply_objects(by, self.cluster.id.clone(), batch);
        applied.await.unwrap();
    }

    async fn push_aws_auth(&mut self, content: &str) {
        self.aws_auth_version += 1;
        let fatal = AwsAuth::check(content).is_fatal();
        let version = AwsAuthVersion {
            cluster: self.cluster.uid,
            version: self.aws_auth_version,
            content: content.to_owned(),
            status: if fatal { AwsAuthStatus::Rejected } else { AwsAuthStatus::Accepted },
            findings: Vec::new(),
            pushed_by: "test".to_owned(),
            pushed_at: START,
        };
        self.stage.put(&version).await;
    }
}

fn scope(namespaces: Option<&Vec<String>>) -> AccessScope {
    match namespaces {
        Some(names) if !names.is_empty() => AccessScope::Namespace(names.clone()),
        Some(_) | None => AccessScope::Cluster,
    }
}
