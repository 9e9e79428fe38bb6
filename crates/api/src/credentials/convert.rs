//! Conversions between credentials' domain types and messages.

use lanyard_proto::credentials::v1 as pb;

use super::{
    AssumeRole, AssumeRoleForPodIdentity, AssumeRoleWithWebIdentity, AwsRoad, CallerIdentity,
    CreatePodIdentityAssociation, ExchangeCallerIdentity, ExchangedSession, FoundIssuer, HostedIssuer,
    HostedKey, IrsaObstacle, IssuerDescription, IssuerKey, IssuerSigner, MutatePod, PodCredentials,
    PodIdentityAssociation, PodIdentityAssociationDetail, PodIdentityAssociationRef, PodMutation, PodRefusal,
    ProposeTrust, PublishedDocuments, RoleSession, ServiceAccount, ServiceAccountName, ServiceAccountSummary,
    SessionCredentials, TrustProposal, VendedAssociation, VendedUser, WebIdentitySession, WorkloadIssuer,
};
use crate::{
    fault::CallError,
    grpc::{
        codec::convert,
        field::{self, wire_enum},
        mutation::{asked, join, mutated, pages, split},
    },
    mutation::Mutated,
};

wire_enum! { IrsaObstacle = pb::IrsaObstacle { InClusterName, NotHttps } }
wire_enum! { IssuerSigner = pb::IssuerSigner { ApiServer, Hub } }
wire_enum! { AwsRoad = pb::AwsRoad { HubPrincipal, Issuer } }

convert! { AssumeRole = pb::AssumeRoleRequest {
    role_arn: plain, session_name: plain, duration_seconds: plain, tags: plain, transitive_tag_keys: plain,
    external_id: plain, source_identity: plain, session_policy: plain,
} }
convert! { RoleSession = pb::RoleSession {
    access_key_id: text, secret_access_key: secret, session_token: secret, expires_at: moment, arn: plain,
    assumed_role_id: plain, packed_policy_percent: plain, source_identity: plain,
} }
convert! { AssumeRoleWithWebIdentity = pb::AssumeRoleWithWebIdentityRequest {
    role_arn: plain, session_name: plain, web_identity_token: secret, duration_seconds: plain, session_policy: plain,
} }
convert! { WebIdentitySession = pb::WebIdentitySession {
    session: message, provider: plain, audience: plain, subject: plain, source_identity: plain,
} }
convert! { ExchangeCallerIdentity = pb::ExchangeCallerIdentityRequest {
    presigned_url: secret, duration_seconds: plain,
} }
convert! { ExchangedSession = pb::ExchangedSession { session: message, arn: plain, user_id: plain, authority: text } }
convert! { SessionCredentials = pb::SessionCredentials {
    access_key_id: text, secret_access_key: secret, session_token: secret, expires_at: moment,
} }
convert! { CallerIdentity = pb::CallerIdentity { account: text, arn: plain, user_id: plain } }
convert! { ServiceAccount = pb::ServiceAccount { namespace: plain, name: plain, uid: plain, annotations: plain } }
convert! { ServiceAccountName = pb::ServiceAccountName { namespace: plain, name: plain } }
convert! { IssuerKey = pb::IssuerKey { kid: plain, thumbprint: plain, algorithms: plain, jwk: plain } }
convert! { WorkloadIssuer = pb::WorkloadIssuer {
    issuer_url: plain, keys: items, irsa_obstacle: optional_choice, pushed_by: plain, pushed_at: moment;
    cluster = cluster_uid: text,
} }

convert! { AssumeRoleForPodIdentity = pb::AssumeRoleForPodIdentityRequest {
    cluster: text, token: secret, node_name: plain,
} }
convert! { VendedAssociation = pb::VendedAssociation { arn: plain, id: text, revision: revision } }
convert! { VendedUser = pb::VendedUser { arn: plain, id: plain } }
convert! { PodCredentials = pb::PodCredentials {
    subject: message, audience: plain, association: message, user: message, credentials: message, account: text,
    unconfirmed: plain,
} }

impl From<ServiceAccountName> for pb::VendedSubject {
    fn from(subject: ServiceAccountName) -> Self {
        Self { namespace: subject.namespace, service_account: subject.name }
    }
}

impl TryFrom<pb::VendedSubject> for ServiceAccountName {
    type Error = CallError;

    fn try_from(subject: pb::VendedSubject) -> Result<Self, CallError> {
        Ok(Self { namespace: subject.namespace, name: subject.service_account })
    }
}
convert! { HostedKey = pb::HostedKey {
    key: message, signer: choice, published_by: plain, published_at: moment, signs_from: moment,
    superseded_at: optional_moment,
} }
convert! { HostedIssuer = pb::HostedIssuer { issuer_url: plain, keys: items; cluster = cluster_uid: text } }
convert! { PublishedDocuments = pb::PublishedDocuments { configuration: plain, jwks: plain } }
convert! { IssuerDescription = pb::IssuerDescription {
    issuer_url: plain, hub_url: plain, hosted: optional_message, watched: optional_message,
    documents: optional_message,
} }
convert! { FoundIssuer = pb::FoundIssuer { issuer_url: plain, documents: optional_message } }
convert! { MutatePod = pb::MutatePodRequest {
    namespace: plain, pod: plain, before: plain, required: plain; cluster = cluster_uid: text,
} }
convert! { PodRefusal = pb::PodRefusal { message: plain, passing: plain } }
convert! { PodMutation = pb::PodMutation { patch: plain, warnings: plain, refusal: optional_message } }

convert! { PodIdentityAssociation = pb::PodIdentityAssociation {
    id: text, namespace: plain, service_account: plain, role_arn: text, target_role_arn: optional_text,
    disable_session_tags: plain, policy: plain, tags: plain, aws_road: optional_choice, unprobed: plain,
    created_at: moment, modified_at: moment;
    cluster = cluster_uid: text,
} }
convert! { PodIdentityAssociationDetail = pb::PodIdentityAssociationDetail {
    association: message, arn: plain, external_id: plain,
} }
asked! { CreatePodIdentityAssociation = pb::CreatePodIdentityAssociationRequest {
    cluster: text, namespace: plain, service_account: plain, role_arn: plain, target_role_arn: plain,
    disable_session_tags: plain, policy: plain, tags: plain, allow_any_cluster: plain, aws_road: optional_choice,
    unprobed: plain,
} }
convert! { ProposeTrust = pb::ProposeTrustRequest {
    cluster: text, namespace: plain, service_account: plain, role_arn: plain, aws_road: optional_choice,
} }
convert! { TrustProposal = pb::TrustProposal {
    aws_road: choice, role_arn: plain, principal: plain, external_id: plain, issuer_url: plain, trust_policy: plain,
    notices: plain,
} }

mutated! { PodIdentityAssociationDetail = pb::PodIdentityAssociationMutated { association: message } }
pages! { PodIdentityAssociationDetail = pb::PodIdentityAssociationPage }

/// The association that a request names.
pub(super) fn association_ref(cluster: &str, id: &str) -> Result<PodIdentityAssociationRef, CallError> {
    Ok(PodIdentityAssociationRef {
        cluster: field::parse("cluster", cluster)?,
        id: field::parse("association_id", id)?,
    })
}

mutated! { WorkloadIssuer = pb::IssuerPushed { issuer: message } }
mutated! { HostedIssuer = pb::HostedIssuerMutated { issuer: message } }
pages! { ServiceAccount = pb::ServiceAccountPage }

impl From<Mutated<ServiceAccountSummary>> for pb::ServiceAccountsApplied {
    fn from(answer: Mutated<ServiceAccountSummary>) -> Self {
        let (ServiceAccountSummary { created, changed, unchanged, removed, refused }, mutated) =
            split(answer);
        Self { created, changed, unchanged, removed, refused, mutated }
    }
}

impl TryFrom<pb::ServiceAccountsApplied> for Mutated<ServiceAccountSummary> {
    type Error = CallError;

    fn try_from(answer: pb::ServiceAccountsApplied) -> Result<Self, CallError> {
        let pb::ServiceAccountsApplied { created, changed, unchanged, removed, refused, mutated } = answer;
        join(ServiceAccountSummary { created, changed, unchanged, removed, refused }, mutated)
    }
}
