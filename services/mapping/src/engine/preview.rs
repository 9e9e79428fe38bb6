//! `Preview`: what an ARN that nobody proved would become.

use std::sync::Arc;

use lanyard_api::{
    Actor, Authority, CallError, Vouched,
    mapping::{MatchedBy, Preview, PreviewQuery, Resolution},
};

use super::{
    Mapping,
    resolve::{unknown_cluster, unmapped},
};
use crate::{
    badge, key,
    knock::Knock,
    resolution::{Refused, STALE_ENTRY},
};

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
        let is_asked_by_name = principal_id.is_none() && query.authority == Authority::Local && kept;
        if is_asked_by_name {
            let account = self.inner.state.account(query.arn.account).await?;
            // A user knocks with its path, so that who bears the name on another one is somebody else.
            let own = account.spelled(&query.arn).map(|own| key::known_as(&own));
            let bears_it = own.is_some_and(|own| own.folded() == canonical.folded());
            let bearer = account.bearer(&query.arn).filter(|_| bears_it);
            principal_id = bearer.map(|bearer| bearer.principal_id.to_string());
        }
        // Nobody can knock as a principal that the hub keeps and that is gone.
        let is_gone = is_asked_by_name && principal_id.is_none();
        let knock = Knock::supposed(&query.authority, &query.arn, &canonical, principal_id.as_deref());
        if let Some(block) = view.blocked(&knock) {
            return Ok(Resolution::Blocked(block));
        }
        let now = self.inner.store.clock().now();
        let found = match self.badge_for(&view, &knock, now).await? {
            Ok(found) if is_gone && found.matched_by == MatchedBy::PrincipalId => Err(Refused::new(
                STALE_ENTRY,
                format!(
                    "the entry for `{canonical}` was made for a principal that is gone: make that anew and re-bind the entry, or \
                     delete it"
                ),
            )),
            // Who has to be meant, as nobody of that name is known here, is not whom the entry was made for.
            Ok(found)
                if found.matched_by == MatchedBy::PrincipalId
                    && principal_id.is_none()
                    && view.snapshot.stale(found.grant.id).is_some() =>
            {
                Err(Refused::new(
                    STALE_ENTRY,
                    format!(
                        "the entry for `{canonical}` was made for another principal that bore this ARN, and somebody else has knocked by \
                         it since: re-bind it or delete it"
                    ),
                ))
            }
            other => other,
        };
        match found {
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
