//! Pod Identity associations.

use lanyard_proto::credentials::v1 as pb;
use serde::Deserialize;

use crate::{
    aws_wire::{
        AwsError,
        input::{Asked, Input},
        json::Texts,
    },
    credentials::PodIdentityAssociationId,
};

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Create {
    namespace: Option<String>,
    service_account: Option<String>,
    role_arn: Option<String>,
    target_role_arn: Option<String>,
    disable_session_tags: Option<bool>,
    policy: Option<String>,
    tags: Option<Texts>,
    client_request_token: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Update {
    role_arn: Option<String>,
    target_role_arn: Option<String>,
    disable_session_tags: Option<bool>,
    policy: Option<String>,
    client_request_token: Option<String>,
}

pub(super) fn create(input: &Input<'_>) -> Result<Asked, AwsError> {
    let body: Create = input.json()?;
    Ok(input.asks(&pb::CreatePodIdentityAssociationRequest {
        mutation: input.once(body.client_request_token)?,
        cluster: input.cluster()?,
        namespace: input.required("namespace", body.namespace)?,
        service_account: input.required("serviceAccount", body.service_account)?,
        role_arn: input.required("roleArn", body.role_arn)?,
        target_role_arn: body.target_role_arn,
        disable_session_tags: body.disable_session_tags,
        policy: body.policy,
        tags: super::tags_of_new(input, body.tags)?,
        // There are no flags for these on this wire: the role's tag says that it may, the association's by which road.
        allow_any_cluster: false,
        aws_road: 0,
        unprobed: false,
    }))
}

pub(super) fn describe(input: &Input<'_>) -> Result<Asked, AwsError> {
    let (cluster, association_id) = (input.cluster()?, id(input)?);
    Ok(input.asks(&pb::DescribePodIdentityAssociationRequest { cluster, association_id }))
}

pub(super) fn list(input: &Input<'_>) -> Result<Asked, AwsError> {
    let given = |name| Ok::<_, AwsError>(input.parameter(name)?.map(str::to_owned));
    Ok(input.asks(&pb::ListPodIdentityAssociationsRequest {
        cluster: input.cluster()?,
        namespace: given("namespace")?,
        service_account: given("serviceAccount")?,
        page: Some(input.page()?),
    }))
}

pub(super) fn update(input: &Input<'_>) -> Result<Asked, AwsError> {
    let body: Update = input.json()?;
    Ok(input.asks(&pb::UpdatePodIdentityAssociationRequest {
        mutation: input.once(body.client_request_token)?,
        cluster: input.cluster()?,
        association_id: id(input)?,
        role_arn: body.role_arn,
        target_role_arn: body.target_role_arn,
        disable_session_tags: body.disable_session_tags,
        policy: body.policy,
        allow_any_cluster: false,
        aws_road: 0,
        unprobed: false,
        update_mask: None,
    }))
}

pub(super) fn delete(input: &Input<'_>) -> Result<Asked, AwsError> {
    let (cluster, association_id) = (input.cluster()?, id(input)?);
    Ok(input.asks(&pb::DeletePodIdentityAssociationRequest { mutation: None, cluster, association_id }))
}

fn id(input: &Input<'_>) -> Result<String, AwsError> {
    let id = input.label("associationId");
    match id.parse::<PodIdentityAssociationId>() {
        Ok(id) => Ok(id.into()),
        Err(error) => Err(input.invalid("associationId", &error.to_string())),
    }
}
