//! Users and access keys. A user who is not named is the caller, where the model lets one be left out.

use lanyard_proto::authn::v1 as pb;

use crate::aws_wire::{
    AwsError,
    input::{Asked, Input},
};

type Read = Result<Asked, AwsError>;

/// Longest name of a user who is made, in characters (IAM's model).
const NEW_NAME_CHARS_MAX: usize = 64;

/// The user that is named, or who calls where none is. An empty name is no name, and nobody's.
fn name(input: &Input<'_>) -> Result<String, AwsError> {
    match (input.optional_text("UserName")?, input.user_name()) {
        (Some(name), _) => Ok(name),
        (None, Some(own)) => Ok(own.to_owned()),
        (None, None) => Err(input.invalid("UserName", "it has to be given where no user calls")),
    }
}

pub(super) fn create(input: &Input<'_>) -> Read {
    input.refuse_boundary()?;
    Ok(input.asks(&pb::CreateUserRequest {
        mutation: None,
        account: None,
        path: input.optional_text("Path")?.unwrap_or_default(),
        name: input.text("UserName")?,
        tags: input.tags()?,
    }))
}

pub(super) fn get(input: &Input<'_>) -> Read {
    Ok(input.asks(&pb::GetUserRequest { account: None, name: name(input)? }))
}

/// As the operations ask that do not know who calls.
pub(super) fn get_named(input: &Input<'_>) -> Read {
    Ok(input.asks(&pb::GetUserRequest { account: None, name: input.text("UserName")? }))
}

/// What there is of managed policies has no path, for there are none. Of this list alone the model has the name as that of a user who is
/// made.
pub(super) fn get_with_path_prefix(input: &Input<'_>) -> Read {
    input.policy_path_prefix()?;
    let name = input.text("UserName")?;
    if name.chars().count() > NEW_NAME_CHARS_MAX {
        let rule = format!("it has more than {NEW_NAME_CHARS_MAX} characters");
        return Err(input.invalid("UserName", &rule));
    }
    Ok(input.asks(&pb::GetUserRequest { account: None, name }))
}

pub(super) fn list(input: &Input<'_>) -> Read {
    let (page, path_prefix) = (Some(input.marker_page()?), input.path_prefix()?);
    Ok(input.asks(&pb::ListUsersRequest { account: None, page, path_prefix }))
}

/// One that still has keys or policies is refused, as IAM does.
pub(super) fn delete(input: &Input<'_>) -> Read {
    let name = input.text("UserName")?;
    Ok(input.asks(&pb::DeleteUserRequest { mutation: None, account: None, name, only_bare: true }))
}

pub(super) fn tag(input: &Input<'_>) -> Read {
    let (name, tags) = (input.text("UserName")?, input.tags_to_put()?);
    Ok(input.asks(&pb::TagUserRequest { mutation: None, account: None, name, tags }))
}

pub(super) fn untag(input: &Input<'_>) -> Read {
    let (name, tag_keys) = (input.text("UserName")?, input.tag_keys()?);
    Ok(input.asks(&pb::UntagUserRequest { mutation: None, account: None, name, tag_keys }))
}

pub(super) fn create_key(input: &Input<'_>) -> Read {
    Ok(input.asks(&pb::CreateAccessKeyRequest { mutation: None, account: None, user: name(input)? }))
}

pub(super) fn list_keys(input: &Input<'_>) -> Read {
    Ok(input.asks(&pb::ListAccessKeysRequest { account: None, user: name(input)? }))
}

pub(super) fn update_key(input: &Input<'_>) -> Read {
    let active = match input.text("Status")?.as_str() {
        "Active" => true,
        "Inactive" => false,
        "Expired" => {
            let message = "Status: a key of this hub does not expire; make it Inactive, or delete it";
            return Err(AwsError::new("InvalidInput", 400, message));
        }
        _ => return Err(input.invalid("Status", "it has to be Active or Inactive")),
    };
    Ok(input.asks(&pb::UpdateAccessKeyRequest {
        mutation: None,
        account: None,
        user: name(input)?,
        access_key_id: input.text("AccessKeyId")?,
        active,
        update_mask: None,
    }))
}

pub(super) fn delete_key(input: &Input<'_>) -> Read {
    Ok(input.asks(&pb::DeleteAccessKeyRequest {
        mutation: None,
        account: None,
        user: name(input)?,
        access_key_id: input.text("AccessKeyId")?,
    }))
}
