//! Clusters.

use lanyard_proto::mapping::v1 as pb;
use serde::{Deserialize, de::IgnoredAny};

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
    client_request_token: Option<String>,
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

/// What else AWS lets one change of a cluster. Here all of it but the mode is elsewhere's affair.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct UpdateConfig {
    access_config: Option<Object<AccessConfig>>,
    resources_vpc_config: Option<IgnoredAny>,
    logging: Option<IgnoredAny>,
    upgrade_policy: Option<IgnoredAny>,
    zonal_shift_config: Option<IgnoredAny>,
    compute_config: Option<IgnoredAny>,
    kubernetes_network_config: Option<IgnoredAny>,
    storage_config: Option<IgnoredAny>,
    remote_network_config: Option<IgnoredAny>,
    deletion_protection: Option<IgnoredAny>,
    control_plane_scaling_config: Option<IgnoredAny>,
    kube_api_server_config: Option<IgnoredAny>,
    kube_scheduler_config: Option<IgnoredAny>,
    kube_controller_manager_config: Option<IgnoredAny>,
    client_request_token: Option<String>,
}

impl UpdateConfig {
    /// The first member that is given and that nothing here can be done about.
    fn elsewhere(&self) -> Option<&'static str> {
        let members = [
            ("resourcesVpcConfig", &self.resources_vpc_config),
            ("logging", &self.logging),
            ("upgradePolicy", &self.upgrade_policy),
            ("zonalShiftConfig", &self.zonal_shift_config),
            ("computeConfig", &self.compute_config),
            ("kubernetesNetworkConfig", &self.kubernetes_network_config),
            ("storageConfig", &self.storage_config),
            ("remoteNetworkConfig", &self.remote_network_config),
            ("deletionProtection", &self.deletion_protection),
            ("controlPlaneScalingConfig", &self.control_plane_scaling_config),
            ("kubeApiServerConfig", &self.kube_api_server_config),
            ("kubeSchedulerConfig", &self.kube_scheduler_config),
            ("kubeControllerManagerConfig", &self.kube_controller_manager_config),
        ];
        members.into_iter().find_map(|(name, value)| value.is_some().then_some(name))
    }
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
        mutation: input.once(body.client_request_token)?,
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

/// Changes the mode, which is all that can be changed of a cluster here.
pub(super) fn update_config(input: &Input<'_>) -> Result<Asked, AwsError> {
    let body: UpdateConfig = input.json()?;
    if let Some(name) = body.elsewhere() {
        let rule =
            "of a cluster that is registered here accessConfig.authenticationMode alone can be changed";
        return Err(input.invalid(name, rule));
    }
    let Object(access) = input.required("accessConfig", body.access_config)?;
    if access.bootstrap_cluster_creator_admin_permissions.is_some() {
        let rule = "it is settled when a cluster is made, and cannot be changed";
        return Err(input.invalid("accessConfig.bootstrapClusterCreatorAdminPermissions", rule));
    }
    let text = input.required("accessConfig.authenticationMode", access.authentication_mode)?;
    Ok(input.asks(&pb::UpdateClusterConfigRequest {
        mutation: input.once(body.client_request_token)?,
        cluster: input.cluster()?,
        authentication_mode: field::enum_number(mode(input, &text)?),
        ..Default::default()
    }))
}

/// As EKS writes modes; ours are written the same.
fn mode(input: &Input<'_>, text: &str) -> Result<AuthenticationMode, AwsError> {
    serde_json::from_value(serde_json::Value::from(text)).map_err(|_| {
        let rule = format!("`{}` is none of CONFIG_MAP, API_AND_CONFIG_MAP, API", lanyard_iam::shown(text));
        input.invalid("accessConfig.authenticationMode", &rule)
    })
}
