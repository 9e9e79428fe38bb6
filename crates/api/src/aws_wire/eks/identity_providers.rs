//! Identity provider configurations. Of their kinds there is one, `oidc`.

use lanyard_proto::mapping::v1 as pb;
use serde::Deserialize;

use crate::aws_wire::{
    AwsError,
    input::{Asked, Input},
    json::{Object, Texts},
};

/// The one kind of configuration.
const OIDC: &str = "oidc";

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Associate {
    oidc: Option<Object<Oidc>>,
    tags: Option<Texts>,
    client_request_token: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Oidc {
    identity_provider_config_name: Option<String>,
    issuer_url: Option<String>,
    client_id: Option<String>,
    username_claim: Option<String>,
    username_prefix: Option<String>,
    groups_claim: Option<String>,
    groups_prefix: Option<String>,
    required_claims: Option<Texts>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Named {
    identity_provider_config: Option<Object<Config>>,
    client_request_token: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Config {
    r#type: Option<String>,
    name: Option<String>,
}

pub(super) fn associate(input: &Input<'_>) -> Result<Asked, AwsError> {
    let body: Associate = input.json()?;
    let Object(oidc) = input.required("oidc", body.oidc)?;
    let settings = pb::IdentityProviderSettings {
        name: input.required("oidc.identityProviderConfigName", oidc.identity_provider_config_name)?,
        issuer_url: input.required("oidc.issuerUrl", oidc.issuer_url)?,
        client_id: input.required("oidc.clientId", oidc.client_id)?,
        username_claim: oidc.username_claim,
        username_prefix: oidc.username_prefix,
        groups_claim: oidc.groups_claim,
        groups_prefix: oidc.groups_prefix,
        required_claims: oidc.required_claims.unwrap_or_default().0,
        tags: super::tags_of_new(input, body.tags)?,
        ..Default::default()
    };
    Ok(input.asks(&pb::AssociateIdentityProviderConfigRequest {
        mutation: input.once(body.client_request_token)?,
        cluster: input.cluster()?,
        settings: Some(settings),
    }))
}

pub(super) fn describe(input: &Input<'_>) -> Result<Asked, AwsError> {
    let name = name(input, input.json()?)?;
    Ok(input.asks(&pb::DescribeIdentityProviderConfigRequest { cluster: input.cluster()?, name }))
}

pub(super) fn list(input: &Input<'_>) -> Result<Asked, AwsError> {
    let page = Some(input.page()?);
    Ok(input.asks(&pb::ListIdentityProviderConfigsRequest { cluster: input.cluster()?, page }))
}

pub(super) fn disassociate(input: &Input<'_>) -> Result<Asked, AwsError> {
    let mut body: Named = input.json()?;
    Ok(input.asks(&pb::DisassociateIdentityProviderConfigRequest {
        mutation: input.once(body.client_request_token.take())?,
        cluster: input.cluster()?,
        name: name(input, body)?,
    }))
}

fn name(input: &Input<'_>, body: Named) -> Result<String, AwsError> {
    let Object(Config { r#type, name }) =
        input.required("identityProviderConfig", body.identity_provider_config)?;
    let kind = input.required("identityProviderConfig.type", r#type)?;
    if kind != OIDC {
        let rule = format!("`{}` is not `{OIDC}`, the one type that there is", lanyard_iam::shown(&kind));
        return Err(input.invalid("identityProviderConfig.type", &rule));
    }
    input.required("identityProviderConfig.name", name)
}
