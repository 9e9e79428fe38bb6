//! [`Tags`]: of Pod Identity associations.

use std::collections::BTreeMap;

use lanyard_api::{
    Actor, CallError, Mutated, Mutation, Scope, Vouched,
    credentials::PodIdentityAssociation,
    tags::{TagEdit, TaggedArn, TaggedPart, Tags, no_resource},
};
use lanyard_store::replayed;

use crate::engine::Credentials;

impl Tags for Credentials {
    async fn edit_tags(
        &self,
        by: Mutation,
        arn: TaggedArn,
        edit: TagEdit,
    ) -> Result<Mutated<BTreeMap<String, String>>, CallError> {
        edit.judge()?;
        let TaggedPart::PodIdentityAssociation(id) = &arn.part else { return Err(no_resource(&arn)) };
        let cluster = self.seen_at(&by.actor.value, &arn.cluster).await?;
        let scope = Scope::Cluster(cluster.ok_or_else(|| no_resource(&arn))?.uid);
        let mut tx = match self.store().begin(edit.transaction(), &by, &[scope]).await {
            Ok(tx) => tx,
            Err(error) => return replayed(error),
        };
        let stored: Option<PodIdentityAssociation> = tx.get(scope, id.as_str()).await?;
        let mut association = stored.ok_or_else(|| no_resource(&arn))?;
        edit.apply(&mut association.tags)?;
        tx.put(&association).await?;
        tx.answer(scope, association.tags, Vec::new()).await
    }

    async fn list_tags(
        &self,
        by: Vouched<Actor>,
        arn: TaggedArn,
    ) -> Result<BTreeMap<String, String>, CallError> {
        let TaggedPart::PodIdentityAssociation(id) = &arn.part else { return Err(no_resource(&arn)) };
        let cluster = self.seen_at(&by.value, &arn.cluster).await?.ok_or_else(|| no_resource(&arn))?;
        let snapshot = self.associations(cluster.uid).await?;
        let found = snapshot.by_id(id.as_str()).ok_or_else(|| no_resource(&arn))?;
        Ok(found.tags.clone())
    }
}
