//! What may be published as a cluster's issuer, and what may be taken away: pure.

use lanyard_api::{
    CallError,
    credentials::{
        HostedIssuer, HostedKey, IrsaObstacle, IssuerKey, IssuerSigner, WORKLOAD_TOKEN_LIFETIME,
        WorkloadIssuer,
    },
};
use lanyard_iam::shown;
use lanyard_kit::clock::moment_text;
use lanyard_oidc::{Algorithm, Issuer, IssuerOptions, PublishedKeys};
use time::{Duration, OffsetDateTime};

use super::KEY;

/// Most keys of one issuer: EKS's key sets have two, and those who fetch them read 100 at most.
pub(super) const KEYS_MAX: usize = 16;
/// Longest JWK, in bytes: far above an RSA key of 16384 bits.
const JWK_BYTES_MAX: usize = 16 * 1024;
/// What an API server signs with (kube-apiserver, `--service-account-signing-key-file`).
const ALGORITHMS: [Algorithm; 4] = [Algorithm::Rs256, Algorithm::Es256, Algorithm::Es384, Algorithm::Es512];
/// Longest life of a token that the hub signs.
pub(super) const HUB_TOKEN_LIFETIME: Duration = Duration::minutes(15);
/// A key of the hub's is published so long before it signs: those who verify keep the key set for five minutes, as we tell them, and
/// are late at times.
pub(super) const HUB_KEY_LEAD: Duration = Duration::minutes(15);

/// The key that is to be published.
pub(super) fn key(jwk: &str) -> Result<IssuerKey, CallError> {
    let invalid = |rule, message: &str| Err(CallError::invalid("jwk", rule, message));
    if jwk.len() > JWK_BYTES_MAX {
        return invalid("jwk", "it has to be a JWK of at most 16 KiB");
    }
    let set = PublishedKeys::parse(format!(r#"{{"keys":[{jwk}]}}"#).as_bytes())
        .map_err(|error| CallError::invalid("jwk", "jwk", error.to_string()))?;
    if set.tells_a_secret() {
        let message = "it has the private half: whoever has read it can sign as the cluster, so make a new key and give the \
                       public half alone";
        return invalid("private_key", message);
    }
    if let Some(skipped) = set.skipped.first() {
        return Err(CallError::invalid("jwk", "jwk", format!("it cannot verify tokens: {}", skipped.reason)));
    }
    let mut keys = set.keys.into_iter();
    let (Some(published), None) = (keys.next(), keys.next()) else {
        return invalid("jwk", "it has to be one JWK, an object with the members of RFC 7517");
    };
    if published.kid.is_none() {
        return invalid(
            "no_kid",
            "it has no `kid`, by which tokens name their key: add the one that the API server gives it",
        );
    }
    let algorithms: Vec<String> =
        published.algorithms.iter().filter(|one| ALGORITHMS.contains(one)).map(ToString::to_string).collect();
    if algorithms.is_empty() {
        return invalid(
            "algorithm",
            "API servers sign by RS256, ES256, ES384 and ES512: give a key for one of these",
        );
    }
    Ok(IssuerKey { kid: published.kid, thumbprint: published.thumbprint, algorithms, jwk: published.jwk })
}

/// An issuer that is served elsewhere.
pub(super) fn asked_url(asked: &str) -> Result<(), CallError> {
    let invalid = |message: String| Err(CallError::invalid("issuer_url", "issuer_url", message));
    if let Err(error) = Issuer::new(IssuerOptions::new(asked)) {
        return invalid(error.to_string());
    }
    match IrsaObstacle::of(asked) {
        Some(obstacle) => invalid(obstacle.to_string()),
        None => Ok(()),
    }
}

pub(super) fn url_of_another(asked: &str) -> CallError {
    let message = format!(
        "`{}` is under the hub's own URL, where each cluster has one place: leave the URL out for this cluster's",
        shown(asked)
    );
    CallError::precondition("issuer_taken", message)
}

/// Where an issuer is stays: tokens say it, and so do trust policies.
pub(super) fn judge_url(before: &HostedIssuer, asked: Option<&str>) -> Result<(), CallError> {
    if asked.is_none_or(|asked| asked == before.issuer_url) {
        return Ok(());
    }
    let message = format!(
        "the cluster's issuer is `{}` and stays that while it has keys: retire them all to begin another",
        before.issuer_url
    );
    Err(CallError::precondition("issuer_url_fixed", message))
}

/// One key source for an issuer's name: where the API server was seen to serve keys under it first, it is the source.
pub(super) fn judge_source(
    before: &HostedIssuer,
    watched: Option<&WorkloadIssuer>,
    key: &IssuerKey,
) -> Result<(), CallError> {
    let is_ours = before.keys_of(IssuerSigner::ApiServer).next().is_some();
    let Some(watched) = watched.filter(|watched| !is_ours && watched.issuer_url == before.issuer_url) else {
        return Ok(());
    };
    // What it serves already may be taken over, if it is taken over whole.
    if watched.keys.iter().all(|served| served.thumbprint == key.thumbprint) {
        return Ok(());
    }
    let message = format!(
        "the keys of `{}` are those that the API server serves itself, and an issuer's keys come from one place: rotate them there, \
         or publish the one that it serves now, and it alone, first",
        watched.issuer_url
    );
    Err(CallError::precondition("issuer_keys_watched", message))
}

/// The other way round: of an issuer whose keys are published here the API server may serve some, and no others.
pub(crate) fn judge_watched(
    hosted: Option<&HostedIssuer>,
    watched: &WorkloadIssuer,
) -> Result<(), CallError> {
    let Some(hosted) = hosted else { return Ok(()) };
    let is_key_of =
        |signer, thumbprint: &str| hosted.keys_of(signer).any(|hosted| hosted.key.thumbprint == thumbprint);
    if watched.keys.iter().any(|key| is_key_of(IssuerSigner::Hub, &key.thumbprint)) {
        let message =
            "a key of it is the hub's own, which signs no pod's tokens: serve the API server's keys alone";
        return Err(CallError::precondition("signing_key_taken", message));
    }
    let are_published = hosted.keys_of(IssuerSigner::ApiServer).next().is_some();
    if !are_published || hosted.issuer_url != watched.issuer_url {
        return Ok(());
    }
    match watched.keys.iter().find(|key| !is_key_of(IssuerSigner::ApiServer, &key.thumbprint)) {
        None => Ok(()),
        Some(key) => {
            let message = format!(
                "the keys of `{}` are published by the hub, and the key with the thumbprint `{}` is none of them: publish it by \
                 `lanyard cluster issuer rotate`, or take it out of the API server's --service-account-key-file",
                watched.issuer_url, key.thumbprint
            );
            Err(CallError::precondition("issuer_keys_published", message))
        }
    }
}

/// How a key is published.
pub(super) struct Publishing {
    pub(super) signer: IssuerSigner,
    pub(super) by: String,
    pub(super) now: OffsetDateTime,
    pub(super) signs_from: OffsetDateTime,
}

/// The issuer with another key, the newest of its signer; none where it has that key already.
pub(super) fn published(
    mut issuer: HostedIssuer,
    key: IssuerKey,
    how: Publishing,
) -> Result<Option<HostedIssuer>, CallError> {
    let Publishing { signer, by, now, signs_from } = how;
    let same =
        issuer.keys.iter().find(|known| known.key.thumbprint == key.thumbprint || known.key.kid == key.kid);
    if let Some(same) = same {
        if same.signer == signer && same.key == key {
            return Ok(None);
        }
        let message =
            format!("the issuer has a key `{}` already: give each key an id of its own", shown(same.kid()));
        return Err(CallError::precondition("kid_taken", message));
    }
    if issuer.keys.len() >= KEYS_MAX {
        return Err(CallError::LimitExceeded { what: "keys of one issuer".into(), limit: KEYS_MAX as u64 });
    }
    for older in issuer.keys.iter_mut().filter(|key| key.signer == signer && key.superseded_at.is_none()) {
        older.superseded_at = Some(now);
    }
    let (published_by, published_at, superseded_at) = (by, now, None);
    issuer.keys.push(HostedKey { key, signer, published_by, published_at, signs_from, superseded_at });
    Ok(Some(issuer))
}

/// The issuer without a key, and that key.
pub(super) fn retired(
    mut issuer: HostedIssuer,
    kid: &str,
    early: bool,
    now: OffsetDateTime,
) -> Result<(HostedIssuer, HostedKey), CallError> {
    let place = issuer.keys.iter().position(|key| key.kid() == kid);
    let place = place.ok_or_else(|| CallError::not_found(KEY, shown(kid)))?;
    let key = issuer.keys.remove(place);
    if !early {
        in_use(&key, now).map_or(Ok(()), |why| Err(CallError::precondition("issuer_key_in_use", why)))?;
    }
    // Where the newest was taken away early, the one before it is the newest again.
    let is_newest_gone = key.superseded_at.is_none();
    if is_newest_gone && let Some(last) = issuer.keys.iter_mut().rfind(|other| other.signer == key.signer) {
        last.superseded_at = None;
    }
    Ok((issuer, key))
}

/// What becomes of the tokens of an API server's key that is not published any more. Where the API server serves it under a name of which
/// no other key is published, it counts by that: then the keys that are watched are that name's source.
pub(super) fn tokens_of_retired(
    left: &HostedIssuer,
    watched: Option<&WorkloadIssuer>,
    gone: &HostedKey,
) -> String {
    let is_ours = |watched: &WorkloadIssuer| {
        watched.issuer_url == left.issuer_url && left.keys_of(IssuerSigner::ApiServer).next().is_some()
    };
    let serves =
        |watched: &WorkloadIssuer| watched.keys.iter().any(|served| served.thumbprint == gone.key.thumbprint);
    let Some(watched) = watched.filter(|&watched| serves(watched) && !is_ours(watched)) else {
        return "tokens that it signed count no more; take it out of the API server's --service-account-key-file too"
            .to_owned();
    };
    let or_publish = match watched.issuer_url == left.issuer_url {
        true => {
            "; or publish it again and the next one beside it (`lanyard cluster issuer publish` and `rotate`), and retire it then"
        }
        false => "",
    };
    format!(
        "tokens of `{}` that it signed count on, for the API server serves it itself: to end them take it out of its \
         --service-account-key-file{or_publish}",
        watched.issuer_url
    )
}

/// Why tokens of a key may still be in use.
fn in_use(key: &HostedKey, now: OffsetDateTime) -> Option<String> {
    let Some(ends) = tokens_end_at(key) else {
        return Some(format!(
            "`{}` is the newest key of its signer: publish the next one first, or retire this one early, with all its tokens",
            shown(key.kid())
        ));
    };
    (now < ends).then(|| {
        format!(
            "tokens that `{}` signed may be in use until {}: wait, or retire it early, with all its tokens",
            shown(key.kid()),
            moment_text(&ends)
        )
    })
}

/// When the last token of a key has ended; none where it still signs.
pub(super) fn tokens_end_at(key: &HostedKey) -> Option<OffsetDateTime> {
    let superseded_at = key.superseded_at?;
    Some(match key.signer {
        IssuerSigner::ApiServer => superseded_at + WORKLOAD_TOKEN_LIFETIME,
        IssuerSigner::Hub => superseded_at + HUB_KEY_LEAD + HUB_TOKEN_LIFETIME,
    })
}

/// The hub's key that signs now: the newest that has begun to.
pub(super) fn signing(issuer: &HostedIssuer, now: OffsetDateTime) -> Option<&HostedKey> {
    issuer.keys_of(IssuerSigner::Hub).rfind(|key| key.signs_from <= now)
}

#[cfg(test)]
mod tests;
