//! Inline policies of users and roles: AWS has an operation for each, the hub one for both.

use lanyard_proto::authn::v1::{self as pb, policy_owner::Owner};

use crate::aws_wire::{
    AwsError,
    input::{Asked, Input},
};

type Read = Result<Asked, AwsError>;

fn user(input: &Input<'_>) -> Result<Option<pb::PolicyOwner>, AwsError> {
    Ok(Some(pb::PolicyOwner { owner: Some(Owner::User(input.text("UserName")?)) }))
}

fn role(input: &Input<'_>) -> Result<Option<pb::PolicyOwner>, AwsError> {
    Ok(Some(pb::PolicyOwner { owner: Some(Owner::Role(input.text("RoleName")?)) }))
}

fn put(input: &Input<'_>, owner: Option<pb::PolicyOwner>) -> Read {
    let (name, document) = (input.text("PolicyName")?, input.text("PolicyDocument")?);
    Ok(input.asks(&pb::PutPolicyRequest { mutation: None, account: None, owner, name, document }))
}

fn get(input: &Input<'_>, owner: Option<pb::PolicyOwner>) -> Read {
    Ok(input.asks(&pb::GetPolicyRequest { account: None, owner, name: input.text("PolicyName")? }))
}

fn list(input: &Input<'_>, owner: Option<pb::PolicyOwner>) -> Read {
    Ok(input.asks(&pb::ListPoliciesRequest { account: None, owner }))
}

fn delete(input: &Input<'_>, owner: Option<pb::PolicyOwner>) -> Read {
    let name = input.text("PolicyName")?;
    Ok(input.asks(&pb::DeletePolicyRequest { mutation: None, account: None, owner, name }))
}

pub(super) fn put_on_user(input: &Input<'_>) -> Read {
    put(input, user(input)?)
}

pub(super) fn get_of_user(input: &Input<'_>) -> Read {
    get(input, user(input)?)
}

pub(super) fn list_of_user(input: &Input<'_>) -> Read {
    list(input, user(input)?)
}

pub(super) fn delete_of_user(input: &Input<'_>) -> Read {
    delete(input, user(input)?)
}

pub(super) fn put_on_role(input: &Input<'_>) -> Read {
    put(input, role(input)?)
}

pub(super) fn get_of_role(input: &Input<'_>) -> Read {
    get(input, role(input)?)
}

pub(super) fn list_of_role(input: &Input<'_>) -> Read {
    list(input, role(input)?)
}

pub(super) fn delete_of_role(input: &Input<'_>) -> Read {
    delete(input, role(input)?)
}
