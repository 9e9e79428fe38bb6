//! Credentials' traits, served over gRPC.

use lanyard_proto::credentials::v1::{
    self as pb, associations_server, issuers_server, pods_server, sessions_server, vend_server,
    workloads_server,
};

use super::{
    Associations, IssuerDocuments, Issuers, PodIdentityAssociationFilter, Pods, PublishIssuerKey,
    ServiceAccountBatch, Sessions, UpdatePodIdentityAssociation, Vend, Workloads, convert::association_ref,
};
use crate::grpc::{field, mutation::page_query, serve};

serve! {
    /// Serves [`Sessions`].
    pub fn sessions = Sessions as sessions_server::Sessions in SessionsServer;
    actor assume_role(pb::AssumeRoleRequest) -> pb::RoleSession
        = |engine, by, m| engine.assume_role(by, m.try_into()?).await?.into();
    unsigned assume_role_with_web_identity(pb::AssumeRoleWithWebIdentityRequest) -> pb::WebIdentitySession
        = |engine, from, m| engine.assume_role_with_web_identity(from, m.try_into()?).await?.into();
    unsigned exchange_caller_identity(pb::ExchangeCallerIdentityRequest) -> pb::ExchangedSession
        = |engine, from, m| engine.exchange_caller_identity(from, m.try_into()?).await?.into();
    actor get_session_token(pb::GetSessionTokenRequest) -> pb::SessionCredentials
        = |engine, by, m| engine.get_session_token(by, m.duration_seconds).await?.into();
    actor get_caller_identity(pb::GetCallerIdentityRequest) -> pb::CallerIdentity
        = |engine, by, _m| engine.get_caller_identity(by).await?.into();
}

serve! {
    /// Serves [`Workloads`].
    pub fn workloads = Workloads as workloads_server::Workloads in WorkloadsServer;
    mutation apply_service_accounts(pb::ApplyServiceAccountsRequest) -> pb::ServiceAccountsApplied = |engine, by, m| {
        let batch = ServiceAccountBatch {
            service_accounts: field::each_in("service_accounts", m.service_accounts)?,
            removed: field::each_in("removed", m.removed)?,
            replace: m.replace,
        };
        engine.apply_service_accounts(by, field::parse("cluster", &m.cluster)?, batch).await?.into()
    };
    list list_service_accounts(pb::ListServiceAccountsRequest) -> pb::ServiceAccountPage = |engine, by, m| {
        engine.list_service_accounts(by, field::parse("cluster", &m.cluster)?, page_query(m.page)).await?.into()
    };
    mutation push_issuer(pb::PushIssuerRequest) -> pb::IssuerPushed = |engine, by, m| {
        let pushed = IssuerDocuments { issuer_url: m.issuer_url, jwks: m.jwks };
        engine.push_issuer(by, field::parse("cluster", &m.cluster)?, pushed).await?.into()
    };
    actor get_issuer(pb::GetIssuerRequest) -> pb::WorkloadIssuer
        = |engine, by, m| engine.get_issuer(by, field::parse("cluster", &m.cluster)?).await?.into();
}

serve! {
    /// Serves [`Vend`].
    pub fn vend = Vend as vend_server::Vend in VendServer;
    actor assume_role_for_pod_identity(pb::AssumeRoleForPodIdentityRequest) -> pb::PodCredentials
        = |engine, by, m| engine.assume_role_for_pod_identity(by, m.try_into()?).await?.into();
}

serve! {
    /// Serves [`Issuers`].
    pub fn issuers = Issuers as issuers_server::Issuers in IssuersServer;
    mutation publish_issuer_key(pb::PublishIssuerKeyRequest) -> pb::HostedIssuerMutated = |engine, by, m| {
        let asked = PublishIssuerKey { jwk: m.jwk, issuer_url: m.issuer_url };
        engine.publish_issuer_key(by, field::parse("cluster", &m.cluster)?, asked).await?.into()
    };
    mutation retire_issuer_key(pb::RetireIssuerKeyRequest) -> pb::HostedIssuerMutated = |engine, by, m| {
        engine.retire_issuer_key(by, field::parse("cluster", &m.cluster)?, m.kid, m.early).await?.into()
    };
    mutation rotate_hub_issuer_key(pb::RotateHubIssuerKeyRequest) -> pb::HostedIssuerMutated
        = |engine, by, m| engine.rotate_hub_issuer_key(by, field::parse("cluster", &m.cluster)?).await?.into();
    actor describe_issuer(pb::DescribeIssuerRequest) -> pb::IssuerDescription
        = |engine, by, m| engine.describe_issuer(by, field::parse("cluster", &m.cluster)?).await?.into();
    internal find_issuer(pb::FindIssuerRequest) -> pb::FoundIssuer
        = |engine, (), m| engine.find_issuer(field::parse("cluster_uid", &m.cluster_uid)?).await?.into();
}

serve! {
    /// Serves [`Pods`].
    pub fn pods = Pods as pods_server::Pods in PodsServer;
    internal mutate_pod(pb::MutatePodRequest) -> pb::PodMutation
        = |engine, (), m| engine.mutate_pod(m.try_into()?).await?.into();
}

serve! {
    /// Serves [`Associations`].
    pub fn associations = Associations as associations_server::Associations in AssociationsServer;
    mutation create_pod_identity_association(pb::CreatePodIdentityAssociationRequest) -> pb::PodIdentityAssociationMutated
        = |engine, by, m| engine.create_pod_identity_association(by, m.try_into()?).await?.into();
    actor describe_pod_identity_association(pb::DescribePodIdentityAssociationRequest) -> pb::PodIdentityAssociationDetail
        = |engine, by, m| {
            let named = association_ref(&m.cluster, &m.association_id)?;
            engine.get_pod_identity_association(by, named).await?.into()
        };
    list list_pod_identity_associations(pb::ListPodIdentityAssociationsRequest) -> pb::PodIdentityAssociationPage
        = |engine, by, m| {
            let cluster = field::parse("cluster", &m.cluster)?;
            let filter = PodIdentityAssociationFilter { namespace: m.namespace, service_account: m.service_account };
            engine.list_pod_identity_associations(by, cluster, filter, page_query(m.page)).await?.into()
        };
    mutation update_pod_identity_association(pb::UpdatePodIdentityAssociationRequest) -> pb::PodIdentityAssociationMutated
        = |engine, by, m| {
            let named = association_ref(&m.cluster, &m.association_id)?;
            let change = UpdatePodIdentityAssociation {
                role_arn: m.role_arn,
                target_role_arn: m.target_role_arn,
                disable_session_tags: m.disable_session_tags,
                policy: m.policy,
                allow_any_cluster: m.allow_any_cluster,
                aws_road: field::optional_enum("aws_road", m.aws_road)?,
                unprobed: m.unprobed,
            };
            engine.update_pod_identity_association(by, named, change).await?.into()
        };
    mutation delete_pod_identity_association(pb::DeletePodIdentityAssociationRequest) -> pb::PodIdentityAssociationMutated
        = |engine, by, m| {
            let named = association_ref(&m.cluster, &m.association_id)?;
            engine.delete_pod_identity_association(by, named).await?.into()
        };
    actor propose_trust(pb::ProposeTrustRequest) -> pb::TrustProposal
        = |engine, by, m| engine.propose_trust(by, m.try_into()?).await?.into();
}
