//! Credentials' traits over gRPC.

use std::net::IpAddr;

use lanyard_proto::credentials::v1::{
    self as pb, associations_client::AssociationsClient, issuers_client::IssuersClient,
    pods_client::PodsClient, sessions_client::SessionsClient, vend_client::VendClient,
    workloads_client::WorkloadsClient,
};

use super::{
    Associations, AssumeRole, AssumeRoleForPodIdentity, AssumeRoleWithWebIdentity, CallerIdentity,
    CreatePodIdentityAssociation, ExchangeCallerIdentity, ExchangedSession, FoundIssuer, HostedIssuer,
    IssuerDescription, IssuerDocuments, Issuers, MutatePod, PodCredentials, PodIdentityAssociationDetail,
    PodIdentityAssociationFilter, PodIdentityAssociationRef, PodMutation, Pods, ProposeTrust,
    PublishIssuerKey, RoleSession, ServiceAccount, ServiceAccountBatch, ServiceAccountSummary,
    SessionCredentials, Sessions, TrustProposal, UpdatePodIdentityAssociation, Vend, WebIdentitySession,
    WorkloadIssuer, Workloads,
};
use crate::{
    fault::{CallError, Fault},
    grpc::{Remote, Wire, call, field},
    identity::{Actor, Vouched},
    ids::{ClusterId, ClusterUid},
    mutation::{Mutated, Mutation, Page, PageQuery},
};

impl<C: Wire> Sessions for Remote<C> {
    async fn assume_role(&self, by: Vouched<Actor>, query: AssumeRole) -> Result<RoleSession, CallError> {
        call!(self.SessionsClient::assume_role(self.actor(by, query.into())))
    }

    async fn assume_role_with_web_identity(
        &self,
        from: Option<IpAddr>,
        query: AssumeRoleWithWebIdentity,
    ) -> Result<WebIdentitySession, CallError> {
        call!(self.SessionsClient::assume_role_with_web_identity(self.unsigned(from, query.into())))
    }

    async fn exchange_caller_identity(
        &self,
        from: Option<IpAddr>,
        query: ExchangeCallerIdentity,
    ) -> Result<ExchangedSession, CallError> {
        call!(self.SessionsClient::exchange_caller_identity(self.unsigned(from, query.into())))
    }

    async fn get_session_token(
        &self,
        by: Vouched<Actor>,
        duration_seconds: u32,
    ) -> Result<SessionCredentials, CallError> {
        let message = pb::GetSessionTokenRequest { duration_seconds };
        call!(self.SessionsClient::get_session_token(self.actor(by, message)))
    }

    async fn get_caller_identity(&self, by: Vouched<Actor>) -> Result<CallerIdentity, CallError> {
        let message = pb::GetCallerIdentityRequest {};
        call!(self.SessionsClient::get_caller_identity(self.actor(by, message)))
    }
}

impl<C: Wire> Workloads for Remote<C> {
    async fn apply_service_accounts(
        &self,
        by: Mutation,
        cluster: ClusterId,
        batch: ServiceAccountBatch,
    ) -> Result<Mutated<ServiceAccountSummary>, CallError> {
        let message = pb::ApplyServiceAccountsRequest {
            mutation: None,
            cluster: cluster.into(),
            service_accounts: field::all(batch.service_accounts),
            removed: field::all(batch.removed),
            replace: batch.replace,
        };
        call!(self.WorkloadsClient::apply_service_accounts(self.mutation(by, message)))
    }

    async fn list_service_accounts(
        &self,
        by: Vouched<Actor>,
        cluster: ClusterId,
        page: PageQuery,
    ) -> Result<Page<ServiceAccount>, CallError> {
        let message = pb::ListServiceAccountsRequest { cluster: cluster.into(), page: Some(page.into()) };
        call!(self.WorkloadsClient::list_service_accounts(self.actor(by, message)))
    }

    async fn push_issuer(
        &self,
        by: Mutation,
        cluster: ClusterId,
        pushed: IssuerDocuments,
    ) -> Result<Mutated<WorkloadIssuer>, CallError> {
        let IssuerDocuments { issuer_url, jwks } = pushed;
        let message = pb::PushIssuerRequest { mutation: None, cluster: cluster.into(), issuer_url, jwks };
        call!(self.WorkloadsClient::push_issuer(self.mutation(by, message)))
    }

    async fn get_issuer(&self, by: Vouched<Actor>, cluster: ClusterId) -> Result<WorkloadIssuer, CallError> {
        let message = pb::GetIssuerRequest { cluster: cluster.into() };
        call!(self.WorkloadsClient::get_issuer(self.actor(by, message)))
    }
}

impl<C: Wire> Vend for Remote<C> {
    async fn assume_role_for_pod_identity(
        &self,
        by: Vouched<Actor>,
        request: AssumeRoleForPodIdentity,
    ) -> Result<PodCredentials, CallError> {
        let message: pb::AssumeRoleForPodIdentityRequest = request.into();
        call!(self.VendClient::assume_role_for_pod_identity(self.actor(by, message)))
    }
}

impl<C: Wire> Issuers for Remote<C> {
    async fn publish_issuer_key(
        &self,
        by: Mutation,
        cluster: ClusterId,
        asked: PublishIssuerKey,
    ) -> Result<Mutated<HostedIssuer>, CallError> {
        let PublishIssuerKey { jwk, issuer_url } = asked;
        let message =
            pb::PublishIssuerKeyRequest { mutation: None, cluster: cluster.into(), jwk, issuer_url };
        call!(self.IssuersClient::publish_issuer_key(self.mutation(by, message)))
    }

    async fn retire_issuer_key(
        &self,
        by: Mutation,
        cluster: ClusterId,
        kid: String,
        early: bool,
    ) -> Result<Mutated<HostedIssuer>, CallError> {
        let message = pb::RetireIssuerKeyRequest { mutation: None, cluster: cluster.into(), kid, early };
        call!(self.IssuersClient::retire_issuer_key(self.mutation(by, message)))
    }

    async fn rotate_hub_issuer_key(
        &self,
        by: Mutation,
        cluster: ClusterId,
    ) -> Result<Mutated<HostedIssuer>, CallError> {
        let message = pb::RotateHubIssuerKeyRequest { mutation: None, cluster: cluster.into() };
        call!(self.IssuersClient::rotate_hub_issuer_key(self.mutation(by, message)))
    }

    async fn describe_issuer(
        &self,
        by: Vouched<Actor>,
        cluster: ClusterId,
    ) -> Result<IssuerDescription, CallError> {
        let message = pb::DescribeIssuerRequest { cluster: cluster.into() };
        call!(self.IssuersClient::describe_issuer(self.actor(by, message)))
    }

    async fn find_issuer(&self, cluster: ClusterUid) -> Result<FoundIssuer, Fault> {
        let message = pb::FindIssuerRequest { cluster_uid: cluster.to_string() };
        call!(self.IssuersClient::find_issuer(self.internal(message)))
    }
}

impl<C: Wire> Pods for Remote<C> {
    async fn mutate_pod(&self, asked: MutatePod) -> Result<PodMutation, Fault> {
        call!(self.PodsClient::mutate_pod(self.internal(asked.into())))
    }
}

impl<C: Wire> Associations for Remote<C> {
    async fn create_pod_identity_association(
        &self,
        by: Mutation,
        asked: CreatePodIdentityAssociation,
    ) -> Result<Mutated<PodIdentityAssociationDetail>, CallError> {
        let message: pb::CreatePodIdentityAssociationRequest = asked.into();
        call!(self.AssociationsClient::create_pod_identity_association(self.mutation(by, message)))
    }

    async fn get_pod_identity_association(
        &self,
        by: Vouched<Actor>,
        named: PodIdentityAssociationRef,
    ) -> Result<PodIdentityAssociationDetail, CallError> {
        let message = pb::DescribePodIdentityAssociationRequest {
            cluster: named.cluster.into(),
            association_id: named.id.into(),
        };
        call!(self.AssociationsClient::describe_pod_identity_association(self.actor(by, message)))
    }

    async fn list_pod_identity_associations(
        &self,
        by: Vouched<Actor>,
        cluster: ClusterId,
        filter: PodIdentityAssociationFilter,
        page: PageQuery,
    ) -> Result<Page<PodIdentityAssociationDetail>, CallError> {
        let PodIdentityAssociationFilter { namespace, service_account } = filter;
        let message = pb::ListPodIdentityAssociationsRequest {
            cluster: cluster.into(),
            namespace,
            service_account,
            page: Some(page.into()),
        };
        call!(self.AssociationsClient::list_pod_identity_associations(self.actor(by, message)))
    }

    async fn update_pod_identity_association(
        &self,
        by: Mutation,
        named: PodIdentityAssociationRef,
        change: UpdatePodIdentityAssociation,
    ) -> Result<Mutated<PodIdentityAssociationDetail>, CallError> {
        let UpdatePodIdentityAssociation {
            role_arn,
            target_role_arn,
            disable_session_tags,
            policy,
            allow_any_cluster,
            aws_road,
            unprobed,
        } = change;
        let message = pb::UpdatePodIdentityAssociationRequest {
            mutation: None,
            cluster: named.cluster.into(),
            association_id: named.id.into(),
            role_arn,
            target_role_arn,
            disable_session_tags,
            policy,
            allow_any_cluster,
            aws_road: field::optional_enum_number(aws_road),
            unprobed,
            update_mask: None,
        };
        call!(self.AssociationsClient::update_pod_identity_association(self.mutation(by, message)))
    }

    async fn delete_pod_identity_association(
        &self,
        by: Mutation,
        named: PodIdentityAssociationRef,
    ) -> Result<Mutated<PodIdentityAssociationDetail>, CallError> {
        let message = pb::DeletePodIdentityAssociationRequest {
            mutation: None,
            cluster: named.cluster.into(),
            association_id: named.id.into(),
        };
        call!(self.AssociationsClient::delete_pod_identity_association(self.mutation(by, message)))
    }

    async fn propose_trust(
        &self,
        by: Vouched<Actor>,
        asked: ProposeTrust,
    ) -> Result<TrustProposal, CallError> {
        let message: pb::ProposeTrustRequest = asked.into();
        call!(self.AssociationsClient::propose_trust(self.actor(by, message)))
    }
}
