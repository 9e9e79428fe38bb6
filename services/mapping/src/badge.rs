//! The badge as Kubernetes sees it: user info with the proof in it.

use lanyard_api::{
    Authority, Extra, Identity, UserInfo,
    mapping::{Cluster, Mapped},
    proof::{EXTRA_KEY, KinError, Proof, ProofKey},
};
use time::{Duration, OffsetDateTime};

use crate::{knock::Knock, resolution::Badge};

/// How much longer than the API server's token cache a proof holds: a request that began within it may be under way.
pub(crate) const PROOF_GRACE: Duration = Duration::seconds(60);

/// When a proof minted now ends.
pub(crate) fn not_after(cluster: &Cluster, now: OffsetDateTime) -> OffsetDateTime {
    now.saturating_add(Duration::seconds(cluster.token_cache_seconds.into())).saturating_add(PROOF_GRACE)
}

/// The badge of a proven identity.
///
/// # Errors
/// [`KinError`] where the proof cannot name all that a session descends from: one that names less would outlive it.
pub(crate) fn user_info(
    badge: Badge,
    identity: &Identity,
    cluster: &Cluster,
    key: &ProofKey,
    now: OffsetDateTime,
) -> Result<Mapped, KinError> {
    let knock = Knock::of(identity);
    let mut extra = known_extra(&knock, identity.arn.to_string());
    let proof = Proof {
        cluster: cluster.uid,
        grant_kind: badge.grant.kind,
        grant: badge.grant.id,
        revision: badge.grant.revision,
        handles: key.handles(identity),
        kin: key.kin(identity)?,
        local: identity.authority == Authority::Local,
        minted_at: now,
        not_after: not_after(cluster, now),
    };
    extra.insert(EXTRA_KEY.into(), vec![proof.mint(key, &badge.username, &badge.groups)]);
    Ok(with_extra(badge, &knock, extra))
}

/// The badge that an ARN would get: no proof, and nothing that only a signature tells.
pub(crate) fn supposed(badge: Badge, knock: &Knock<'_>, arn: String) -> Mapped {
    let extra = known_extra(knock, arn);
    with_extra(badge, knock, extra)
}

fn with_extra(badge: Badge, knock: &Knock<'_>, extra: Extra) -> Mapped {
    let Badge { username, groups, grant, matched_by, ends_at: _ } = badge;
    let uid = knock
        .principal_id
        .map(|id| ["aws-iam-authenticator:", knock.account.as_str(), ":", id].concat())
        .unwrap_or_default();
    Mapped { user: UserInfo { username, uid, groups, extra }, grant, matched_by }
}

/// aws-iam-authenticator's keys in lower case, for so does the API server make them where somebody is impersonated.
fn known_extra(knock: &Knock<'_>, arn: String) -> Extra {
    let mut extra = Extra::new();
    let mut add = |key: &'static str, value: String| drop(extra.insert(key.into(), vec![value]));
    add("arn", arn);
    add("canonicalarn", knock.canonical.to_string());
    if let Some(name) = knock.session_name {
        add("sessionname", name.to_owned());
    }
    if let Some(key) = knock.access_key_id {
        add("accesskeyid", key.to_string());
    }
    if let Some(id) = knock.principal_id {
        add("principalid", id.to_owned());
        add("sigs.k8s.io/aws-iam-authenticator/principalid", id.to_owned());
    }
    extra
}
