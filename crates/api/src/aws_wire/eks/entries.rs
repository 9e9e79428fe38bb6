//! Access entries, their access policies, and the policies that there are.

use lanyard_proto::{
    call::v1 as call,
    mapping::v1::{self as pb, access_scope::Scope},
};
use serde::Deserialize;

use crate::{
    aws_wire::{
        AwsError,
        input::{Asked, Input},
        json::{Object, Texts},
    },
    grpc::field,
    mapping::EntryType,
};

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Create {
    principal_arn: Option<String>,
    kubernetes_groups: Option<Vec<String>>,
    tags: Option<Texts>,
    username: Option<String>,
    r#type: Option<String>,
    client_request_token: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Update {
    kubernetes_groups: Option<Vec<String>>,
    username: Option<String>,
    client_request_token: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Associate {
    policy_arn: Option<String>,
    access_scope: Option<Object<AccessScope>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AccessScope {
    r#type: Option<String>,
    namespaces: Option<Vec<String>>,
}

pub(super) fn create(input: &Input<'_>) -> Result<Asked, AwsError> {
    let body: Create = input.json()?;
    let entry_type = body.r#type.map(|text| entry_type(input, &text)).transpose()?;
    Ok(input.asks_of_entries(&pb::CreateAccessEntryRequest {
        mutation: input.once(body.client_request_token)?,
        cluster: input.cluster()?,
        principal_arn: principal(input, input.required("principalArn", body.principal_arn)?)?,
        entry_type: field::optional_enum_number(entry_type),
        username: body.username,
        groups: body.kubernetes_groups.unwrap_or_default(),
        tags: super::tags_of_new(input, body.tags)?,
        ..Default::default()
    }))
}

pub(super) fn describe(input: &Input<'_>) -> Result<Asked, AwsError> {
    let (cluster, principal_arn) = named(input)?;
    Ok(input.asks_of_entries(&pb::DescribeAccessEntryRequest { cluster, principal_arn }))
}

pub(super) fn list(input: &Input<'_>) -> Result<Asked, AwsError> {
    Ok(input.asks_of_entries(&pb::ListAccessEntriesRequest {
        cluster: input.cluster()?,
        policy_arn: input.parameter("associatedPolicyArn")?.map(str::to_owned),
        page: Some(input.page()?),
        view: pb::AccessEntryView::Principals.into(),
    }))
}

/// What is absent stays; groups that are given are all of them.
pub(super) fn update(input: &Input<'_>) -> Result<Asked, AwsError> {
    let body: Update = input.json()?;
    let (cluster, principal_arn) = named(input)?;
    Ok(input.asks_of_entries(&pb::UpdateAccessEntryRequest {
        mutation: input.once(body.client_request_token)?,
        cluster,
        principal_arn,
        username: body.username,
        groups: body.kubernetes_groups.map(|values| call::Strings { values }),
        ..Default::default()
    }))
}

pub(super) fn delete(input: &Input<'_>) -> Result<Asked, AwsError> {
    let (cluster, principal_arn) = named(input)?;
    Ok(input.asks_of_entries(&pb::DeleteAccessEntryRequest { mutation: None, cluster, principal_arn }))
}

pub(super) fn associate(input: &Input<'_>) -> Result<Asked, AwsError> {
    let body: Associate = input.json()?;
    let (cluster, principal_arn) = named(input)?;
    let policy_arn = input.required("policyArn", body.policy_arn)?;
    let Object(AccessScope { r#type, namespaces }) = input.required("accessScope", body.access_scope)?;
    let names = namespaces.unwrap_or_default();
    let scope = match input.required("accessScope.type", r#type)?.as_str() {
        "cluster" if names.is_empty() => Scope::Cluster(()),
        "cluster" => {
            let rule = "the scope `cluster` has no namespaces: leave them out, or use the scope `namespace`";
            return Err(input.invalid("accessScope.namespaces", rule));
        }
        "namespace" => Scope::Namespaces(pb::access_scope::Namespaces { names }),
        other => {
            let rule = format!("`{}` is neither `cluster` nor `namespace`", lanyard_iam::shown(other));
            return Err(input.invalid("accessScope.type", &rule));
        }
    };
    Ok(input.asks_of_entries(&pb::AssociateAccessPolicyRequest {
        cluster,
        principal_arn,
        policy_arn,
        scope: Some(pb::AccessScope { scope: Some(scope) }),
        ..Default::default()
    }))
}

pub(super) fn disassociate(input: &Input<'_>) -> Result<Asked, AwsError> {
    let (cluster, principal_arn) = named(input)?;
    let policy_arn = input.label("policyArn").to_owned();
    Ok(input.asks_of_entries(&pb::DisassociateAccessPolicyRequest {
        mutation: None,
        cluster,
        principal_arn,
        policy_arn,
    }))
}

pub(super) fn list_associated(input: &Input<'_>) -> Result<Asked, AwsError> {
    let (cluster, principal_arn) = named(input)?;
    let page = Some(input.page()?);
    Ok(input.asks_of_entries(&pb::ListAssociatedAccessPoliciesRequest { cluster, principal_arn, page }))
}

pub(super) fn list_policies(input: &Input<'_>) -> Result<Asked, AwsError> {
    Ok(input.asks(&pb::ListAccessPoliciesRequest { page: Some(input.page()?) }))
}

/// The cluster and the entry that the path names.
fn named(input: &Input<'_>) -> Result<(String, String), AwsError> {
    Ok((input.cluster()?, input.label("principalArn").to_owned()))
}

/// Entries for several principals are Lanyard's own: who makes one means it, and no client of EKS does.
fn principal(input: &Input<'_>, arn: String) -> Result<String, AwsError> {
    match lanyard_iam::EntryPrincipal::parse(&arn) {
        Ok(principal) if principal.one().is_none() => {
            let text = crate::mapping::Rule::PrincipalInvalid.eks_text().unwrap_or_default();
            Err(AwsError::invalid_parameter(input.service(), text))
        }
        _ => Ok(arn),
    }
}

/// As EKS writes types; ours are written the same.
fn entry_type(input: &Input<'_>, text: &str) -> Result<EntryType, AwsError> {
    serde_json::from_value(serde_json::Value::from(text)).map_err(|_| {
        input.invalid("type", &format!("`{}` is not a type of access entry", lanyard_iam::shown(text)))
    })
}
