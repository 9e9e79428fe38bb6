//! Identity-provider configurations over gRPC.

use lanyard_proto::mapping::v1::{self as pb, identity_providers_client::IdentityProvidersClient};

use crate::{
    fault::CallError,
    grpc::{Remote, Wire, call},
    identity::{Actor, Vouched},
    ids::ClusterId,
    mapping::{
        AssociateIdentityProvider, IdentityProviderConfigDetail, IdentityProviderRef, IdentityProviders,
    },
    mutation::{Mutated, Mutation, Page, PageQuery},
};

impl<C: Wire> IdentityProviders for Remote<C> {
    async fn associate_identity_provider(
        &self,
        by: Mutation,
        asked: AssociateIdentityProvider,
    ) -> Result<Mutated<IdentityProviderConfigDetail>, CallError> {
        call!(self.IdentityProvidersClient::associate_identity_provider_config(self.mutation(by, asked.into())))
    }

    async fn get_identity_provider(
        &self,
        by: Vouched<Actor>,
        named: IdentityProviderRef,
    ) -> Result<IdentityProviderConfigDetail, CallError> {
        let IdentityProviderRef { cluster, name } = named;
        let message = pb::DescribeIdentityProviderConfigRequest { cluster: cluster.into(), name };
        call!(self.IdentityProvidersClient::describe_identity_provider_config(self.actor(by, message)))
    }

    async fn list_identity_providers(
        &self,
        by: Vouched<Actor>,
        cluster: ClusterId,
        page: PageQuery,
    ) -> Result<Page<IdentityProviderConfigDetail>, CallError> {
        let message =
            pb::ListIdentityProviderConfigsRequest { cluster: cluster.into(), page: Some(page.into()) };
        call!(self.IdentityProvidersClient::list_identity_provider_configs(self.actor(by, message)))
    }

    async fn disassociate_identity_provider(
        &self,
        by: Mutation,
        named: IdentityProviderRef,
    ) -> Result<Mutated<IdentityProviderConfigDetail>, CallError> {
        let IdentityProviderRef { cluster, name } = named;
        let message =
            pb::DisassociateIdentityProviderConfigRequest { mutation: None, cluster: cluster.into(), name };
        call!(self.IdentityProvidersClient::disassociate_identity_provider_config(self.mutation(by, message)))
    }
}
