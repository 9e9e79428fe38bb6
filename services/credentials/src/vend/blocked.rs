//! Nobody whom a block stops is vended to, whoever gives the credentials, and nothing that was vended before is given again.

use std::sync::Arc;

use lanyard_api::{
    Authority, BlockId, CallError,
    credentials::{PodIdentityAssociation, VendRefusal},
    mapping::Cluster,
};
use lanyard_iam::PrincipalArn;

use super::{
    cache::{Of, Vended},
    source::Sourced,
};
use crate::{
    blocks::{Sought, Standing, stopped},
    engine::Credentials,
};

impl Credentials {
    /// What a pod was vended, if it has something that no block stops. Where its session or its key is blocked it is let go, and the pod gets
    /// another one.
    ///
    /// # Errors
    /// The refusal where a block stops one of the association's roles, or their account: then nothing is kept either.
    pub(super) async fn unblocked_of(
        &self,
        cluster: &Cluster,
        of: &Of,
        association: &PodIdentityAssociation,
    ) -> Result<Option<Arc<Vended>>, CallError> {
        let cache = &self.vending().cache;
        let standing = self.standing_in(cluster, association).await?;
        if let Some(refusal) = refusal(&standing, association, None) {
            cache.forget(of);
            return Err(refusal);
        }
        match cache.kept(of) {
            Some(kept) if refusal(&standing, association, Some(&kept.sourced)).is_some() => {
                cache.forget(of);
                Ok(None)
            }
            kept => Ok(kept),
        }
    }

    /// Whether no block stops what was vended just now: one may have been made while AWS was asked, which looks at none.
    ///
    /// # Errors
    /// The refusal; then it is let go.
    pub(super) async fn still_unblocked(
        &self,
        cluster: &Cluster,
        of: &Of,
        vended: &Vended,
    ) -> Result<(), CallError> {
        let association = vended.association();
        let standing = self.standing_in(cluster, association).await?;
        match refusal(&standing, association, Some(&vended.sourced)) {
            Some(refusal) => {
                self.vending().cache.forget(of);
                Err(refusal)
            }
            None => Ok(()),
        }
    }

    /// The blocks of the hub, of the cluster, of its account and of the accounts of an association's roles.
    async fn standing_in(
        &self,
        cluster: &Cluster,
        association: &PodIdentityAssociation,
    ) -> Result<Standing, CallError> {
        let target = association.target_role_arn.as_ref();
        let of_target = target.map_or(association.role_arn.account, |role| role.account);
        self.standing(&[association.role_arn.account, of_target], Some(cluster)).await
    }
}

/// The refusal where a block stops one of the association's roles, or their session of which `vended` is; none where none does.
fn refusal(
    standing: &Standing,
    association: &PodIdentityAssociation,
    vended: Option<&Sourced>,
) -> Option<CallError> {
    let session_name = vended.and_then(|vended| vended.user.arn.rsplit('/').next());
    let of_session = || {
        let vended = vended?;
        let block = standing.on_key(&vended.credentials.access_key_id)?;
        Some((block, &vended.role_arn))
    };
    let roles = [Some(&association.role_arn), association.target_role_arn.as_ref()];
    let found = roles
        .into_iter()
        .flatten()
        .find_map(|role| on_role(standing, association, role, session_name).map(|block| (block, role)));
    let (block, role) = found.or_else(of_session)?;
    Some(VendRefusal::AccessDenied.because(stopped(block, role)))
}

/// The block on a role. The authority that gives the first role's sessions gives the target role's too, though nobody has registered its
/// account.
fn on_role(
    standing: &Standing,
    association: &PodIdentityAssociation,
    role: &PrincipalArn,
    session_name: Option<&str>,
) -> Option<BlockId> {
    let of = |account| standing.authority_of(account);
    let mut authorities: Vec<&Authority> =
        [of(role.account), of(association.role_arn.account)].into_iter().flatten().collect();
    authorities.dedup();
    authorities.into_iter().find_map(|authority| standing.on_role(&Sought { authority, role, session_name }))
}
