//! The OIDC providers of accounts over gRPC.

use lanyard_iam::AccountId;
use lanyard_proto::authn::v1::{self as pb, oidc_providers_client::OidcProvidersClient};

use super::account;
use crate::{
    authn::oidc_providers::{
        CreateOidcProvider, OidcProvider, OidcProviderRef, OidcProviders, UpdateOidcProvider,
    },
    fault::CallError,
    grpc::{Remote, Wire, call},
    identity::{Actor, Vouched},
    mutation::{Mutated, Mutation, Page, PageQuery},
};

impl<C: Wire> OidcProviders for Remote<C> {
    async fn create_oidc_provider(
        &self,
        by: Mutation,
        provider: CreateOidcProvider,
    ) -> Result<Mutated<OidcProvider>, CallError> {
        call!(self.OidcProvidersClient::create_oidc_provider(self.mutation(by, provider.into())))
    }

    async fn get_oidc_provider(
        &self,
        by: Vouched<Actor>,
        provider: OidcProviderRef,
    ) -> Result<OidcProvider, CallError> {
        let OidcProviderRef { account: of, issuer_url } = provider;
        let message = pb::GetOidcProviderRequest { account: account(of), issuer_url };
        call!(self.OidcProvidersClient::get_oidc_provider(self.actor(by, message)))
    }

    async fn list_oidc_providers(
        &self,
        by: Vouched<Actor>,
        of: Option<AccountId>,
        page: PageQuery,
    ) -> Result<Page<OidcProvider>, CallError> {
        let message =
            pb::ListOidcProvidersRequest { account: account(of), page: Some(page.into()), whole: false };
        call!(self.OidcProvidersClient::list_oidc_providers(self.actor(by, message)))
    }

    async fn update_oidc_provider(
        &self,
        by: Mutation,
        provider: OidcProviderRef,
        update: UpdateOidcProvider,
    ) -> Result<Mutated<OidcProvider>, CallError> {
        use UpdateOidcProvider as Update;
        let OidcProviderRef { account: of, issuer_url } = provider;
        let account = account(of);
        match update {
            Update::AddClientId(id) => change!(self.OidcProvidersClient::add_oidc_client_id(
                by,
                AddOidcClientIdRequest { account, issuer_url, client_id: id }
            )),
            Update::RemoveClientId(id) => change!(self.OidcProvidersClient::remove_oidc_client_id(
                by,
                RemoveOidcClientIdRequest { account, issuer_url, client_id: id }
            )),
            Update::Thumbprints(all) => change!(self.OidcProvidersClient::update_oidc_provider_thumbprints(
                by,
                UpdateOidcProviderThumbprintsRequest { account, issuer_url, thumbprints: all, update_mask: None }
            )),
            Update::CaBundle(pem) => change!(self.OidcProvidersClient::update_oidc_provider_ca_bundle(
                by,
                UpdateOidcProviderCaBundleRequest { account, issuer_url, ca_bundle_pem: pem, update_mask: None }
            )),
            Update::Tag(tags) => change!(self.OidcProvidersClient::tag_oidc_provider(
                by,
                TagOidcProviderRequest { account, issuer_url, tags }
            )),
            Update::Untag(keys) => change!(self.OidcProvidersClient::untag_oidc_provider(
                by,
                UntagOidcProviderRequest { account, issuer_url, tag_keys: keys }
            )),
        }
    }

    async fn delete_oidc_provider(
        &self,
        by: Mutation,
        provider: OidcProviderRef,
    ) -> Result<Mutated<OidcProvider>, CallError> {
        let OidcProviderRef { account: of, issuer_url } = provider;
        change!(self.OidcProvidersClient::delete_oidc_provider(
            by,
            DeleteOidcProviderRequest { account: account(of), issuer_url }
        ))
    }
}
