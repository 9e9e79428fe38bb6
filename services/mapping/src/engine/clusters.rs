//! `Clusters`: the registered clusters and what hangs on them.

use std::{borrow::Cow, sync::Arc};

use aws_lc_rs::rand;
use lanyard_api::{
    Actor, ActorKind, CallError, ClusterId, ClusterUid, EntryId, Fault, Mutated, Mutation, Page, PageQuery,
    Scope, TrustedAccount, Vouched,
    access_policies::{AccessPolicies, CLUSTER_ADMIN_POLICY},
    authn::accounts::Account,
    mapping::{
        AUDIENCE_DEFAULT, AccessEntry, AccessScope, AuthenticationMode, AuthorizerMode, AwsAuthVersion,
        BreakGlass, Cluster, ClusterDirectory, Clusters, CreateCluster, EntryType, Node, PolicyAssociation,
        RevisionReports, SpokeCredential, TOKEN_CACHE_SECONDS_DEFAULT, UpdateCluster,
    },
};
use lanyard_iam::{AccountId, EntryPrincipal, PrincipalArn, PrincipalKind};
use lanyard_store::{StoreError, Transaction};
use secrecy::SecretString;
use tokio::sync::watch;

use super::{
    Mapping,
    commit::{commit, fresh},
    entries::{current, insert_entry},
    sight::{Call, in_account},
    updates,
};
use crate::{administrators, hub::HubSnapshot, rules};

/// Characters of the end that a made-up id gets.
const ID_END_CHARS: usize = 6;

/// How often another end is tried.
const ID_TRIES: usize = 8;

impl Clusters for Mapping {
    async fn create_cluster(
        &self,
        by: Mutation,
        cluster: CreateCluster,
    ) -> Result<Mutated<Cluster>, CallError> {
        let actor = &by.actor.value;
        let bootstrap = cluster.bootstrap_creator_admin;
        let uid = ClusterUid::random();
        let judged = self.draft(actor, uid, cluster).await;
        let scopes = [Scope::Hub, Scope::Cluster(uid)];
        let mut tx = fresh!(self.begin("create_cluster", &by, &scopes).await?);
        // Only now: a request that is known by its token is answered as then, whatever the rules say of it by now.
        let (asked_id, draft) = judged?;
        let clusters: Vec<Cluster> = tx.list(Scope::Hub).await?;
        let own = |other: &&Cluster| {
            (other.partition, other.account, &other.region) == (draft.partition, draft.account, &draft.region)
        };
        if clusters.iter().filter(own).any(|other| other.name == draft.name) {
            return Err(CallError::exists("cluster", &draft.name));
        }
        let limit = self.inner.config.limits.clusters_per_region;
        if clusters.iter().filter(own).count() as u64 >= limit {
            return Err(CallError::LimitExceeded {
                what: "clusters of one account in a region".into(),
                limit,
            });
        }
        let taken = |id: &ClusterId| clusters.iter().any(|other| other.id == *id);
        let mut notices = Vec::new();
        let id = match asked_id {
            Some(id) if taken(&id) => return Err(CallError::exists("cluster", &id)),
            Some(id) => id,
            None if !taken(&draft.id) => draft.id.clone(),
            None => {
                let id = free_id(&draft.name, taken)?;
                notices
                    .push(format!("the id `{}` is taken: tokens for this cluster sign `{id}`", draft.name));
                id
            }
        };
        let record = Cluster { id, created_at: tx.now(), ..draft };
        tx.insert(&record).await?;
        if bootstrap {
            notices.extend(self.bootstrap(&mut tx, actor, &record).await?);
        }
        commit(tx, Scope::Hub, record, notices).await
    }

    async fn get_cluster(&self, by: Vouched<Actor>, id: ClusterId) -> Result<Cluster, CallError> {
        Ok((*self.seen(&by.value, &id, Call::OwnAwsAuth).await?).clone())
    }

    async fn list_clusters(
        &self,
        by: Vouched<Actor>,
        region: Option<String>,
        page: PageQuery,
    ) -> Result<Page<Cluster>, CallError> {
        let hub = self.inner.state.hub().await?;
        let own = clusters_of(&hub, &by.value);
        // No id is empty: the first page begins before all of them.
        let behind = own.partition_point(|cluster| cluster.id.as_str() <= page.token.as_str());
        let rest = own.get(behind..).unwrap_or_default().iter();
        let asked = rest.filter(|cluster| region.as_ref().is_none_or(|region| *region == cluster.region));
        let cut = Page::cut(asked, &page, |cluster| cluster.id.to_string());
        Ok(Page {
            items: cut.items.into_iter().map(|cluster| (**cluster).clone()).collect(),
            next_token: cut.next_token,
        })
    }

    async fn update_cluster(
        &self,
        by: Mutation,
        id: ClusterId,
        change: UpdateCluster,
    ) -> Result<Mutated<Cluster>, CallError> {
        let cluster = self.seen(&by.actor.value, &id, Call::Management).await?;
        let scopes = [Scope::Hub, Scope::Cluster(cluster.uid)];
        let mut tx = fresh!(self.begin("update_cluster", &by, &scopes).await?);
        let before = current(&mut tx, &cluster).await?;
        let after = self.changed_cluster(&before, change)?;
        tx.put(&after).await?;
        if after.authentication_mode != before.authentication_mode
            || after.trusted_accounts != before.trusted_accounts
        {
            let auth = administrators::in_force(&mut tx, &after).await?;
            administrators::sync_aws_auth(&mut tx, &after, &auth).await?;
        }
        updates::config(&mut tx, &before, &after).await?;
        commit(tx, Scope::Hub, after, Vec::new()).await
    }

    async fn delete_cluster(&self, by: Mutation, id: ClusterId) -> Result<Mutated<Cluster>, CallError> {
        let cluster = self.seen(&by.actor.value, &id, Call::Management).await?;
        let scopes = [Scope::Hub, Scope::Cluster(cluster.uid)];
        let mut tx = fresh!(self.begin("delete_cluster", &by, &scopes).await?);
        let gone: Option<Cluster> = tx.delete(Scope::Hub, &cluster.uid.to_string()).await?;
        let gone = gone.ok_or_else(|| CallError::not_found("cluster", &id))?;
        commit(tx, Scope::Hub, gone, Vec::new()).await
    }

    async fn push_aws_auth(
        &self,
        by: Mutation,
        id: ClusterId,
        content: String,
    ) -> Result<Mutated<AwsAuthVersion>, CallError> {
        self.push(by, id, content).await
    }

    async fn get_aws_auth(
        &self,
        by: Vouched<Actor>,
        id: ClusterId,
    ) -> Result<Vec<AwsAuthVersion>, CallError> {
        self.aws_auth_versions(by, id).await
    }

    async fn set_node(&self, by: Mutation, id: ClusterId, node: Node) -> Result<Mutated<Node>, CallError> {
        self.bind_node(by, id, node).await
    }

    async fn list_nodes(
        &self,
        by: Vouched<Actor>,
        id: ClusterId,
        page: PageQuery,
    ) -> Result<Page<Node>, CallError> {
        self.nodes(by, id, page).await
    }

    async fn delete_node(
        &self,
        by: Mutation,
        id: ClusterId,
        instance_id: String,
    ) -> Result<Mutated<Node>, CallError> {
        self.unbind_node(by, id, instance_id).await
    }

    async fn create_spoke_credential(
        &self,
        by: Mutation,
        id: ClusterId,
    ) -> Result<Mutated<(SpokeCredential, SecretString)>, CallError> {
        self.new_spoke_credential(by, id).await
    }

    async fn list_spoke_credentials(
        &self,
        by: Vouched<Actor>,
        id: ClusterId,
    ) -> Result<Vec<SpokeCredential>, CallError> {
        self.spoke_credentials(by, id).await
    }

    async fn delete_spoke_credential(
        &self,
        by: Mutation,
        id: ClusterId,
        credential: String,
    ) -> Result<Mutated<SpokeCredential>, CallError> {
        self.end_spoke_credential(by, id, &credential).await
    }

    async fn arm_break_glass(
        &self,
        by: Mutation,
        id: ClusterId,
    ) -> Result<Mutated<(BreakGlass, SecretString)>, CallError> {
        self.arm(by, id).await
    }

    async fn disarm_break_glass(
        &self,
        by: Mutation,
        id: ClusterId,
    ) -> Result<Mutated<BreakGlass>, CallError> {
        self.disarm(by, id).await
    }

    async fn list_break_glass(&self, by: Vouched<Actor>) -> Result<Vec<BreakGlass>, CallError> {
        self.armed(by).await
    }

    fn directory(&self) -> watch::Receiver<Arc<ClusterDirectory>> {
        self.inner.state.directory()
    }

    fn revisions(&self) -> RevisionReports {
        self.reports()
    }
}

/// An actor's own clusters, in the order of their ids. Of a principal nothing is copied for that, nor looked at.
fn clusters_of<'h>(hub: &'h HubSnapshot, actor: &Actor) -> Cow<'h, [Arc<Cluster>]> {
    match &actor.kind {
        ActorKind::Principal { arn, .. } => Cow::Borrowed(hub.clusters_of(arn.account)),
        ActorKind::Spoke { cluster } => Cow::Owned(Vec::from_iter(hub.clusters.get(cluster).cloned())),
        // Admit lets a node vend, and nothing else.
        ActorKind::Node { .. } => Cow::Owned(Vec::new()),
        ActorKind::System { .. } => {
            let all = hub.directory.clusters.iter();
            Cow::Owned(all.map(|entry| Arc::clone(&entry.cluster)).collect())
        }
    }
}

impl Mapping {
    /// The actor's own clusters, in the order of their ids.
    pub(super) async fn own_clusters(&self, actor: &Actor) -> Result<Vec<Arc<Cluster>>, CallError> {
        let hub = self.inner.state.hub().await?;
        Ok(clusters_of(&hub, actor).into_owned())
    }

    /// The account that a new cluster is to be in: the actor's own.
    async fn account_of(&self, actor: &Actor, asked: Option<AccountId>) -> Result<Account, CallError> {
        let id = asked.or_else(|| actor.account()).ok_or_else(|| {
            CallError::invalid("account", "account_missing", "name the account that the cluster is to be in")
        })?;
        let hub = self.inner.state.hub().await?;
        let account = hub.accounts.get(&id).filter(|_| in_account(actor, id));
        account.cloned().ok_or_else(|| CallError::not_found("account", id))
    }

    /// A new cluster, held against every rule but those about others, and the id that was asked for.
    async fn draft(
        &self,
        actor: &Actor,
        uid: ClusterUid,
        asked: CreateCluster,
    ) -> Result<(Option<ClusterId>, Cluster), CallError> {
        let account = self.account_of(actor, asked.account).await?;
        let id = asked.id.as_deref().map(rules::cluster::id).transpose()?;
        Ok((id, self.judge_cluster(actor, uid, &account, asked)?))
    }

    fn judge_cluster(
        &self,
        actor: &Actor,
        uid: ClusterUid,
        account: &Account,
        asked: CreateCluster,
    ) -> Result<Cluster, CallError> {
        use rules::cluster as rule;
        let id = rule::name(&asked.name)?;
        rule::region(&asked.region, account.partition)?;
        let authentication_mode = asked.authentication_mode.unwrap_or(AuthenticationMode::ApiAndConfigMap);
        rule::bootstrap(authentication_mode, asked.bootstrap_creator_admin)?;
        let own = TrustedAccount { authority: account.authority.clone(), account: account.id };
        let mut trusted_accounts = asked.trusted_accounts;
        if !trusted_accounts.contains(&own) {
            trusted_accounts.insert(0, own);
        }
        let audiences =
            if asked.audiences.is_empty() { vec![AUDIENCE_DEFAULT.to_owned()] } else { asked.audiences };
        let cluster = Cluster {
            uid,
            id,
            name: asked.name,
            partition: account.partition,
            account: account.id,
            region: asked.region,
            endpoint: asked.endpoint,
            certificate_authority: asked.certificate_authority,
            authentication_mode,
            authorizer_mode: asked.authorizer_mode.unwrap_or(AuthorizerMode::WebhookFirst),
            trusted_accounts,
            audiences,
            token_cache_seconds: asked.token_cache_seconds.unwrap_or(TOKEN_CACHE_SECONDS_DEFAULT),
            created_by: actor.name(),
            tags: asked.tags,
            created_at: self.inner.store.clock().now(),
        };
        self.judge_settings(&cluster)?;
        Ok(cluster)
    }

    /// The rules of what can be changed later too.
    fn judge_settings(&self, cluster: &Cluster) -> Result<(), CallError> {
        use rules::cluster as rule;
        if let Some(endpoint) = &cluster.endpoint {
            rule::endpoint(endpoint)?;
        }
        if let Some(pem) = &cluster.certificate_authority {
            rule::certificate_authority(pem)?;
        }
        rule::audiences(&cluster.audiences)?;
        rule::token_cache_seconds(cluster.token_cache_seconds)?;
        rule::tags(&cluster.tags)?;
        let own = cluster.trusted_accounts.iter().find(|pair| pair.account == cluster.account).cloned();
        let missing = || {
            CallError::invalid(
                "trusted_accounts",
                "trusted_accounts",
                "the cluster's own account has to stay among them",
            )
        };
        let most = self.inner.config.limits.trusted_accounts_per_cluster;
        Ok(rule::trusted_accounts(&cluster.trusted_accounts, &own.ok_or_else(missing)?, most)?)
    }

    fn changed_cluster(&self, before: &Cluster, change: UpdateCluster) -> Result<Cluster, CallError> {
        let mut after = before.clone();
        if let Some(mode) = change.authentication_mode {
            rules::cluster::transition(before.authentication_mode, mode)?;
            after.authentication_mode = mode;
        }
        if let Some(mut pairs) = change.trusted_accounts {
            let own = before.trusted_accounts.iter().find(|pair| pair.account == before.account);
            let most = self.inner.config.limits.trusted_accounts_per_cluster;
            // None is what a new cluster has.
            if pairs.is_empty() {
                pairs.extend(own.cloned());
            }
            if let Some(own) = own {
                rules::cluster::trusted_accounts(&pairs, own, most)?;
            }
            after.trusted_accounts = pairs;
        }
        after.authorizer_mode = change.authorizer_mode.unwrap_or(after.authorizer_mode);
        after.token_cache_seconds = change.token_cache_seconds.unwrap_or(after.token_cache_seconds);
        after.audiences = change.audiences.unwrap_or(after.audiences);
        after.tags = change.tags.unwrap_or(after.tags);
        after.endpoint = set(change.endpoint, after.endpoint);
        after.certificate_authority = set(change.certificate_authority, after.certificate_authority);
        self.judge_settings(&after)?;
        Ok(after)
    }

    /// The creator's entry: ordinary, seen in every list, and removable as any other.
    async fn bootstrap(
        &self,
        tx: &mut Transaction,
        actor: &Actor,
        cluster: &Cluster,
    ) -> Result<Vec<String>, CallError> {
        let ActorKind::Principal { authority, arn, principal_id, .. } = &actor.kind else {
            return Ok(vec![String::from("nobody was made administrator: no principal made this cluster")]);
        };
        let Some(principal_arn) = self.whole_arn(arn).await?.map(EntryPrincipal::One) else {
            return Ok(vec![format!("nobody was made administrator: `{arn}` is neither user nor role")]);
        };
        let now = tx.now();
        let entry = AccessEntry {
            id: EntryId::random(),
            cluster: cluster.uid,
            authority: authority.clone(),
            username: rules::entry::default_username(EntryType::Standard, &principal_arn),
            principal_arn,
            pin_until: None,
            principal_id: Some(principal_id.clone()),
            entry_type: EntryType::Standard,
            groups: Vec::new(),
            tags: Default::default(),
            ends_at: None,
            created_at: now,
            modified_at: now,
        };
        insert_entry(tx, &entry).await?;
        let association = PolicyAssociation {
            cluster: cluster.uid,
            entry: entry.id,
            policy_arn: AccessPolicies::arn_of(CLUSTER_ADMIN_POLICY, cluster.partition),
            scope: AccessScope::Cluster,
            ends_at: None,
            associated_at: now,
            modified_at: now,
        };
        tx.insert(&association).await?;
        administrators::sync_entry(tx, &entry).await?;
        let mut notices = vec![format!("`{}` is its administrator, by an access entry", entry.principal_arn)];
        if cluster.authentication_mode == AuthenticationMode::ConfigMap {
            notices.push(String::from(
                "that entry counts once the mode is API_AND_CONFIG_MAP: until then aws-auth alone does",
            ));
        }
        Ok(notices)
    }

    /// The creator's ARN with its path, where the hub knows it; a session's is its role's.
    async fn whole_arn(&self, arn: &PrincipalArn) -> Result<Option<PrincipalArn>, Fault> {
        let hub = self.inner.state.hub().await?;
        let is_local = hub.local_accounts().any(|account| account == arn.account);
        let known =
            if is_local { self.inner.state.account(arn.account).await?.bearer(arn).cloned() } else { None };
        let path = |known: Option<Box<str>>| known.map_or_else(|| String::from("/"), String::from);
        let kind = match &arn.kind {
            PrincipalKind::User { .. } => return Ok(Some(arn.clone())),
            PrincipalKind::Role { name, .. } | PrincipalKind::AssumedRole { role: name, .. } => {
                let name = known.as_ref().map_or_else(|| name.clone(), |known| known.name.to_string());
                PrincipalKind::Role { path: path(known.map(|known| known.path)), name }
            }
            PrincipalKind::Root | PrincipalKind::FederatedUser { .. } => return Ok(None),
        };
        Ok(Some(PrincipalArn { kind, ..arn.clone() }))
    }
}

/// What a text is that may be left out: as before, another, or, where an empty one is given, none any more.
fn set(change: Option<String>, before: Option<String>) -> Option<String> {
    match change {
        None => before,
        Some(text) => Some(text).filter(|text| !text.is_empty()),
    }
}

/// An id that nobody has: the name with a random end.
fn free_id(name: &str, taken: impl Fn(&ClusterId) -> bool) -> Result<ClusterId, CallError> {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let stem: String = name.chars().take(lanyard_api::CLUSTER_NAME_CHARS_MAX - ID_END_CHARS - 1).collect();
    for _ in 0..ID_TRIES {
        let mut random = [0_u8; ID_END_CHARS];
        rand::fill(&mut random).map_err(|_| Fault::Internal)?;
        let end: String = random
            .iter()
            .filter_map(|byte| ALPHABET.get(usize::from(byte & 31)).copied().map(char::from))
            .collect();
        if let Ok(id) = format!("{stem}-{end}").parse::<ClusterId>()
            && !taken(&id)
        {
            return Ok(id);
        }
    }
    Err(CallError::from(StoreError::Conflict))
}
