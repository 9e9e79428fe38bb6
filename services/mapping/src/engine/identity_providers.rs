//! `IdentityProviders`: the OIDC identity-provider configurations of clusters.

mod taken;

use lanyard_api::{
    Actor, CallError, ClusterId, IdentityProviderConfigId, Mutated, Mutation, Page, PageQuery, Scope,
    Vouched,
    mapping::{
        AssociateIdentityProvider, Cluster, ClusterUpdateType, IdentityProviderConfig,
        IdentityProviderConfigDetail, IdentityProviderRef, IdentityProviderSettings, IdentityProviders,
        SHARED_AUDIENCE_TAG,
    },
};
use lanyard_store::{StoreError, Transaction};

use super::{
    Mapping,
    commit::{commit, fresh},
    entries::current,
    sight::Call,
    updates,
};
use crate::{
    administrators,
    config::Limits,
    rules::{self, Broken, Rule, identity_provider as rule},
    snapshot::ClusterSnapshot,
};

const CONFIG: &str = "identity-provider configuration";

impl IdentityProviders for Mapping {
    async fn associate_identity_provider(
        &self,
        by: Mutation,
        asked: AssociateIdentityProvider,
    ) -> Result<Mutated<IdentityProviderConfigDetail>, CallError> {
        let AssociateIdentityProvider { cluster, mut settings } = asked;
        let cluster = self.seen(&by.actor.value, &cluster, Call::Management).await?;
        rule::settings(&settings)?;
        // Once and for all: an audience that is shared is another cluster's affair too, and no later edit of tags takes it back.
        settings.shared_audience |=
            settings.tags.get(SHARED_AUDIENCE_TAG).is_some_and(|value| value == "true");
        let scope = Scope::Cluster(cluster.uid);
        // The hub's scope too: of two who take one audience at the same time, the second sees the first.
        let mut tx =
            fresh!(self.begin("associate_identity_provider_config", &by, &[Scope::Hub, scope]).await?);
        let cluster = current(&mut tx, &cluster).await?;
        let standing: Vec<IdentityProviderConfig> = tx.list(scope).await?;
        within_limits(&self.inner.config.limits, &settings, &standing)?;
        unique(&settings, &standing)?;
        rule::beside(&settings, &standing)?;
        taken::usernames(&mut tx, &cluster, &settings).await?;
        let notices = audience(&mut tx, &cluster, &settings).await?;
        let config = IdentityProviderConfig {
            id: IdentityProviderConfigId::random(),
            cluster: cluster.uid,
            settings,
            created_at: tx.now(),
        };
        match tx.insert(&config).await {
            Err(StoreError::Exists { .. }) => return Err(CallError::exists(CONFIG, &config.settings.name)),
            other => other?,
        }
        administrators::sync_cluster(&mut tx, &cluster).await?;
        let kind = ClusterUpdateType::AssociateIdentityProvider;
        updates::identity_provider(&mut tx, cluster.uid, kind, &config.settings.name).await?;
        commit(tx, scope, detail(&cluster, config), notices).await
    }

    async fn get_identity_provider(
        &self,
        by: Vouched<Actor>,
        named: IdentityProviderRef,
    ) -> Result<IdentityProviderConfigDetail, CallError> {
        let cluster = self.seen(&by.value, &named.cluster, Call::Management).await?;
        let snapshot = self.inner.state.cluster(cluster.uid).await?;
        Ok(detail(&cluster, find(&snapshot, &named)?.clone()))
    }

    async fn list_identity_providers(
        &self,
        by: Vouched<Actor>,
        cluster: ClusterId,
        page: PageQuery,
    ) -> Result<Page<IdentityProviderConfigDetail>, CallError> {
        let cluster = self.seen(&by.value, &cluster, Call::Management).await?;
        let snapshot = self.inner.state.cluster(cluster.uid).await?;
        let all = snapshot.identity_providers().iter();
        let cut = Page::cut(all, &page, |config| config.settings.name.clone());
        let items = cut.items.into_iter().map(|config| detail(&cluster, (**config).clone())).collect();
        Ok(Page { items, next_token: cut.next_token })
    }

    async fn disassociate_identity_provider(
        &self,
        by: Mutation,
        named: IdentityProviderRef,
    ) -> Result<Mutated<IdentityProviderConfigDetail>, CallError> {
        let cluster = self.seen(&by.actor.value, &named.cluster, Call::Management).await?;
        let snapshot = self.inner.state.cluster(cluster.uid).await?;
        let scope = Scope::Cluster(cluster.uid);
        let mut tx = fresh!(self.begin("disassociate_identity_provider_config", &by, &[scope]).await?);
        let id = find(&snapshot, &named)?.id;
        let cluster = current(&mut tx, &cluster).await?;
        let gone: Option<IdentityProviderConfig> = tx.delete(scope, &id.to_string()).await?;
        let gone = gone.ok_or_else(|| missing(&named))?;
        // Whom its prefix kept out gets in again: an administrator who counted as none is one.
        administrators::sync_cluster(&mut tx, &cluster).await?;
        let notices = vec![format!("nobody of `{}` gets in any more", gone.settings.issuer_url)];
        let kind = ClusterUpdateType::DisassociateIdentityProvider;
        updates::identity_provider(&mut tx, cluster.uid, kind, &gone.settings.name).await?;
        commit(tx, scope, detail(&cluster, gone), notices).await
    }
}

fn missing(named: &IdentityProviderRef) -> CallError {
    CallError::not_found(CONFIG, rules::shown(&named.name))
}

fn find<'s>(
    snapshot: &'s ClusterSnapshot,
    named: &IdentityProviderRef,
) -> Result<&'s IdentityProviderConfig, CallError> {
    let mut all = snapshot.identity_providers().iter();
    all.find(|config| config.settings.name == named.name)
        .map(|config| &**config)
        .ok_or_else(|| missing(named))
}

fn within_limits(
    limits: &Limits,
    settings: &IdentityProviderSettings,
    standing: &[IdentityProviderConfig],
) -> Result<(), CallError> {
    let limit = limits.identity_providers_per_cluster;
    if standing.len() as u64 >= limit {
        let what = "identity-provider configurations of one cluster".into();
        return Err(CallError::LimitExceeded { what, limit });
    }
    let all = standing.iter().map(|config| &config.settings).chain([settings]);
    let limit = limits.identity_provider_bytes_per_cluster;
    if all.map(bytes_of).sum::<usize>() > limit {
        let what = "bytes of the identity-provider configurations of one cluster".into();
        return Err(CallError::LimitExceeded { what, limit: limit as u64 });
    }
    Ok(())
}

/// What counts of a configuration: all of it but its CA bundle, which EKS has none of.
fn bytes_of(settings: &IdentityProviderSettings) -> usize {
    let counted = IdentityProviderSettings { ca_bundle_pem: None, ..settings.clone() };
    serde_json::to_vec(&counted).map_or(usize::MAX / 16, |bytes| bytes.len())
}

/// Name and issuer are one configuration's in its cluster.
fn unique(settings: &IdentityProviderSettings, standing: &[IdentityProviderConfig]) -> Result<(), CallError> {
    if standing.iter().any(|other| other.settings.name == settings.name) {
        return Err(CallError::exists(CONFIG, &settings.name));
    }
    let twin = standing.iter().find(|other| other.settings.issuer_url == settings.issuer_url);
    twin.map_or(Ok(()), |twin| {
        Err(CallError::exists("identity-provider configuration for issuer", &twin.settings.issuer_url))
    })
}

/// An audience belongs to one cluster: whoever sees a login token there could present it at every other one that takes it, and
/// exchange it at the STS for a role's session where an account's OIDC provider does. Which others do is not told, for they may be
/// another account's.
async fn audience(
    tx: &mut Transaction,
    cluster: &Cluster,
    settings: &IdentityProviderSettings,
) -> Result<Vec<String>, CallError> {
    let IdentityProviderSettings { issuer_url, client_id, shared_audience, .. } = settings;
    let others = tx.other_identity_providers_of_audience(cluster.uid, issuer_url, client_id).await?;
    if let Some(other) = others.iter().find(|other| !shared_audience || !other.settings.shared_audience) {
        let whose = if other.settings.shared_audience { "this one" } else { "another cluster" };
        let message = format!(
            "client id `{}` of `{}` is taken by another cluster, and {whose} does not share it: give each cluster a client id of \
             its own, or associate it anew in all of them with the tag `{SHARED_AUDIENCE_TAG}=true` (over gRPC also by \
             `shared_audience`)",
            rules::shown(client_id),
            rules::shown(issuer_url)
        );
        return Err(Broken::new("client_id", Rule::AudienceTaken, message).into());
    }
    let exchanges = tx.oidc_providers_of_audience(issuer_url, client_id).await?.len();
    if !shared_audience && exchanges > 0 {
        let message = format!(
            "client id `{}` of `{}` is one whose tokens an account exchanges for sessions of its roles (`lanyard iam oidc-provider`): \
             whoever sees a login token in the cluster could do so too. Give the cluster a client id of its own, or associate it with \
             the tag `{SHARED_AUDIENCE_TAG}=true` (over gRPC also by `shared_audience`)",
            rules::shown(client_id),
            rules::shown(issuer_url)
        );
        return Err(Broken::new("client_id", Rule::AudienceTaken, message).into());
    }
    if !shared_audience {
        return Ok(Vec::new());
    }
    let mut notices = vec![format!(
        "client id `{}` is shared: whoever sees a token for it in one cluster can present it in every other one that takes it ({} \
         by now)",
        rules::shown(client_id),
        others.len()
    )];
    if exchanges > 0 {
        notices.push(format!(
            "client id `{}` is shared with the STS: whoever sees a token for it in the cluster can exchange it for a session of each \
             role that trusts its issuer and lets that person in (OIDC providers that take it: {exchanges} by now)",
            rules::shown(client_id)
        ));
    }
    Ok(notices)
}

fn detail(cluster: &Cluster, config: IdentityProviderConfig) -> IdentityProviderConfigDetail {
    IdentityProviderConfigDetail { arn: arn_of(cluster, &config), config }
}

/// `arn:P:eks:R:A:identityproviderconfig/CLUSTER/oidc/NAME/UUID`.
pub(super) fn arn_of(cluster: &Cluster, config: &IdentityProviderConfig) -> String {
    format!(
        "arn:{}:eks:{}:{}:identityproviderconfig/{}/oidc/{}/{}",
        cluster.partition, cluster.region, cluster.account, cluster.name, config.settings.name, config.id
    )
}
