//! Instance profiles.

use lanyard_proto::authn::v1 as pb;

use crate::aws_wire::{
    AwsError,
    input::{Asked, Input},
};

type Read = Result<Asked, AwsError>;

fn name(input: &Input<'_>) -> Result<String, AwsError> {
    input.text("InstanceProfileName")
}

pub(super) fn create(input: &Input<'_>) -> Read {
    Ok(input.asks(&pb::CreateInstanceProfileRequest {
        mutation: None,
        account: None,
        path: input.optional_text("Path")?.unwrap_or_default(),
        name: name(input)?,
        tags: input.tags()?,
    }))
}

pub(super) fn get(input: &Input<'_>) -> Read {
    Ok(input.asks(&pb::GetInstanceProfileRequest { account: None, name: name(input)? }))
}

pub(super) fn list(input: &Input<'_>) -> Read {
    let (page, path_prefix) = (Some(input.marker_page()?), input.path_prefix()?);
    Ok(input.asks(&pb::ListInstanceProfilesRequest { account: None, page, path_prefix }))
}

pub(super) fn list_for_role(input: &Input<'_>) -> Read {
    let (page, role) = (Some(input.marker_page()?), input.text("RoleName")?);
    Ok(input.asks(&pb::ListInstanceProfilesForRoleRequest { account: None, role, page }))
}

pub(super) fn add_role(input: &Input<'_>) -> Read {
    let (name, role) = (name(input)?, input.text("RoleName")?);
    Ok(input.asks(&pb::AddRoleToInstanceProfileRequest { mutation: None, account: None, name, role }))
}

pub(super) fn remove_role(input: &Input<'_>) -> Read {
    let (name, role) = (name(input)?, input.text("RoleName")?);
    Ok(input.asks(&pb::RemoveRoleFromInstanceProfileRequest { mutation: None, account: None, name, role }))
}

pub(super) fn tag(input: &Input<'_>) -> Read {
    let (name, tags) = (name(input)?, input.tags_to_put()?);
    Ok(input.asks(&pb::TagInstanceProfileRequest { mutation: None, account: None, name, tags }))
}

pub(super) fn untag(input: &Input<'_>) -> Read {
    let (name, tag_keys) = (name(input)?, input.tag_keys()?);
    Ok(input.asks(&pb::UntagInstanceProfileRequest { mutation: None, account: None, name, tag_keys }))
}

pub(super) fn delete(input: &Input<'_>) -> Read {
    Ok(input.asks(&pb::DeleteInstanceProfileRequest { mutation: None, account: None, name: name(input)? }))
}
