//! What a user stands on: a grant that still holds, nothing, or something that is to be refused.

use std::sync::Arc;

use lanyard_api::{
    Authority, EntryId, UserInfo,
    authz::Reason,
    mapping::GrantKind,
    proof::{Proof, ProofError},
};

use super::{Bearing, Lacking, Sight, World, alive, proof_in};
use crate::{
    grant::{Grant, Loss},
    snapshot::{Entry, EntryOf},
};

/// What a user stands on.
#[derive(Debug)]
pub(crate) enum Standing {
    /// Nothing of ours: RBAC alone may know them.
    Bare,
    /// A grant that still gives what they claim.
    Granted(Arc<Grant>),
    /// Nothing that may count, and they must not pass by other ways either.
    Refused(Refusal),
}

/// Why somebody is refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    /// In words, for those who ask for an explanation.
    pub(crate) detail: String,
}

impl Refusal {
    fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }

    fn revoked(detail: impl Into<String>) -> Self {
        Self::new(Reason::GrantRevoked, detail)
    }

    fn blocked(detail: impl Into<String>) -> Self {
        Self::new(Reason::Blocked, detail)
    }
}

/// An answer, a refusal, or what is lacking for either.
type Judged<T> = Result<Result<T, Refusal>, Lacking>;

/// Looks at the proof, or at the entry that is asked about in its place.
pub(crate) fn standing<W: World>(
    sight: &Sight<'_, W>,
    user: &UserInfo,
    assumed: Option<EntryId>,
) -> Result<Standing, Lacking> {
    let judged = match (proof_in(&user.extra), assumed) {
        (Bearing::Nothing, None) => return Ok(Standing::Bare),
        (Bearing::Nothing, Some(entry)) => of_entry(sight, user, entry)?,
        (Bearing::One(value), _) => of_proof(sight, user, value)?,
        (Bearing::Unfit, _) => {
            Err(Refusal::new(Reason::ProofInvalid, "the proof is one value, here are several or none"))
        }
    };
    Ok(judged.map_or_else(Standing::Refused, Standing::Granted))
}

fn of_proof<W: World>(sight: &Sight<'_, W>, user: &UserInfo, value: &str) -> Judged<Arc<Grant>> {
    let UserInfo { username, groups, .. } = user;
    let verified =
        Proof::verify(value, sight.world.keys().all(), sight.spoke.uid, username, groups, sight.now);
    let proof = match verified {
        Ok(proof) => proof,
        Err(ProofError::UnknownKey) if sight.world.has_newer_keys() => return Err(Lacking::Keys),
        Err(error) => return Ok(Err(Refusal::new(Reason::ProofInvalid, format!("the proof is {error}")))),
    };
    let grant = match grant_of(sight, user, &proof) {
        Ok(grant) => grant,
        Err(refusal) => return Ok(Err(refusal)),
    };
    // A break-glass identity is sealed for one cluster, belongs to no account, and ends by itself.
    let is_sealed = proof.grant_kind == GrantKind::BreakGlass;
    if !is_sealed && !sight.spoke.trusts(&proof.handles.account) {
        return Ok(Err(untrusted()));
    }
    if sight.any_blocks(|blocks| blocks.holds(&proof.handles)) {
        return Ok(Err(Refusal::blocked(
            "a block names the principal, its account, its access key or its session",
        )));
    }
    if sight.any_blocks(|blocks| blocks.holds_kin(&proof.kin)) {
        return Ok(Err(Refusal::blocked(
            "a block names a principal, an account or an access key that the session descends from",
        )));
    }
    if proof.local
        && !is_sealed
        && let Some(gone) = alive::gone(sight, &proof)?
    {
        return Ok(Err(Refusal::blocked(gone)));
    }
    Ok(Ok(grant))
}

/// The proof's grant, if it still gives the user's name and all of its groups.
fn grant_of<W: World>(sight: &Sight<'_, W>, user: &UserInfo, proof: &Proof) -> Result<Arc<Grant>, Refusal> {
    let counts = match proof.grant_kind {
        GrantKind::AccessEntry => sight.spoke.counts_entries(),
        GrantKind::AwsAuth => sight.spoke.counts_aws_auth(),
        GrantKind::IdentityProvider | GrantKind::BreakGlass => true,
    };
    let found = sight.cluster.grant(proof.grant_kind, proof.grant, user).filter(|_| counts);
    let grant = found
        .ok_or_else(|| Refusal::revoked(format!("the {} is gone", name_of(proof.grant_kind, proof.grant))))?;
    if !grant.is_live(sight.now) {
        return Err(Refusal::revoked(format!("the {} has ended", name_of(proof.grant_kind, proof.grant))));
    }
    let before = if proof.grant_kind == GrantKind::AwsAuth { entry_before(sight, proof)? } else { None };
    before
        .unwrap_or(grant)
        .gives(user, |name| sight.cluster.has_node(name))
        .map_err(|loss| lost(loss, proof))?;
    Ok(Arc::clone(grant))
}

/// An access entry goes before aws-auth, ended or not: an end must not raise rights. What is claimed must be what the entry
/// gives by now, though its access policies wait for a proof of its own.
fn entry_before<'s, W: World>(
    sight: &'s Sight<'_, W>,
    proof: &Proof,
) -> Result<Option<&'s Arc<Grant>>, Refusal> {
    if !sight.spoke.counts_entries() {
        return Ok(None);
    }
    match sight.cluster.entry_of(&proof.handles) {
        EntryOf::None => Ok(None),
        EntryOf::Its(entry) if entry.grant.is_live(sight.now) => Ok(Some(&entry.grant)),
        EntryOf::Its(_) => Err(Refusal::revoked("an access entry that has ended goes before aws-auth")),
        EntryOf::Stale => {
            Err(Refusal::revoked("an access entry for another principal of this ARN goes before aws-auth"))
        }
    }
}

fn lost(loss: Loss<'_>, proof: &Proof) -> Refusal {
    let name = name_of(proof.grant_kind, proof.grant);
    Refusal::revoked(match loss {
        Loss::Username(username) => format!("the {name} gives another username than `{username}` by now"),
        Loss::Group(group) => format!("the {name} no longer gives the group `{group}`"),
    })
}

/// Of an entry that nobody bears a proof of: for explanations. It is held to the same as one with a proof, as far as what
/// is known of its principal goes: no key, no session.
fn of_entry<W: World>(sight: &Sight<'_, W>, user: &UserInfo, id: EntryId) -> Judged<Arc<Grant>> {
    let found = sight.cluster.entry(id).filter(|_| sight.spoke.counts_entries());
    let Some(entry) = found else {
        return Ok(Err(Refusal::revoked(format!("the {} is gone", name_of(GrantKind::AccessEntry, id)))));
    };
    match judge_entry(sight, entry)? {
        Err(refusal) => Ok(Err(refusal)),
        Ok(()) => Ok(match entry.grant.gives(user, |name| sight.cluster.has_node(name)) {
            Ok(()) => Ok(Arc::clone(&entry.grant)),
            Err(Loss::Username(name)) => {
                Err(Refusal::revoked(format!("the entry does not give the username `{name}`")))
            }
            Err(Loss::Group(group)) => {
                Err(Refusal::revoked(format!("the entry does not give the group `{group}`")))
            }
        }),
    }
}

/// Whether whoever an entry is for may come in by it now.
pub(super) fn judge_entry<W: World>(sight: &Sight<'_, W>, entry: &Entry) -> Judged<()> {
    if !entry.grant.is_live(sight.now) {
        let name = name_of(GrantKind::AccessEntry, entry.grant.id);
        return Ok(Err(Refusal::revoked(format!("the {name} has ended"))));
    }
    if !entry.account_handles.iter().any(|handle| sight.spoke.trusts(handle)) {
        return Ok(Err(untrusted()));
    }
    let mut handles = entry.account_handles.iter().chain(&entry.principal_handles);
    if handles.any(|handle| sight.any_blocks(|blocks| blocks.reaches(handle))) {
        return Ok(Err(Refusal::blocked("a block names the principal or its account")));
    }
    let is_known = entry.authority == Authority::Local && !entry.principal_id_handles.is_empty();
    if is_known && !sight.has_principal(entry.account, &entry.principal_id_handles)? {
        return Ok(Err(Refusal::blocked(
            "the principal was deleted; one made anew under its name is another",
        )));
    }
    Ok(Ok(()))
}

fn untrusted() -> Refusal {
    Refusal::revoked("the cluster no longer lets this account in")
}

/// Without an ARN: that is for doors to add, for those who may know it.
fn name_of(kind: GrantKind, id: EntryId) -> String {
    match kind {
        GrantKind::AccessEntry => format!("access entry {id}"),
        GrantKind::AwsAuth => "aws-auth line".to_owned(),
        GrantKind::IdentityProvider => "identity-provider configuration".to_owned(),
        GrantKind::BreakGlass => "break-glass credential".to_owned(),
    }
}
