//! Roles.

use lanyard_api::{CallError, Mutated, Page, authn::accounts::IamRole};
use lanyard_iam::Partition;
use lanyard_proto::authn::v1 as pb;

use super::{Answered, document, done, empty, page, partition, tag_page, tags, text};
use crate::{
    answer::{Answer, Members, Node},
    backend::Backend,
    operations::Call,
};

pub(super) fn shape(role: &IamRole, partition: Partition) -> Node {
    let IamRole { account, path, name, principal_id, description, .. } = role;
    let mut members: Members = vec![
        ("Path", text(path)),
        ("RoleName", text(name)),
        ("RoleId", text(principal_id)),
        ("Arn", Node::Text(format!("arn:{partition}:iam::{account}:role{path}{name}"))),
        ("CreateDate", Node::Moment(role.created_at)),
        ("AssumeRolePolicyDocument", document(&role.trust_policy)),
    ];
    if !description.is_empty() {
        members.push(("Description", text(description)));
    }
    members.push(("MaxSessionDuration", Node::Number(role.session_seconds_max.into())));
    if !role.tags.is_empty() {
        members.push(("Tags", tags(&role.tags)));
    }
    Node::Members(members)
}

async fn role<B: Backend>(call: &Call<'_, B>) -> Result<IamRole, CallError> {
    call.ask::<pb::GetRoleRequest, pb::IamRole, _>().await
}

pub(in crate::operations) async fn create<B: Backend>(call: &Call<'_, B>) -> Answered {
    let made = call.ask::<pb::CreateRoleRequest, pb::IamRoleMutated, Mutated<IamRole>>().await?;
    Ok(Answer::Query(vec![("Role", shape(&made.value, partition(call)?))]))
}

pub(in crate::operations) async fn get<B: Backend>(call: &Call<'_, B>) -> Answered {
    Ok(Answer::Query(vec![("Role", shape(&role(call).await?, partition(call)?))]))
}

pub(in crate::operations) async fn list<B: Backend>(call: &Call<'_, B>) -> Answered {
    let Page { items, next_token } =
        call.ask::<pb::ListRolesRequest, pb::IamRolePage, Page<IamRole>>().await?;
    let partition = partition(call)?;
    // IAM leaves tags out of lists.
    let bare = |role: IamRole| shape(&IamRole { tags: Default::default(), ..role }, partition);
    Ok(page("Roles", items.into_iter().map(bare).collect(), call.next_token(next_token)))
}

pub(in crate::operations) async fn update<B: Backend>(call: &Call<'_, B>) -> Answered {
    call.ask::<pb::UpdateRoleRequest, pb::IamRoleMutated, Mutated<IamRole>>().await?;
    Ok(Answer::EmptyResult)
}

pub(in crate::operations) async fn update_description<B: Backend>(call: &Call<'_, B>) -> Answered {
    let changed = call.ask::<pb::UpdateRoleRequest, pb::IamRoleMutated, Mutated<IamRole>>().await?;
    Ok(Answer::Query(vec![("Role", shape(&changed.value, partition(call)?))]))
}

pub(in crate::operations) async fn update_trust<B: Backend>(call: &Call<'_, B>) -> Answered {
    call.ask::<pb::UpdateAssumeRolePolicyRequest, pb::IamRoleMutated, Mutated<IamRole>>().await?;
    Ok(done())
}

pub(in crate::operations) async fn delete<B: Backend>(call: &Call<'_, B>) -> Answered {
    call.ask::<pb::DeleteRoleRequest, pb::IamRoleMutated, Mutated<IamRole>>().await?;
    Ok(done())
}

pub(in crate::operations) async fn tag<B: Backend>(call: &Call<'_, B>) -> Answered {
    call.ask::<pb::TagRoleRequest, pb::IamRoleMutated, Mutated<IamRole>>().await?;
    Ok(done())
}

pub(in crate::operations) async fn untag<B: Backend>(call: &Call<'_, B>) -> Answered {
    call.ask::<pb::UntagRoleRequest, pb::IamRoleMutated, Mutated<IamRole>>().await?;
    Ok(done())
}

pub(in crate::operations) async fn list_tags<B: Backend>(call: &Call<'_, B>) -> Answered {
    tag_page(call, &role(call).await?.tags)
}

/// There are no managed policies on a hub.
pub(in crate::operations) async fn list_attached<B: Backend>(call: &Call<'_, B>) -> Answered {
    role(call).await?;
    empty(call, "AttachedPolicies")
}
