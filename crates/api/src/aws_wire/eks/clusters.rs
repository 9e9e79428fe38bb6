//! Clusters.

use lanyard_proto::mapping::v1 as pb;
use serde::Deserialize;

use crate::{
    aws_wire::{
        AwsError,
        input::{Asked, Input},
        json::{Object, Texts},
    },
    grpc::field,
    mapping::AuthenticationMode,
};

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Create {
    name: Option<String>,
    role_arn: Option<String>,
    resources_vpc_config: Option<Object<Elsewhere>>,
    access_config: Option<Object<AccessConfig>>,
    tags: Option<Texts>,
}

/// An object of which nothing is taken over: a cluster that is registered here has its network elsewhere.
#[derive(Deserialize)]
struct Elsewhere {}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct AccessConfig {
    bootstrap_cluster_creator_admin_permissions: Option<bool>,
    authentication_mode: Option<String>,
}

/// Registers a cluster. Who leaves the mode out gets the one that EKS's interface has as default, and not Lanyard's own.
pub(super) fn create(input: &Input<'_>) -> Result<Asked, AwsError> {
    let body: Create = input.json()?;
    let name = input.required("name", body.name)?;
    let role_arn = input.required("roleArn", body.role_arn)?;
    let is_role = lanyard_iam::PrincipalArn::parse(&role_arn)
        .is_ok_and(|arn| matches!(arn.kind, lanyard_iam::PrincipalKind::Role { .. }));
    if !is_role {
        return Err(input.invalid("roleArn", "it is not the ARN of a role"));
    }
    input.required("resourcesVpcConfig", body.resources_vpc_config)?;
    let Object(AccessConfig { bootstrap_cluster_creator_admin_permissions, authentication_mode }) =
        body.access_config.unwrap_or_default();
    let mode = match authentication_mode {
        Some(text) => mode(input, &text)?,
        None => AuthenticationMode::ConfigMap,
    };
    Ok(input.asks(&pb::CreateClusterRequest {
        name,
        region: input.region().to_owned(),
        authentication_mode: field::enum_number(mode),
        bootstrap_creator_admin: bootstrap_cluster_creator_admin_permissions,
        tags: body.tags.unwrap_or_default().0,
        ..Default::default()
    }))
}

pub(super) fn describe(input: &Input<'_>) -> Result<Asked, AwsError> {
    Ok(input.asks(&pb::DescribeClusterRequest { cluster: input.cluster()? }))
}

/// Lanyard has registered clusters alone: `include`, which asks for connected ones too, adds none.
pub(super) fn list(input: &Input<'_>) -> Result<Asked, AwsError> {
    if let Some(other) = input.parameters("include").find(|include| *include != "all") {
        return Err(input.invalid("include", &format!("`{}` is not `all`", lanyard_iam::shown(other))));
    }
    let region = Some(input.region().to_owned());
    Ok(input.asks(&pb::ListClustersRequest { page: Some(input.page()?), region }))
}

pub(super) fn delete(input: &Input<'_>) -> Result<Asked, AwsError> {
    Ok(input.asks(&pb::DeleteClusterRequest { cluster: input.cluster()?, ..Default::default() }))
}

/// As EKS writes modes; ours are written the same.
fn mode(input: &Input<'_>, text: &str) -> Result<AuthenticationMode, AwsError> {
    serde_json::from_value(serde_json::Value::from(text)).map_err(|_| {
        let rule = format!("`{}` is none of CONFIG_MAP, API_AND_CONFIG_MAP, API", lanyard_iam::shown(text));
        input.invalid("accessConfig.authenticationMode", &rule)
    })
}
