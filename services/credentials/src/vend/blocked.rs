//! Nobody whom a block stops is vended to, whoever gives the credentials, and nothing that was vended before is given again.

use lanyard_api::{
    Authority, BlockId, CallError,
    credentials::{PodIdentityAssociation, VendRefusal},
    mapping::Cluster,
};
use lanyard_iam::PrincipalArn;

use super::{
    cache::{Basis, Of, Vended},
    source::Sourced,
};
use crate::{
    blocks::{Sought, Standing, stopped},
    engine::Credentials,
};

impl Credentials {
    /// The refusal where a block of the hub, of the cluster, of its account or of the accounts of the roles stops one of the association's
    /// roles, or their session of which `vended` is; none where none does.
    pub(super) async fn blocked(
        &self,
        cluster: &Cluster,
        association: &PodIdentityAssociation,
        vended: Option<&Sourced>,
    ) -> Result<Option<CallError>, CallError> {
        let target = association.target_role_arn.as_ref();
        let of_target = target.map_or(association.role_arn.account, |role| role.account);
        let standing = self.standing(&[association.role_arn.account, of_target], Some(cluster)).await?;
        let session_name = vended.and_then(|vended| vended.user.arn.rsplit('/').next());
        let of_session = || {
            let vended = vended?;
            let block = standing.on_key(&vended.credentials.access_key_id)?;
            Some((block, &vended.role_arn))
        };
        let roles = [Some(&association.role_arn), target];
        let found = roles
            .into_iter()
            .flatten()
            .find_map(|role| on_role(&standing, association, role, session_name).map(|block| (block, role)));
        let found = found.or_else(of_session);
        Ok(found.map(|(block, role)| VendRefusal::AccessDenied.because(stopped(block, role))))
    }

    /// Lets go of what a pod was vended where its session or its key is blocked: the pod gets another one.
    pub(super) async fn forget_blocked(
        &self,
        cluster: &Cluster,
        of: &Of,
        basis: &Basis,
    ) -> Result<(), CallError> {
        let cache = &self.vending().cache;
        if let Some(kept) = cache.kept(of) {
            let Vended { sourced, .. } = &*kept;
            if self.blocked(cluster, &basis.association, Some(sourced)).await?.is_some() {
                cache.forget(of);
            }
        }
        Ok(())
    }
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
