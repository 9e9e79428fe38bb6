//! Instance profiles.

use lanyard_api::{
    CallError, Mutated, Page,
    authn::instance_profiles::{InstanceProfile, InstanceProfileDetail as Detail},
};
use lanyard_iam::Partition;
use lanyard_proto::authn::v1 as pb;

use super::{Answered, done, page, partition, roles, tag_page, tags, text};
use crate::{
    answer::{Answer, Members, Node},
    backend::Backend,
    operations::Call,
};

fn shape(detail: &Detail, partition: Partition) -> Node {
    let Detail { profile, iam_role } = detail;
    let InstanceProfile { path, name, profile_id, tags: of_profile, created_at, .. } = profile;
    let roles = iam_role.iter().map(|role| roles::shape(role, partition)).collect();
    let mut members: Members = vec![
        ("Path", text(path)),
        ("InstanceProfileName", text(name)),
        ("InstanceProfileId", text(profile_id)),
        ("Arn", Node::Text(profile.arn(partition))),
        ("CreateDate", Node::Moment(*created_at)),
        ("Roles", Node::List(roles)),
    ];
    if !of_profile.is_empty() {
        members.push(("Tags", tags(of_profile)));
    }
    Node::Members(members)
}

async fn profile<B: Backend>(call: &Call<'_, B>) -> Result<Detail, CallError> {
    call.ask::<pb::GetInstanceProfileRequest, pb::InstanceProfile, _>().await
}

/// IAM leaves tags out of lists.
fn listed<B: Backend>(call: &Call<'_, B>, found: Page<Detail>) -> Answered {
    let partition = partition(call)?;
    let bare = |mut detail: Detail| {
        detail.profile.tags.clear();
        shape(&detail, partition)
    };
    let next = call.next_token(found.next_token);
    Ok(page("InstanceProfiles", found.items.into_iter().map(bare).collect(), next))
}

pub(in crate::operations) async fn create<B: Backend>(call: &Call<'_, B>) -> Answered {
    let made =
        call.ask::<pb::CreateInstanceProfileRequest, pb::InstanceProfileMutated, Mutated<Detail>>().await?;
    Ok(Answer::Query(vec![("InstanceProfile", shape(&made.value, partition(call)?))]))
}

pub(in crate::operations) async fn get<B: Backend>(call: &Call<'_, B>) -> Answered {
    Ok(Answer::Query(vec![("InstanceProfile", shape(&profile(call).await?, partition(call)?))]))
}

pub(in crate::operations) async fn list<B: Backend>(call: &Call<'_, B>) -> Answered {
    let found = call.ask::<pb::ListInstanceProfilesRequest, pb::InstanceProfilePage, _>().await?;
    listed(call, found)
}

pub(in crate::operations) async fn list_for_role<B: Backend>(call: &Call<'_, B>) -> Answered {
    let found = call.ask::<pb::ListInstanceProfilesForRoleRequest, pb::InstanceProfilePage, _>().await?;
    listed(call, found)
}

pub(in crate::operations) async fn list_tags<B: Backend>(call: &Call<'_, B>) -> Answered {
    tag_page(call, &profile(call).await?.profile.tags)
}

pub(in crate::operations) async fn add_role<B: Backend>(call: &Call<'_, B>) -> Answered {
    call.ask::<pb::AddRoleToInstanceProfileRequest, pb::InstanceProfileMutated, Mutated<Detail>>().await?;
    Ok(done())
}

pub(in crate::operations) async fn remove_role<B: Backend>(call: &Call<'_, B>) -> Answered {
    call.ask::<pb::RemoveRoleFromInstanceProfileRequest, pb::InstanceProfileMutated, Mutated<Detail>>()
        .await?;
    Ok(done())
}

pub(in crate::operations) async fn tag<B: Backend>(call: &Call<'_, B>) -> Answered {
    call.ask::<pb::TagInstanceProfileRequest, pb::InstanceProfileMutated, Mutated<Detail>>().await?;
    Ok(done())
}

pub(in crate::operations) async fn untag<B: Backend>(call: &Call<'_, B>) -> Answered {
    call.ask::<pb::UntagInstanceProfileRequest, pb::InstanceProfileMutated, Mutated<Detail>>().await?;
    Ok(done())
}

pub(in crate::operations) async fn delete<B: Backend>(call: &Call<'_, B>) -> Answered {
    call.ask::<pb::DeleteInstanceProfileRequest, pb::InstanceProfileMutated, Mutated<Detail>>().await?;
    Ok(done())
}
