//! The badge as Kubernetes sees it: user info with the proof in it.

use lanyard_api::{
    Authority, AwsIdentity, Extra, OidcIdentity, UserInfo,
    mapping::{Cluster, Mapped},
    proof::{CANONICAL_ARN_KEY, EXTRA_KEY, KinError, KinHandles, KinKind, Proof, ProofKey},
};
use time::{Duration, OffsetDateTime};

use crate::{knock::Knock, resolution::Badge};

/// How much longer than the API server's token cache a proof holds: a request that began within it may be under way.
pub(crate) const PROOF_GRACE: Duration = Duration::seconds(60);

/// Under these keys the API server has whom an OIDC issuer knows, for its audit log.
const OIDC_ISSUER_KEY: &str = "lanyard.dev/oidc-issuer";
const OIDC_SUBJECT_KEY: &str = "lanyard.dev/oidc-subject";

/// When a proof minted now ends.
pub(crate) fn not_after(cluster: &Cluster, now: OffsetDateTime) -> OffsetDateTime {
    now.saturating_add(Duration::seconds(cluster.token_cache_seconds.into())).saturating_add(PROOF_GRACE)
}

/// The badge of a proven identity of AWS kind.
///
/// # Errors
/// [`KinError`] where the proof cannot name all that a session descends from: one that names less would outlive it.
pub(crate) fn user_info(
    badge: Badge,
    identity: &AwsIdentity,
    cluster: &Cluster,
    key: &ProofKey,
    now: OffsetDateTime,
) -> Result<Mapped, KinError> {
    let knock = Knock::of(identity);
    let mut extra = known_extra(&knock, identity.arn.to_string());
    let mut kin = key.kin(identity)?;
    // Nobody wrote down what EC2 said, so that the proof has to say by whose word it is a node. Other proofs stay as they were.
    if let Some(instance) = knock.session_name.filter(|_| badge.by_ec2) {
        kin.add(KinKind::Ec2Instance, key.ec2_instance(instance))?;
    }
    let proof = Proof {
        cluster: cluster.uid,
        grant_kind: badge.grant.kind,
        grant: badge.grant.id,
        revision: badge.grant.revision,
        handles: key.handles(identity),
        kin,
        local: identity.authority == Authority::Local,
        minted_at: now,
        not_after: not_after(cluster, now),
    };
    extra.insert(EXTRA_KEY.into(), vec![proof.mint(key, &badge.username, &badge.groups)]);
    Ok(with_extra(badge, &knock, extra))
}

/// The badge of somebody whom an OIDC issuer knows.
pub(crate) fn oidc_user_info(
    badge: Badge,
    identity: &OidcIdentity,
    cluster: &Cluster,
    key: &ProofKey,
    now: OffsetDateTime,
) -> Mapped {
    let Badge { username, groups, grant, matched_by, ends_at: _, by_ec2: _ } = badge;
    let proof = Proof {
        cluster: cluster.uid,
        grant_kind: grant.kind,
        grant: grant.id,
        revision: grant.revision,
        handles: key.oidc_handles(&identity.issuer, &identity.subject),
        kin: KinHandles::NONE,
        local: false,
        minted_at: now,
        not_after: not_after(cluster, now),
    };
    let extra = Extra::from([
        (OIDC_ISSUER_KEY.into(), vec![identity.issuer.clone()]),
        (OIDC_SUBJECT_KEY.into(), vec![identity.subject.clone()]),
        (EXTRA_KEY.into(), vec![proof.mint(key, &username, &groups)]),
    ]);
    let user = UserInfo { username, uid: identity.name(), groups, extra };
    Mapped { user: user.into(), grant, matched_by, holds: None }
}

/// The badge that an ARN would get: no proof, and nothing that only a signature tells.
pub(crate) fn supposed(badge: Badge, knock: &Knock<'_>, arn: String) -> Mapped {
    let extra = known_extra(knock, arn);
    with_extra(badge, knock, extra)
}

fn with_extra(badge: Badge, knock: &Knock<'_>, extra: Extra) -> Mapped {
    let Badge { username, groups, grant, matched_by, ends_at: _, by_ec2: _ } = badge;
    let uid = knock
        .principal_id
        .map(|id| ["aws-iam-authenticator:", knock.account.as_str(), ":", id].concat())
        .unwrap_or_default();
    Mapped { user: UserInfo { username, uid, groups, extra }.into(), grant, matched_by, holds: None }
}

/// aws-iam-authenticator's keys in lower case, for so does the API server make them where somebody is impersonated.
fn known_extra(knock: &Knock<'_>, arn: String) -> Extra {
    let mut extra = Extra::new();
    let mut add = |key: &'static str, value: String| drop(extra.insert(key.into(), vec![value]));
    add("arn", arn);
    add(CANONICAL_ARN_KEY, knock.canonical.to_string());
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
