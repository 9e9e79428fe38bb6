//! Identity provider configurations. Of their kinds there is one, `oidc`.

use lanyard_proto::mapping::v1 as pb;
use serde::Deserialize;

use crate::aws_wire::{
    AwsError,
    input::{Asked, Input},
    json::Object,
};

/// The one kind of configuration.
const OIDC: &str = "oidc";

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Named {
    identity_provider_config: Option<Object<Config>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Config {
    r#type: Option<String>,
    name: Option<String>,
}

pub(super) fn describe(input: &Input<'_>) -> Result<Asked, AwsError> {
    Ok(input
        .asks(&pb::DescribeIdentityProviderConfigRequest { cluster: input.cluster()?, name: name(input)? }))
}

pub(super) fn list(input: &Input<'_>) -> Result<Asked, AwsError> {
    let page = Some(input.page()?);
    Ok(input.asks(&pb::ListIdentityProviderConfigsRequest { cluster: input.cluster()?, page }))
}

fn name(input: &Input<'_>) -> Result<String, AwsError> {
    let body: Named = input.json()?;
    let Object(Config { r#type, name }) =
        input.required("identityProviderConfig", body.identity_provider_config)?;
    let kind = input.required("identityProviderConfig.type", r#type)?;
    if kind != OIDC {
        let rule = format!("`{}` is not `{OIDC}`, the one type that there is", lanyard_iam::shown(&kind));
        return Err(input.invalid("identityProviderConfig.type", &rule));
    }
    input.required("identityProviderConfig.name", name)
}
