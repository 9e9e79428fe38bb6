//! OIDC providers, which AWS names by their ARNs and the hub by their issuers' URLs.

use lanyard_proto::authn::v1 as pb;

use crate::aws_wire::{
    AwsError,
    input::{Asked, Input},
};

type Read = Result<Asked, AwsError>;

/// Account and issuer's URL of a provider's ARN: `arn:P:iam::A:oidc-provider/<URL without scheme>`.
fn of(input: &Input<'_>) -> Result<(Option<String>, String), AwsError> {
    const PARAMETER: &str = "OpenIDConnectProviderArn";
    let arn = input.text(PARAMETER)?;
    let mut parts = arn.splitn(6, ':');
    let mut next = || parts.next().unwrap_or_default();
    let (prefix, _partition, service, region, account, resource) =
        (next(), next(), next(), next(), next(), next());
    match (prefix, service, region, resource.strip_prefix("oidc-provider/")) {
        ("arn", "iam", "", Some(name)) if !name.is_empty() => {
            Ok((Some(account.to_owned()), format!("https://{name}")))
        }
        _ => {
            let rule = "it is not the ARN of an OIDC provider: arn:<partition>:iam::<account>:oidc-provider/<host and path>";
            Err(AwsError::new("InvalidInput", 400, format!("{PARAMETER}: {rule}")))
        }
    }
}

/// An issuer's URL without the port that its scheme has anyway. eksctl writes it into each and looks for the provider without it; nor do
/// issuers write it into their tokens.
fn without_own_port(url: &str) -> String {
    let Some(rest) = url.strip_prefix("https://") else { return url.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.strip_suffix(":443").unwrap_or(authority);
    format!("https://{host}{path}")
}

pub(super) fn create(input: &Input<'_>) -> Read {
    input.refuse(
        &["IdentityCenterInstanceArn", "ContextProvider"],
        "identities of IAM Identity Center are not kept here",
    )?;
    Ok(input.asks(&pb::CreateOidcProviderRequest {
        mutation: None,
        account: None,
        issuer_url: without_own_port(&input.text("Url")?),
        client_ids: input.texts("ClientIDList")?,
        thumbprints: input.texts("ThumbprintList")?,
        ca_bundle_pem: None,
        tags: input.tags()?,
    }))
}

pub(super) fn get(input: &Input<'_>) -> Read {
    let (account, issuer_url) = of(input)?;
    Ok(input.asks(&pb::GetOidcProviderRequest { account, issuer_url }))
}

/// All of them in one answer, as AWS has it: its model has no marker to go on from.
pub(super) fn list(input: &Input<'_>) -> Read {
    Ok(input.asks(&pb::ListOidcProvidersRequest { account: None, page: None, whole: true }))
}

pub(super) fn delete(input: &Input<'_>) -> Read {
    let (account, issuer_url) = of(input)?;
    Ok(input.asks(&pb::DeleteOidcProviderRequest { mutation: None, account, issuer_url }))
}

pub(super) fn update_thumbprints(input: &Input<'_>) -> Read {
    let ((account, issuer_url), thumbprints) = (of(input)?, input.required_texts("ThumbprintList")?);
    Ok(input.asks(&pb::UpdateOidcProviderThumbprintsRequest {
        mutation: None,
        account,
        issuer_url,
        thumbprints,
        update_mask: None,
    }))
}

pub(super) fn add_client_id(input: &Input<'_>) -> Read {
    let ((account, issuer_url), client_id) = (of(input)?, input.text("ClientID")?);
    Ok(input.asks(&pb::AddOidcClientIdRequest { mutation: None, account, issuer_url, client_id }))
}

pub(super) fn remove_client_id(input: &Input<'_>) -> Read {
    let ((account, issuer_url), client_id) = (of(input)?, input.text("ClientID")?);
    Ok(input.asks(&pb::RemoveOidcClientIdRequest { mutation: None, account, issuer_url, client_id }))
}

pub(super) fn tag(input: &Input<'_>) -> Read {
    let ((account, issuer_url), tags) = (of(input)?, input.tags_to_put()?);
    Ok(input.asks(&pb::TagOidcProviderRequest { mutation: None, account, issuer_url, tags }))
}

pub(super) fn untag(input: &Input<'_>) -> Read {
    let ((account, issuer_url), tag_keys) = (of(input)?, input.tag_keys()?);
    Ok(input.asks(&pb::UntagOidcProviderRequest { mutation: None, account, issuer_url, tag_keys }))
}
