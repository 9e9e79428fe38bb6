//! Whether a local principal is there still, with all that its session descends from.

use lanyard_api::{
    Scope,
    authz::Gone,
    proof::{Handle, KinKind, Proof},
};
use lanyard_iam::AccountId;

use super::{Lacking, Sight, World};
use crate::snapshot::AccountSnapshot;

/// What of a local proof is gone; none where all of it is there.
pub(super) fn gone<W: World>(sight: &Sight<'_, W>, proof: &Proof) -> Result<Option<Gone>, Lacking> {
    let handles = &proof.handles;
    let Some(account) = sight.hub.local_account(&handles.account) else { return Ok(Some(Gone::Account)) };
    let own = sight.home(account)?;
    if !own.has_principal(&handles.principal_id) {
        return Ok(Some(Gone::Principal));
    }
    if own.is_revoked(&handles.principal_id, proof.minted_at) {
        return Ok(Some(Gone::Sessions));
    }
    // A session is signed with its own key, which has no record; the long-term one is among its kin. A user's own session has no
    // name, and kin all the same.
    let is_session = handles.session != Handle::NONE || !proof.kin.as_slice().is_empty();
    if !is_session && !own.has_key(&handles.access_key) {
        return Ok(Some(Gone::AccessKey));
    }
    gone_kin(sight, proof, &own)
}

/// The kin are looked for in the session's own account, as nearly always, and then in the others that the proof names.
fn gone_kin<W: World>(
    sight: &Sight<'_, W>,
    proof: &Proof,
    own: &AccountSnapshot,
) -> Result<Option<Gone>, Lacking> {
    let accounts = || proof.kin.of(KinKind::Account).map(|handle| sight.hub.local_account(handle));
    if accounts().any(|account| account.is_none()) {
        return Ok(Some(Gone::KinAccount));
    }
    let others = || accounts().flatten();
    let is_lacking = |account: &AccountId| sight.world.account(*account).is_none();
    let lacking: Vec<Scope> = others().filter(is_lacking).map(Scope::Account).collect();
    if !lacking.is_empty() {
        return Err(Lacking::Scopes(lacking));
    }
    let in_any = |holds: &dyn Fn(&AccountSnapshot) -> bool| {
        holds(own) || others().any(|other| sight.world.account(other).is_some_and(|home| holds(&home)))
    };
    for id in proof.kin.of(KinKind::PrincipalId) {
        if !in_any(&|home| home.has_principal(id)) {
            return Ok(Some(Gone::KinPrincipal));
        }
        if in_any(&|home| home.is_revoked(id, proof.minted_at)) {
            return Ok(Some(Gone::KinSessions));
        }
    }
    let has_provider = |provider: &Handle| in_any(&|home| home.has_oidc_provider(provider));
    if !proof.kin.of(KinKind::Provider).all(has_provider) {
        return Ok(Some(Gone::KinProvider));
    }
    let is_active = |key: &Handle| in_any(&|home| home.has_key(key));
    if !proof.kin.of(KinKind::AccessKey).all(is_active) {
        return Ok(Some(Gone::KinAccessKey));
    }
    gone_of_pod(sight, proof)
}

/// What is in memory may be from before a pod's cluster or association was made: nobody says that they are gone before it is as new as
/// the question.
fn gone_of_pod<W: World>(sight: &Sight<'_, W>, proof: &Proof) -> Result<Option<Gone>, Lacking> {
    match missing_of_pod(sight, proof)? {
        Some((_, named)) if !sight.world.is_caught_up_with(&named) => Err(Lacking::Newer(named)),
        missing => Ok(missing.map(|(gone, _)| gone)),
    }
}

/// What is not known of a pod's cluster and association, and how the proof names that.
///
/// A pod's association is of the cluster that its session descends from too, which need not be the one that is asked about.
fn missing_of_pod<W: World>(sight: &Sight<'_, W>, proof: &Proof) -> Result<Option<(Gone, Handle)>, Lacking> {
    let has_association = proof.kin.of(KinKind::PodIdentityAssociation).next().is_some();
    let mut clusters = Vec::new();
    for handle in proof.kin.of(KinKind::Cluster) {
        let Some(cluster) = sight.hub.cluster(handle) else {
            return Ok(Some((Gone::KinCluster, *handle)));
        };
        // A session that a token of a cluster's issuer made has none: what is in its cluster is nothing to it.
        if has_association {
            clusters.push(sight.other(cluster)?);
        }
    }
    let is_there = |association: &Handle| {
        clusters.iter().any(|cluster| cluster.has_pod_identity_association(association))
    };
    let missing = proof.kin.of(KinKind::PodIdentityAssociation).find(|association| !is_there(association));
    Ok(missing.map(|association| (Gone::KinAssociation, *association)))
}
