//! What a user stands on: a grant that still holds, nothing, or something that is to be refused.

use std::{fmt, sync::Arc};

use lanyard_api::{
    Authority, EntryId, UserInfo,
    authz::{Gone, Reason},
    mapping::GrantKind,
    proof::{CANONICAL_ARN_KEY, Proof, ProofError},
};

use super::{Bearing, Lacking, Sight, World, alive, proof_in};
use crate::{
    grant::{Grant, Loss},
    snapshot::{Entry, EntryOf},
};

/// What a user stands on.
#[derive(Debug)]
pub(crate) enum Standing<'a> {
    /// Nothing of ours: RBAC alone may know them.
    Bare,
    /// A grant that still gives what they claim.
    Granted(&'a Grant),
    /// Nothing that may count, and they must not pass by other ways either.
    Refused(Refusal<'a>),
}

/// Why somebody is refused.
#[derive(Debug)]
pub(crate) enum Refusal<'a> {
    ProofInvalid(Detail<'a>),
    GrantRevoked(Detail<'a>),
    Blocked(&'static str),
    Gone(Gone),
}

/// A refusal at length; text is made last.
#[derive(Debug)]
pub(crate) enum Detail<'a> {
    Said(&'static str),
    Proof(ProofError),
    Gone(GrantName),
    Ended(GrantName),
    /// The proof's grant gives less than it did.
    Lost(GrantName, Loss<'a>),
    /// The entry asked about does not give what is claimed.
    NotGiven(Loss<'a>),
}

/// A grant without its ARN: that is for doors to add, for those who may know it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GrantName(GrantKind, EntryId);

impl Refusal<'_> {
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::ProofInvalid(_) => Reason::ProofInvalid,
            Self::GrantRevoked(_) => Reason::GrantRevoked,
            Self::Blocked(_) => Reason::Blocked,
            Self::Gone(gone) => Reason::Gone(*gone),
        }
    }
}

impl fmt::Display for Refusal<'_> {
    /// At length, for those who ask for an explanation.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ProofInvalid(detail) | Self::GrantRevoked(detail) => fmt::Display::fmt(detail, f),
            Self::Blocked(detail) => f.write_str(detail),
            Self::Gone(gone) => fmt::Display::fmt(gone, f),
        }
    }
}

impl fmt::Display for Detail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said(text) => f.write_str(text),
            Self::Proof(error) => write!(f, "the proof is {error}"),
            Self::Gone(grant) => write!(f, "the {grant} is gone"),
            Self::Ended(grant) => write!(f, "the {grant} has ended"),
            Self::Lost(grant, Loss::Username(username)) => {
                write!(f, "the {grant} gives another username than `{username}` by now")
            }
            Self::Lost(grant, Loss::Group(group)) => {
                write!(f, "the {grant} no longer gives the group `{group}`")
            }
            Self::NotGiven(Loss::Username(name)) => {
                write!(f, "the entry does not give the username `{name}`")
            }
            Self::NotGiven(Loss::Group(group)) => write!(f, "the entry does not give the group `{group}`"),
        }
    }
}

impl fmt::Display for GrantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            GrantKind::AccessEntry => write!(f, "access entry {}", self.1),
            GrantKind::AwsAuth => f.write_str("aws-auth line"),
            GrantKind::IdentityProvider => f.write_str("identity-provider configuration"),
            GrantKind::BreakGlass => f.write_str("break-glass credential"),
        }
    }
}

/// An answer, a refusal, or what is lacking for either.
type Judged<'a, T> = Result<Result<T, Refusal<'a>>, Lacking>;

/// Looks at the proof, or at the entry that is asked about in its place.
pub(crate) fn standing<'a, W: World>(
    sight: &'a Sight<'_, W>,
    user: &'a UserInfo,
    assumed: Option<EntryId>,
) -> Result<Standing<'a>, Lacking> {
    let judged = match (proof_in(&user.extra), assumed) {
        (Bearing::Nothing, None) => return Ok(Standing::Bare),
        (Bearing::Nothing, Some(entry)) => of_entry(sight, user, entry)?,
        (Bearing::One(value), _) => of_proof(sight, user, value)?,
        (Bearing::Unfit, _) => {
            Err(Refusal::ProofInvalid(Detail::Said("the proof is one value, here are several or none")))
        }
    };
    Ok(judged.map_or_else(Standing::Refused, Standing::Granted))
}

fn of_proof<'a, W: World>(sight: &'a Sight<'_, W>, user: &'a UserInfo, value: &str) -> Judged<'a, &'a Grant> {
    let UserInfo { username, groups, .. } = user;
    let verified =
        Proof::verify(value, sight.world.keys().all(), sight.spoke.uid, username, groups, sight.now);
    let proof = match verified {
        Ok(proof) => proof,
        Err(ProofError::UnknownKey) if sight.world.may_have_newer_keys() => return Err(Lacking::Keys),
        Err(error) => return Ok(Err(Refusal::ProofInvalid(Detail::Proof(error)))),
    };
    let grant = match grant_of(sight, user, &proof) {
        Ok(grant) => grant,
        Err(refusal) => return Ok(Err(refusal)),
    };
    // A break-glass identity is sealed for one cluster, belongs to no account, and ends by itself.
    let is_sealed = proof.grant_kind == GrantKind::BreakGlass;
    // Whom an OIDC issuer knows belongs to none either: the configuration is what lets the issuer in.
    let is_of_account = !is_sealed && proof.grant_kind != GrantKind::IdentityProvider;
    if is_of_account && !sight.spoke.trusts(&proof.handles.account) {
        return Ok(Err(untrusted()));
    }
    if sight.any_blocks(|blocks| blocks.holds(&proof.handles)) {
        return Ok(Err(Refusal::Blocked(
            "a block names the principal, its account or issuer, its access key or its session",
        )));
    }
    if sight.any_blocks(|blocks| blocks.holds_kin(&proof.kin)) {
        return Ok(Err(Refusal::Blocked(
            "a block names a principal, a session, an account or an access key that the session descends from",
        )));
    }
    if proof.local
        && !is_sealed
        && let Some(gone) = alive::gone(sight, &proof)?
    {
        return Ok(Err(Refusal::Gone(gone)));
    }
    Ok(Ok(grant))
}

/// The proof's grant, if it still gives the user's name and all of its groups.
fn grant_of<'a, W: World>(
    sight: &'a Sight<'_, W>,
    user: &'a UserInfo,
    proof: &Proof,
) -> Result<&'a Grant, Refusal<'a>> {
    let name = GrantName(proof.grant_kind, proof.grant);
    let counts = match proof.grant_kind {
        GrantKind::AccessEntry => sight.spoke.counts_entries(),
        GrantKind::AwsAuth => sight.spoke.counts_aws_auth(),
        GrantKind::IdentityProvider | GrantKind::BreakGlass => true,
    };
    let found = sight.cluster.grant(proof.grant_kind, proof.grant, user).filter(|_| counts);
    let grant = found.ok_or(Refusal::GrantRevoked(Detail::Gone(name)))?;
    if !grant.is_live(sight.now) {
        return Err(Refusal::GrantRevoked(Detail::Ended(name)));
    }
    if proof.grant_kind == GrantKind::AccessEntry
        && let Some(entry) = sight.cluster.entry(proof.grant)
        && !entry.is_bound_to(&proof.handles.principal_id)
    {
        return Err(Refusal::GrantRevoked(Detail::Said("the entry is bound to another principal by now")));
    }
    entry_before(sight, user, proof)?
        .unwrap_or(grant)
        .gives(user, |node, may_be_ec2s| {
            let authority = sight.spoke.authority_of(&proof.handles.account);
            let nodes = &sight.cluster.nodes;
            authority
                .is_some_and(|authority| nodes.names(node, may_be_ec2s, proof, authority, sight.world.keys()))
        })
        .map_err(|loss| Refusal::GrantRevoked(Detail::Lost(name, loss)))?;
    Ok(grant)
}

/// An access entry goes before aws-auth, and one that names a principal alone before one that names several, ended or not: an
/// end must not raise rights. What is claimed must be what the entry gives by now, though its access policies wait for a proof
/// of its own.
fn entry_before<'a, W: World>(
    sight: &'a Sight<'_, W>,
    user: &'a UserInfo,
    proof: &Proof,
) -> Result<Option<&'a Arc<Grant>>, Refusal<'a>> {
    let revoked = |because| Err(Refusal::GrantRevoked(Detail::Said(because)));
    let by_aws_auth = proof.grant_kind == GrantKind::AwsAuth;
    let by_several = || {
        let entry = sight.cluster.entry(proof.grant);
        proof.grant_kind == GrantKind::AccessEntry && entry.is_some_and(|entry| entry.names_several())
    };
    if !sight.spoke.counts_entries() || !(by_aws_auth || by_several()) {
        return Ok(None);
    }
    match sight.cluster.entry_of(&proof.handles) {
        EntryOf::None if by_aws_auth => several_before(sight, user, proof),
        EntryOf::None => Ok(None),
        EntryOf::Its(entry) if entry.waits_for_pin() => {
            revoked("an access entry that goes before it waits to be pinned")
        }
        EntryOf::Its(entry) if entry.grant.is_live(sight.now) => Ok(Some(&entry.grant)),
        EntryOf::Its(_) => revoked("an access entry that has ended goes before it"),
        EntryOf::Stale => revoked("an access entry for another principal of this ARN goes before it"),
    }
}

/// The entry that names the principal among several. A proof holds handles alone, from which no name can be had; so the name is
/// what the review says, as far as the proof's handle is that name's.
fn several_before<'a, W: World>(
    sight: &'a Sight<'_, W>,
    user: &'a UserInfo,
    proof: &Proof,
) -> Result<Option<&'a Arc<Grant>>, Refusal<'a>> {
    let revoked = |because| Err(Refusal::GrantRevoked(Detail::Said(because)));
    let mut entries = sight.cluster.several_of(&proof.handles.account).peekable();
    let Some(first) = entries.peek() else { return Ok(None) };
    let said = user.extra.get(CANONICAL_ARN_KEY).map(Vec::as_slice);
    let is_theirs = |canonical: &str| {
        let mut keys = sight.world.keys().all().iter();
        keys.any(|key| key.principal(&first.authority, canonical) == proof.handles.principal)
    };
    let canonical = match said {
        Some([one]) if is_theirs(one) => one,
        _ => {
            return revoked(
                "the review does not say whose it is, and an access entry may go before its line of aws-auth",
            );
        }
    };
    match entries.find(|entry| entry.means(canonical)) {
        None => Ok(None),
        Some(entry) if !entry.is_bound_to(&proof.handles.principal_id) => {
            revoked("an access entry that is pinned to another principal goes before it")
        }
        Some(entry) if entry.grant.is_live(sight.now) => Ok(Some(&entry.grant)),
        Some(_) => revoked("an access entry that has ended goes before it"),
    }
}

/// Of an entry that nobody bears a proof of: for explanations. It is held to the same as one with a proof, as far as what
/// is known of its principal goes: no key, no session.
fn of_entry<'a, W: World>(sight: &'a Sight<'_, W>, user: &'a UserInfo, id: EntryId) -> Judged<'a, &'a Grant> {
    let found = sight.cluster.entry(id).filter(|_| sight.spoke.counts_entries());
    let Some(entry) = found else {
        return Ok(Err(Refusal::GrantRevoked(Detail::Gone(GrantName(GrantKind::AccessEntry, id)))));
    };
    if let Err(refusal) = judge_entry(sight, entry)? {
        return Ok(Err(refusal));
    }
    // What EC2 says nobody has written down: whoever asks has it from mapping.
    let given = entry.grant.gives(user, |name, may_be_ec2s| may_be_ec2s || sight.cluster.nodes.has(name));
    Ok(given.map(|()| &*entry.grant).map_err(|loss| Refusal::GrantRevoked(Detail::NotGiven(loss))))
}

/// Whether whoever an entry is for may come in by it now: as far as they are not known, somebody may.
pub(super) fn judge_entry<W: World>(sight: &Sight<'_, W>, entry: &Entry) -> Judged<'static, ()> {
    if !entry.grant.is_live(sight.now) {
        let name = GrantName(GrantKind::AccessEntry, entry.grant.id);
        return Ok(Err(Refusal::GrantRevoked(Detail::Ended(name))));
    }
    if entry.waits_for_pin() {
        return Ok(Err(Refusal::GrantRevoked(Detail::Said("the entry waits for whom it will be pinned to"))));
    }
    if !entry.account_handles.iter().any(|handle| sight.spoke.trusts(handle)) {
        return Ok(Err(untrusted()));
    }
    let mut handles = entry.account_handles.iter().chain(&entry.principal_handles);
    if handles.any(|handle| sight.any_blocks(|blocks| blocks.reaches(handle))) {
        return Ok(Err(Refusal::Blocked("a block names the principal or its account")));
    }
    let is_known = entry.authority == Authority::Local && !entry.principal_id_handles.is_empty();
    if is_known && !sight.has_principal(entry.account, &entry.principal_id_handles)? {
        return Ok(Err(Refusal::Gone(Gone::Principal)));
    }
    Ok(Ok(()))
}

fn untrusted() -> Refusal<'static> {
    Refusal::GrantRevoked(Detail::Said("the cluster no longer lets this account in"))
}
