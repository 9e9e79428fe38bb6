//! What a mutation is known by, so that it counts once: its signature, and the token that its caller gave it.
//!
//! A signature is the hub's own doing: who sends the very same request again gets the answer while nothing has changed since. A
//! token is the caller's: they send the request again, signed anew, until they have the answer, which is the first one whatever
//! has become of it.

use std::collections::BTreeMap;

use lanyard_api::{ActorKind, Mutation, Revision, Scope, SignatureUse};
use sha2::{Digest as _, Sha256};
use time::{Duration, OffsetDateTime};

use crate::{
    error::StoreError,
    sql::{Connection, Value},
};

/// How long a token is known. Its callers try again for minutes; a day is what most of AWS's services keep one.
const TOKEN_LIFETIME: Duration = Duration::hours(24);
/// Most tokens of one principal that are known at a time: then the oldest is forgotten.
const TOKENS_PER_OWNER_MAX: i64 = 1_000;

/// One thing that a mutation is known by.
#[derive(Debug, Clone)]
pub(crate) struct Use {
    digest: [u8; 32],
    expires_at: OffsetDateTime,
    /// Of a token.
    token: Option<TokenUse>,
}

#[derive(Debug, Clone)]
struct TokenUse {
    /// The principal whose it is.
    owner: String,
    /// The digest of the request that it came with first.
    request: [u8; 32],
}

impl Use {
    /// Everything that a mutation is known by.
    pub(crate) fn all_of(mutation: &Mutation, now: OffsetDateTime) -> Vec<Self> {
        let signature = mutation.actor.value.signature.as_ref().map(Self::of_signature);
        signature.into_iter().chain(Self::of_token(mutation, now)).collect()
    }

    fn of_signature(signature: &SignatureUse) -> Self {
        Self { digest: signature.digest, expires_at: signature.expires_at, token: None }
    }

    /// A token is of an account, a principal and an operation. Lanyard itself needs none.
    fn of_token(mutation: &Mutation, now: OffsetDateTime) -> Option<Self> {
        let token = mutation.client_request_token.as_ref()?;
        let actor = &mutation.actor.value;
        let owner = match &actor.kind {
            ActorKind::Principal { arn, principal_id, .. } => format!("{}/{principal_id}", arn.account),
            ActorKind::Spoke { cluster } => format!("spoke/{cluster}"),
            // A node changes nothing, and Lanyard itself needs no token.
            ActorKind::Node { .. } | ActorKind::System { .. } => return None,
        };
        let mut hash = Sha256::new();
        for part in ["client_request_token", &owner, &actor.action, token.as_str()] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let token = TokenUse { owner, request: actor.request_digest };
        Some(Self { digest: hash.finalize().into(), expires_at: now + TOKEN_LIFETIME, token: Some(token) })
    }
}

/// The revisions that a mutation left, as they are compared when its signature comes again.
fn text_of(revisions: &BTreeMap<Scope, Revision>) -> String {
    let each: Vec<String> = revisions.iter().map(|(scope, revision)| format!("{scope}@{revision}")).collect();
    each.join(" ")
}

/// Uses it, or answers what its first use did. `revisions` are those of the scopes that the caller holds locked.
pub(crate) async fn claim(
    connection: &mut Connection,
    used: &Use,
    revisions: &BTreeMap<Scope, Revision>,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    const FORGET: &str = "DELETE FROM mutation_uses WHERE digest = $1 AND expires_at < $2";
    const CLAIM: &str = "INSERT INTO mutation_uses (digest, expires_at, revisions, owner, request) \
        VALUES ($1, $2, '', $3, $4) ON CONFLICT (digest) DO NOTHING";
    const FIRST_USE: &str = "SELECT revisions, answer, request FROM mutation_uses WHERE digest = $1";
    let digest = || Value::from(used.digest.to_vec());
    let token = used.token.as_ref();
    if token.is_some() {
        // The sweep may not have come by yet.
        connection.execute(FORGET, [digest(), Value::moment(now)]).await?;
    }
    let owner = Value::text_or_none(token.map(|token| token.owner.as_str()));
    let request = Value::Bytes(token.map(|token| token.request.to_vec()));
    if connection.execute(CLAIM, [digest(), Value::moment(used.expires_at), owner, request]).await? == 1 {
        return match token {
            Some(token) => forget_oldest(connection, &token.owner, used).await,
            None => Ok(()),
        };
    }
    let line = connection.fetch_one(FIRST_USE, [digest()]).await?;
    let Some(line) = line else { return Err(StoreError::Conflict) };
    let answer = line.bytes_or_none(1)?;
    match token {
        Some(token) if line.bytes_or_none(2)?.as_deref() != Some(token.request.as_slice()) => {
            Err(StoreError::TokenOfAnother)
        }
        Some(_) if answer.is_none() => Err(StoreError::TokenUsedUp),
        Some(_) => Err(StoreError::Replayed { answer }),
        // The same answer is true only while nothing has changed where it was true.
        None => {
            let unchanged = line.text(0)? == text_of(revisions);
            Err(StoreError::Replayed { answer: answer.filter(|_| unchanged) })
        }
    }
}

/// Keeps a principal's tokens within their number.
async fn forget_oldest(connection: &mut Connection, owner: &str, newest: &Use) -> Result<(), StoreError> {
    const COUNT: &str = "SELECT COUNT(*) FROM mutation_uses WHERE owner = $1";
    const FORGET: &str = "DELETE FROM mutation_uses WHERE digest = \
        (SELECT digest FROM mutation_uses WHERE owner = $1 AND digest <> $2 ORDER BY expires_at LIMIT 1)";
    if connection.number(COUNT, [owner.into()]).await? > TOKENS_PER_OWNER_MAX {
        connection.execute(FORGET, [owner.into(), newest.digest.to_vec().into()]).await?;
    }
    Ok(())
}

/// Keeps what the mutation answered and left.
pub(crate) async fn record(
    connection: &mut Connection,
    used: &Use,
    revisions: &BTreeMap<Scope, Revision>,
    answer: Option<Vec<u8>>,
) -> Result<(), StoreError> {
    const RECORD: &str = "UPDATE mutation_uses SET revisions = $2, answer = $3 WHERE digest = $1";
    let values = [used.digest.to_vec().into(), text_of(revisions).into(), Value::Bytes(answer)];
    connection.execute(RECORD, values).await?;
    Ok(())
}

/// Forgets signatures that are too old to be accepted anyway, and tokens whose time is over.
pub(crate) async fn sweep(connection: &mut Connection, now: OffsetDateTime) -> Result<u64, StoreError> {
    const SWEEP: &str = "DELETE FROM mutation_uses WHERE expires_at < $1";
    Ok(connection.execute(SWEEP, [Value::moment(now)]).await?)
}
