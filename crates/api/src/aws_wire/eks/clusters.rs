//! Clusters.

use std::fmt;

use lanyard_proto::mapping::v1 as pb;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::Value;

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
    #[serde(flatten)]
    others: Others,
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

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct UpdateConfig {
    access_config: Option<Object<AccessConfig>>,
    client_request_token: Option<String>,
    #[serde(flatten)]
    others: Others,
}

/// What AWS settles of a cluster and nothing here does: it runs elsewhere, and what is asked of it in vain is refused.
const SETTLED_ELSEWHERE: [&str; 15] = [
    "resourcesVpcConfig",
    "logging",
    "encryptionConfig",
    "outpostConfig",
    "upgradePolicy",
    "zonalShiftConfig",
    "computeConfig",
    "kubernetesNetworkConfig",
    "storageConfig",
    "remoteNetworkConfig",
    "deletionProtection",
    "controlPlaneScalingConfig",
    "kubeApiServerConfig",
    "kubeSchedulerConfig",
    "kubeControllerManagerConfig",
];

/// The members of a body that nothing is taken over of, each as often as it stands.
#[derive(Default)]
struct Others(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Others {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct All;

        impl<'de> Visitor<'de> for All {
            type Value = Others;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Others, A::Error> {
                let mut all = Vec::new();
                while let Some(member) = map.next_entry()? {
                    all.push(member);
                }
                Ok(Others(all))
            }
        }

        from.deserialize_map(All)
    }
}

impl Others {
    /// The first that is given of those that are settled elsewhere.
    fn settled_elsewhere(&self, is_given: fn(&Value) -> bool) -> Option<&'static str> {
        let given = |name: &&str| self.0.iter().any(|(member, value)| member == name && is_given(value));
        SETTLED_ELSEWHERE.into_iter().find(given)
    }
}

/// Whether a setting asks for anything: what is off, and a list or object of nothing else, does not. SDKs and Terraform write such
/// where nobody has asked.
fn asks_for_something(setting: &Value) -> bool {
    match setting {
        Value::Null | Value::Bool(false) => false,
        Value::Bool(true) | Value::Number(_) | Value::String(_) => true,
        Value::Array(items) => items.iter().any(asks_for_something),
        Value::Object(members) => {
            let is_off = members.get("enabled") == Some(&Value::Bool(false));
            // Types of logs, none of which is turned on.
            let is_of_none = members.get("types") == Some(&Value::Array(Vec::new()));
            !is_off && !is_of_none && members.values().any(asks_for_something)
        }
    }
}

/// Registers a cluster. Its role, network and version are what they are elsewhere, and are not kept. Who leaves the mode out gets the one that EKS's interface has as default, and not Lanyard's own.
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
    if let Some(name) = body.others.settled_elsewhere(asks_for_something) {
        let rule =
            "a cluster that is registered here runs elsewhere, and this is settled there: leave it out";
        return Err(input.invalid(name, rule));
    }
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
        tags: super::tags_of_new(input, body.tags)?,
        ..Default::default()
    }))
}

pub(super) fn describe(input: &Input<'_>) -> Result<Asked, AwsError> {
    Ok(input.asks(&pb::DescribeClusterRequest { cluster: input.cluster()? }))
}

/// Lanyard has registered clusters alone: `include`, which asks for connected ones too, adds none.
pub(super) fn list(input: &Input<'_>) -> Result<Asked, AwsError> {
    // An empty one asks for none beside EKS's own (service model).
    if let Some(other) = input.parameters("include").find(|include| !matches!(*include, "" | "all")) {
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
    if let Some(name) = body.others.settled_elsewhere(|value| !value.is_null()) {
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
    serde_json::from_value(Value::from(text)).map_err(|_| {
        let rule = format!("`{}` is none of CONFIG_MAP, API_AND_CONFIG_MAP, API", lanyard_iam::shown(text));
        input.invalid("accessConfig.authenticationMode", &rule)
    })
}
