//! `Preview`: what an ARN that nobody proved would become.

use std::sync::Arc;

use lanyard_api::{
    Actor, Authority, CallError, Vouched,
    mapping::{Preview, PreviewQuery, Resolution},
};

use super::{
    Mapping,
    resolve::{unknown_cluster, unmapped},
};
use crate::{badge, key, knock::Knock};

impl Preview for Mapping {
    async fn preview(&self, by: Vouched<Actor>, query: PreviewQuery) -> Result<Resolution, CallError> {
        let cluster = self.seen_by_uid(&by.value, query.cluster).await?;
        let Some(view) = self.view(cluster.uid).await? else { return Ok(unknown_cluster()) };
        let canonical = key::known_as(&query.arn);
        let mut principal_id = query.principal_id.clone();
        let kept = view
            .hub
            .accounts
            .get(&query.arn.account)
            .is_some_and(|account| account.authority == Authority::Local);
        if principal_id.is_none() && query.authority == Authority::Local && kept {
            let account = self.inner.state.account(query.arn.account).await?;
            principal_id = account.bearer(&query.arn).map(|principal| principal.principal_id.to_string());
        }
        let knock = Knock::supposed(&query.authority, &query.arn, &canonical, principal_id.as_deref());
        if let Some(block) = view.blocked(&knock) {
            return Ok(Resolution::Blocked(block));
        }
        let now = self.inner.store.clock().now();
        match self.badge_for(&view, &knock, now).await? {
            Ok(found) => {
                let mapped = badge::supposed(found, &knock, query.arn.to_string());
                Ok(Resolution::Mapped(Arc::new(mapped)))
            }
            Err(refused) => {
                let misses = self.near_misses(&view, &knock, now).await?;
                Ok(unmapped(refused, misses))
            }
        }
    }
}
