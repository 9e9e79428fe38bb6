//! Identity-provider configurations.

use lanyard_proto::mapping::v1 as pb;

use crate::{
    fault::CallError,
    grpc::{
        codec::{convert, message},
        field,
        mutation::{mutated, pages},
    },
    mapping::{
        AssociateIdentityProvider, IdentityProviderConfig, IdentityProviderConfigDetail, IdentityProviderRef,
        IdentityProviderSettings,
    },
};

convert! { IdentityProviderSettings = pb::IdentityProviderSettings {
    name: plain, issuer_url: plain, client_id: plain, username_claim: plain, username_prefix: plain, groups_claim: plain,
    groups_prefix: plain, required_claims: plain, shared_audience: plain, ca_bundle_pem: plain,
    email_verified_may_be_absent: plain, tags: plain,
} }
convert! { IdentityProviderConfig = pb::IdentityProviderConfig {
    id: text, settings: message, created_at: moment; cluster = cluster_uid: text,
} }
convert! { IdentityProviderConfigDetail = pb::IdentityProviderConfigDetail { config: message, arn: plain } }

mutated! { IdentityProviderConfigDetail = pb::IdentityProviderConfigMutated { config: message } }
pages! { IdentityProviderConfigDetail = pb::IdentityProviderConfigPage }

/// The configuration that a request names.
pub(crate) fn identity_provider_ref(cluster: &str, name: String) -> Result<IdentityProviderRef, CallError> {
    Ok(IdentityProviderRef { cluster: field::parse("cluster", cluster)?, name })
}

impl From<AssociateIdentityProvider> for pb::AssociateIdentityProviderConfigRequest {
    fn from(asked: AssociateIdentityProvider) -> Self {
        Self { mutation: None, cluster: asked.cluster.into(), settings: Some(asked.settings.into()) }
    }
}

impl TryFrom<pb::AssociateIdentityProviderConfigRequest> for AssociateIdentityProvider {
    type Error = CallError;

    fn try_from(asked: pb::AssociateIdentityProviderConfigRequest) -> Result<Self, CallError> {
        Ok(Self {
            cluster: field::parse("cluster", &asked.cluster)?,
            settings: message::read("settings", asked.settings)?,
        })
    }
}
