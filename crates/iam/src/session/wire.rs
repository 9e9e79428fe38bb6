//! The claims as they stand in a token: JSON with short names, for every byte counts.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::ancestor::Ancestor;
use super::claims::SessionClaims;
use super::err::SessionError;
use crate::arn::{PrincipalArn, is_session_name};
use crate::id::{AccessKeyId, PrincipalId};
use crate::policy::PolicyDocument;

/// An unknown member is refused: it might be what narrows the session.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wire {
    #[serde(rename = "k")]
    access_key_id: AccessKeyId,
    #[serde(rename = "a")]
    authority: String,
    #[serde(rename = "p")]
    principal: PrincipalArn,
    #[serde(rename = "i")]
    principal_id: PrincipalId,
    #[serde(rename = "n")]
    session_name: String,
    #[serde(rename = "t", default, skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<String, String>,
    #[serde(rename = "r", default, skip_serializing_if = "BTreeSet::is_empty")]
    transitive_keys: BTreeSet<String>,
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    source_identity: Option<String>,
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    session_policy: Option<PolicyDocument>,
    #[serde(rename = "b")]
    issued_at: i64,
    #[serde(rename = "l")]
    lifetime_seconds: u32,
    #[serde(rename = "v")]
    revision: u64,
    #[serde(rename = "d", default, skip_serializing_if = "is_zero")]
    chain_depth: u8,
    #[serde(rename = "x", default, skip_serializing_if = "Vec::is_empty")]
    ancestors: Vec<Ancestor>,
}

/// The ancestors as a token has them, and names between services: for a session of a role the role, and then the session's name in the
/// place of a certificate.
/// Versions that know no session among ancestors pass over a certificate that no block names, and hand it on in its place; so they take
/// these tokens as they took those of their own.
pub(super) fn written(ancestors: Vec<Ancestor>) -> Vec<Ancestor> {
    let mut written = Vec::with_capacity(ancestors.len());
    for ancestor in ancestors {
        match ancestor {
            Ancestor::RoleSession { role, name } => {
                written.extend([
                    Ancestor::Role(role),
                    Ancestor::Certificate(format!("{}{name}", Ancestor::SESSION)),
                ]);
            }
            other => written.push(other),
        }
    }
    written
}

/// The ancestors that were [`written`]. A role whose id holds a session's name too is that session: a version that knows none among
/// ancestors has read the two as an id.
pub(super) fn read(written: Vec<Ancestor>) -> Vec<Ancestor> {
    let mut read: Vec<Ancestor> = Vec::with_capacity(written.len());
    for ancestor in written {
        match session_of(read.last(), &ancestor) {
            Some(session) => {
                read.pop();
                read.push(session);
            }
            None => read.push(as_one(ancestor)),
        }
    }
    read
}

fn session_of(before: Option<&Ancestor>, ancestor: &Ancestor) -> Option<Ancestor> {
    let (Some(Ancestor::Role(role)), Ancestor::Certificate(text)) = (before, ancestor) else { return None };
    Some(Ancestor::RoleSession { role: role.clone(), name: text.strip_prefix(Ancestor::SESSION)?.to_owned() })
}

fn as_one(ancestor: Ancestor) -> Ancestor {
    let Ancestor::Role(id) = &ancestor else { return ancestor };
    let Some((role, name)) = id.as_str().split_once(Ancestor::SESSION) else { return ancestor };
    match PrincipalId::parse(role) {
        Ok(role) if is_session_name(name) => Ancestor::RoleSession { role, name: name.to_owned() },
        _ => ancestor,
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_zero(number: &u8) -> bool {
    *number == 0
}

impl Wire {
    pub(super) fn encode(
        claims: &SessionClaims,
        access_key_id: &AccessKeyId,
    ) -> Result<Vec<u8>, SessionError> {
        let claims = claims.clone();
        let lifetime = (claims.expires_at - claims.issued_at).whole_seconds();
        let wire = Self {
            access_key_id: access_key_id.clone(),
            authority: claims.authority,
            principal: claims.principal,
            principal_id: claims.principal_id,
            session_name: claims.session_name,
            tags: claims.tags,
            transitive_keys: claims.transitive_keys,
            source_identity: claims.source_identity,
            session_policy: claims.session_policy,
            issued_at: claims.issued_at.unix_timestamp(),
            lifetime_seconds: u32::try_from(lifetime).map_err(|_| SessionError::Malformed)?,
            revision: claims.revision,
            chain_depth: claims.chain_depth,
            ancestors: written(claims.ancestors),
        };
        serde_json::to_vec(&wire).map_err(|_| SessionError::Malformed)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<(AccessKeyId, SessionClaims), SessionError> {
        let wire: Self = serde_json::from_slice(bytes).map_err(|_| SessionError::Malformed)?;
        let issued_at =
            OffsetDateTime::from_unix_timestamp(wire.issued_at).map_err(|_| SessionError::Malformed)?;
        let lifetime = time::Duration::seconds(wire.lifetime_seconds.into());
        let expires_at = issued_at.checked_add(lifetime).ok_or(SessionError::Malformed)?;
        let claims = SessionClaims {
            authority: wire.authority,
            principal: wire.principal,
            principal_id: wire.principal_id,
            session_name: wire.session_name,
            tags: wire.tags,
            transitive_keys: wire.transitive_keys,
            source_identity: wire.source_identity,
            session_policy: wire.session_policy,
            issued_at,
            expires_at,
            revision: wire.revision,
            chain_depth: wire.chain_depth,
            ancestors: read(wire.ancestors),
        };
        claims.validate()?;
        Ok((wire.access_key_id, claims))
    }
}
