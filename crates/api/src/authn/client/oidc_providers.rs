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

/// Sends one kind of update; each is a method of its own.
macro_rules! update {
    ($remote:ident.$rpc:ident($by:ident, $of:ident, $request:ident { $($field:ident: $value:expr),+ })) => {{
        let OidcProviderRef { account: of, issuer_url } = $of;
        let message = pb::$request { mutation: None, account: account(of), issuer_url, $($field: $value),+ };
        call!($remote.OidcProvidersClient::$rpc($remote.mutation($by, message)))
    }};
}

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
        let message = pb::ListOidcProvidersRequest { account: account(of), page: Some(page.into()) };
        call!(self.OidcProvidersClient::list_oidc_providers(self.actor(by, message)))
    }

    async fn update_oidc_provider(
        &self,
        by: Mutation,
        provider: OidcProviderRef,
        update: UpdateOidcProvider,
    ) -> Result<Mutated<OidcProvider>, CallError> {
        use UpdateOidcProvider as Update;
        match update {
            Update::AddClientId(id) => {
                update!(self.add_oidc_client_id(by, provider, AddOidcClientIdRequest { client_id: id }))
            }
            Update::RemoveClientId(id) => {
                update!(self.remove_oidc_client_id(by, provider, RemoveOidcClientIdRequest { client_id: id }))
            }
            Update::Thumbprints(all) => update!(self.update_oidc_provider_thumbprints(
                by,
                provider,
                UpdateOidcProviderThumbprintsRequest { thumbprints: all, update_mask: None }
            )),
            Update::CaBundle(pem) => update!(self.update_oidc_provider_ca_bundle(
                by,
                provider,
                UpdateOidcProviderCaBundleRequest { ca_bundle_pem: pem, update_mask: None }
            )),
            Update::Tag(tags) => {
                update!(self.tag_oidc_provider(by, provider, TagOidcProviderRequest { tags: tags }))
            }
            Update::Untag(keys) => {
                update!(self.untag_oidc_provider(by, provider, UntagOidcProviderRequest { tag_keys: keys }))
            }
        }
    }

    async fn delete_oidc_provider(
        &self,
        by: Mutation,
        provider: OidcProviderRef,
    ) -> Result<Mutated<OidcProvider>, CallError> {
        let OidcProviderRef { account: of, issuer_url } = provider;
        let message = pb::DeleteOidcProviderRequest { mutation: None, account: account(of), issuer_url };
        call!(self.OidcProvidersClient::delete_oidc_provider(self.mutation(by, message)))
    }
}
