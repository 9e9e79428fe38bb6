//! `Tags`: of clusters, access entries and identity-provider configurations.

use std::{collections::BTreeMap, sync::Arc};

use lanyard_api::{
    CallError, Mutated, Mutation, Scope, Vouched,
    mapping::{AccessEntry, Cluster, IdentityProviderConfig},
    tags::{TagEdit, TaggedArn, TaggedPart, Tags, no_resource},
};
use lanyard_store::{Record, Transaction};

use super::{
    Mapping,
    commit::{commit, fresh},
    entries::{self, current},
    identity_providers,
};
use crate::rules;

impl Tags for Mapping {
    async fn edit_tags(
        &self,
        by: Mutation,
        arn: TaggedArn,
        edit: TagEdit,
    ) -> Result<Mutated<BTreeMap<String, String>>, CallError> {
        edit.judge()?;
        let cluster = self.seen_at(&by.actor.value, &arn).await?;
        let (name, of_cluster) = (edit.transaction(), Scope::Cluster(cluster.uid));
        let scopes: &[Scope] = match arn.part {
            TaggedPart::Cluster => &[Scope::Hub, of_cluster],
            _ => &[of_cluster],
        };
        let mut tx = fresh!(self.begin(name, &by, scopes).await?);
        let (scope, tags) = match &arn.part {
            TaggedPart::Cluster => {
                let mut record = current(&mut tx, &cluster).await?;
                edit.apply(&mut record.tags)?;
                rules::cluster::tags(&record.tags)?;
                tx.put(&record).await?;
                (Scope::Hub, record.tags)
            }
            TaggedPart::AccessEntry { id, .. } => {
                let mut record: AccessEntry = stored(&mut tx, of_cluster, &id.to_string(), &arn).await?;
                is_it(&arn, &entries::arn_of(&cluster, &record))?;
                edit.apply(&mut record.tags)?;
                tx.put(&record).await?;
                (of_cluster, record.tags)
            }
            TaggedPart::IdentityProviderConfig { id, .. } => {
                let mut record: IdentityProviderConfig =
                    stored(&mut tx, of_cluster, &id.to_string(), &arn).await?;
                is_it(&arn, &identity_providers::arn_of(&cluster, &record))?;
                edit.apply(&mut record.settings.tags)?;
                tx.put(&record).await?;
                (of_cluster, record.settings.tags)
            }
            TaggedPart::PodIdentityAssociation(_) => return Err(no_resource(&arn)),
        };
        commit(tx, scope, tags, Vec::new()).await
    }

    async fn list_tags(
        &self,
        by: Vouched<lanyard_api::Actor>,
        arn: TaggedArn,
    ) -> Result<BTreeMap<String, String>, CallError> {
        let cluster = self.seen_at(&by.value, &arn).await?;
        let snapshot = self.inner.state.cluster(cluster.uid).await?;
        match &arn.part {
            TaggedPart::Cluster => Ok(cluster.tags.clone()),
            TaggedPart::AccessEntry { id, .. } => {
                let found = snapshot.entry(*id).ok_or_else(|| no_resource(&arn))?;
                is_it(&arn, &entries::arn_of(&cluster, &found.record))?;
                Ok(found.record.tags.clone())
            }
            TaggedPart::IdentityProviderConfig { id, .. } => {
                let mut all = snapshot.identity_providers().iter();
                let found: &Arc<IdentityProviderConfig> =
                    all.find(|config| config.id == *id).ok_or_else(|| no_resource(&arn))?;
                is_it(&arn, &identity_providers::arn_of(&cluster, found))?;
                Ok(found.settings.tags.clone())
            }
            TaggedPart::PodIdentityAssociation(_) => Err(no_resource(&arn)),
        }
    }
}

async fn stored<R: Record>(
    tx: &mut Transaction,
    scope: Scope,
    key: &str,
    arn: &TaggedArn,
) -> Result<R, CallError> {
    tx.get(scope, key).await?.ok_or_else(|| no_resource(arn))
}

/// Policies are held against the ARN as it was given: what has another one is not what was meant.
fn is_it(asked: &TaggedArn, found: &str) -> Result<(), CallError> {
    if asked.to_string() == found { Ok(()) } else { Err(no_resource(asked)) }
}

impl Mapping {
    /// The cluster of an ARN.
    async fn seen_at(&self, actor: &lanyard_api::Actor, arn: &TaggedArn) -> Result<Arc<Cluster>, CallError> {
        self.seen_by_place(actor, &arn.cluster).await?.ok_or_else(|| no_resource(arn))
    }
}
