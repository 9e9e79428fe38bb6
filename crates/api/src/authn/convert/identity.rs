//! Identities and actors.

use lanyard_proto::authn::v1::{self as pb, actor};

use crate::{
    fault::CallError,
    grpc::{
        codec::{convert, digest},
        field::{self, wire_enum},
    },
    identity::{
        Actor, ActorKind, AwsIdentity, ClaimValue, Identity, IdentityKind, Kin, Lineage, OidcIdentity,
        SignatureUse,
    },
};

wire_enum! { IdentityKind = pb::aws_identity::Kind { Ordinary, BreakGlass } }

impl From<Identity> for pb::Identity {
    fn from(identity: Identity) -> Self {
        use pb::identity::Kind;
        let kind = match identity {
            Identity::Aws(aws) => Kind::Aws(aws.into()),
            Identity::Oidc(oidc) => Kind::Oidc(oidc.into()),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<pb::Identity> for Identity {
    type Error = CallError;

    fn try_from(identity: pb::Identity) -> Result<Self, CallError> {
        use pb::identity::Kind;
        Ok(match field::required("kind", identity.kind)? {
            Kind::Aws(aws) => Self::Aws(aws.try_into()?),
            Kind::Oidc(oidc) => Self::Oidc(oidc.try_into()?),
        })
    }
}

impl From<OidcIdentity> for pb::OidcIdentity {
    fn from(identity: OidcIdentity) -> Self {
        let OidcIdentity { config, issuer, subject, claims } = identity;
        let claims = claims.into_iter().map(|(name, value)| (name, value.into())).collect();
        Self { config_id: config.to_string(), issuer, subject, claims }
    }
}

impl TryFrom<pb::OidcIdentity> for OidcIdentity {
    type Error = CallError;

    fn try_from(identity: pb::OidcIdentity) -> Result<Self, CallError> {
        let pb::OidcIdentity { config_id, issuer, subject, claims } = identity;
        let claims = claims.into_iter().map(|(name, claim)| Ok((name, claim.try_into()?)));
        let claims = claims.collect::<Result<_, CallError>>()?;
        Ok(Self { config: field::parse("config_id", &config_id)?, issuer, subject, claims })
    }
}

impl From<ClaimValue> for pb::Claim {
    fn from(value: ClaimValue) -> Self {
        use pb::claim::{Texts, Value};
        let value = match value {
            ClaimValue::Text(text) => Value::Text(text),
            ClaimValue::Texts(texts) => Value::Texts(Texts { texts }),
            ClaimValue::Flag(flag) => Value::Flag(flag),
            ClaimValue::Other => Value::Other(()),
        };
        Self { value: Some(value) }
    }
}

impl TryFrom<pb::Claim> for ClaimValue {
    type Error = CallError;

    fn try_from(claim: pb::Claim) -> Result<Self, CallError> {
        use pb::claim::Value;
        Ok(match field::required("value", claim.value)? {
            Value::Text(text) => Self::Text(text),
            Value::Texts(texts) => Self::Texts(texts.texts),
            Value::Flag(flag) => Self::Flag(flag),
            Value::Other(()) => Self::Other,
        })
    }
}

convert! { AwsIdentity = pb::AwsIdentity {
    authority: text, account: text, partition: text, principal_id: plain, arn: text, canonical_arn: text,
    principal_arn: optional_text, session_name: plain, tags: plain, access_key_id: text, kind: choice, ancestors: plain,
    kin: items,
} }

convert! { Kin = pb::Kin { account: text, canonical_arn: text, session_name: plain } }

convert! { SignatureUse = pb::SignatureUse { digest: digest, expires_at: moment } }

convert! { Lineage = actor::Lineage {
    access_key_id: text_or_none, ancestors: plain, transitive_tags: plain, source_identity: plain, chain_depth: small,
} }

impl From<Actor> for pb::Actor {
    fn from(actor: Actor) -> Self {
        Self {
            kind: Some(actor.kind.into()),
            action: actor.action,
            resource: actor.resource,
            request_digest: digest::write(actor.request_digest),
            signature: actor.signature.map(Into::into),
            allowed_by: actor.allowed_by,
        }
    }
}

impl TryFrom<pb::Actor> for Actor {
    type Error = CallError;

    fn try_from(actor: pb::Actor) -> Result<Self, CallError> {
        Ok(Self {
            kind: field::required("kind", actor.kind)?.try_into()?,
            action: actor.action,
            resource: actor.resource,
            request_digest: field::digest("request_digest", &actor.request_digest)?,
            signature: actor.signature.map(TryInto::try_into).transpose()?,
            allowed_by: actor.allowed_by,
        })
    }
}

impl From<ActorKind> for actor::Kind {
    fn from(kind: ActorKind) -> Self {
        match kind {
            ActorKind::Principal { authority, arn, principal_id, lineage, session_policy } => {
                Self::Principal(actor::Principal {
                    authority: authority.to_string(),
                    arn: arn.to_string(),
                    principal_id,
                    lineage: Some((*lineage).into()),
                    session_policy,
                })
            }
            ActorKind::Spoke { cluster } => Self::Spoke(actor::Spoke { cluster_uid: cluster.to_string() }),
            ActorKind::Node { cluster, name } => {
                Self::Node(actor::Node { cluster_uid: cluster.to_string(), name })
            }
            ActorKind::System { purpose } => Self::System(actor::System { purpose }),
        }
    }
}

impl TryFrom<actor::Kind> for ActorKind {
    type Error = CallError;

    fn try_from(kind: actor::Kind) -> Result<Self, CallError> {
        Ok(match kind {
            actor::Kind::Principal(principal) => Self::Principal {
                authority: field::parse("authority", &principal.authority)?,
                arn: field::parse("arn", &principal.arn)?,
                principal_id: principal.principal_id,
                lineage: Box::new(field::required("lineage", principal.lineage)?.try_into()?),
                session_policy: principal.session_policy,
            },
            actor::Kind::Spoke(spoke) => {
                Self::Spoke { cluster: field::parse("cluster_uid", &spoke.cluster_uid)? }
            }
            actor::Kind::Node(node) => {
                Self::Node { cluster: field::parse("cluster_uid", &node.cluster_uid)?, name: node.name }
            }
            actor::Kind::System(actor::System { purpose }) => Self::System { purpose },
        })
    }
}
