//! Roles and their trust policies.

use std::ops::RangeInclusive;

use lanyard_proto::authn::v1 as pb;

use crate::aws_wire::{
    AwsError,
    input::{Asked, Input},
};

type Read = Result<Asked, AwsError>;

/// What `UpdateRole` means where it says nothing (IAM API reference).
const SESSION_SECONDS_DEFAULT: u32 = 3_600;
/// How long a role's sessions may be allowed to last (IAM's model).
const SESSION_SECONDS: RangeInclusive<u32> = 3_600..=43_200;

fn name(input: &Input<'_>) -> Result<String, AwsError> {
    input.text("RoleName")
}

fn session_seconds_max(input: &Input<'_>) -> Result<Option<u32>, AwsError> {
    input.number("MaxSessionDuration", SESSION_SECONDS)
}

/// Nobody signs in to a console here.
fn refuse_signin(input: &Input<'_>) -> Result<(), AwsError> {
    let members = ["MaxSigninSessionDuration", "ResetMaxSigninSessionDuration"];
    input.refuse(&members, "there is no console here that one could sign in to: leave it out")
}

/// A trust policy that trusts an issuer without a subject has no flag on this wire: the role's tag says that it may.
pub(super) fn create(input: &Input<'_>) -> Read {
    input
        .refuse(&["PermissionsBoundary"], "there are no managed policies here, so no boundary can be one")?;
    refuse_signin(input)?;
    Ok(input.asks(&pb::CreateRoleRequest {
        mutation: None,
        account: None,
        path: input.optional_text("Path")?.unwrap_or_default(),
        name: name(input)?,
        trust_policy: input.text("AssumeRolePolicyDocument")?,
        session_seconds_max: session_seconds_max(input)?.unwrap_or_default(),
        tags: input.tags()?,
        description: input.optional_text("Description")?.unwrap_or_default(),
        allow_any_subject: false,
    }))
}

pub(super) fn get(input: &Input<'_>) -> Read {
    Ok(input.asks(&pb::GetRoleRequest { account: None, name: name(input)? }))
}

/// What there is of managed policies has no path, for there are none.
pub(super) fn get_with_path_prefix(input: &Input<'_>) -> Read {
    input.policy_path_prefix()?;
    get(input)
}

pub(super) fn list(input: &Input<'_>) -> Read {
    let (page, path_prefix) = (Some(input.marker_page()?), input.path_prefix()?);
    Ok(input.asks(&pb::ListRolesRequest { account: None, page, path_prefix }))
}

pub(super) fn update(input: &Input<'_>) -> Read {
    refuse_signin(input)?;
    Ok(input.asks(&pb::UpdateRoleRequest {
        mutation: None,
        account: None,
        name: name(input)?,
        description: input.optional_text("Description")?,
        session_seconds_max: Some(session_seconds_max(input)?.unwrap_or(SESSION_SECONDS_DEFAULT)),
        update_mask: None,
    }))
}

/// What Terraform changes a description by. It has to be given, and may be empty.
pub(super) fn update_description(input: &Input<'_>) -> Read {
    let description = input.required("Description", input.optional_text("Description")?)?;
    Ok(input.asks(&pb::UpdateRoleRequest {
        mutation: None,
        account: None,
        name: name(input)?,
        description: Some(description),
        session_seconds_max: None,
        update_mask: None,
    }))
}

pub(super) fn update_trust(input: &Input<'_>) -> Read {
    Ok(input.asks(&pb::UpdateAssumeRolePolicyRequest {
        mutation: None,
        account: None,
        name: name(input)?,
        trust_policy: input.text("PolicyDocument")?,
        allow_any_subject: false,
        update_mask: None,
    }))
}

/// One that still has policies is refused, as IAM does.
pub(super) fn delete(input: &Input<'_>) -> Read {
    let name = name(input)?;
    Ok(input.asks(&pb::DeleteRoleRequest { mutation: None, account: None, name, only_bare: true }))
}

pub(super) fn tag(input: &Input<'_>) -> Read {
    let (name, tags) = (name(input)?, input.tags_to_put()?);
    Ok(input.asks(&pb::TagRoleRequest { mutation: None, account: None, name, tags }))
}

pub(super) fn untag(input: &Input<'_>) -> Read {
    let (name, tag_keys) = (name(input)?, input.tag_keys()?);
    Ok(input.asks(&pb::UntagRoleRequest { mutation: None, account: None, name, tag_keys }))
}
