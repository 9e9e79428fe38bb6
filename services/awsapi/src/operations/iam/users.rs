//! Users and access keys.

use lanyard_api::{
    CallError, Mutated, Page,
    authn::accounts::{AccessKey, NewAccessKey, User},
};
use lanyard_iam::Partition;
use lanyard_kit::ExposeSecret as _;
use lanyard_proto::authn::v1 as pb;

use super::{Answered, cut, done, empty, page, partition, tag_page, tags, text};
use crate::{
    answer::{Answer, Members, Node},
    backend::Backend,
    operations::Call,
};

fn shape(user: &User, partition: Partition) -> Node {
    let User { account, path, name, principal_id, tags: of_user, created_at } = user;
    let mut members: Members = vec![
        ("Path", text(path)),
        ("UserName", text(name)),
        ("UserId", text(principal_id)),
        ("Arn", Node::Text(format!("arn:{partition}:iam::{account}:user{path}{name}"))),
        ("CreateDate", Node::Moment(*created_at)),
    ];
    if !of_user.is_empty() {
        members.push(("Tags", tags(of_user)));
    }
    Node::Members(members)
}

async fn user<B: Backend>(call: &Call<'_, B>) -> Result<User, CallError> {
    call.ask::<pb::GetUserRequest, pb::User, _>().await
}

pub(in crate::operations) async fn create<B: Backend>(call: &Call<'_, B>) -> Answered {
    let made = call.ask::<pb::CreateUserRequest, pb::UserMutated, Mutated<User>>().await?;
    Ok(Answer::Query(vec![("User", shape(&made.value, partition(call)?))]))
}

pub(in crate::operations) async fn get<B: Backend>(call: &Call<'_, B>) -> Answered {
    Ok(Answer::Query(vec![("User", shape(&user(call).await?, partition(call)?))]))
}

pub(in crate::operations) async fn list<B: Backend>(call: &Call<'_, B>) -> Answered {
    let Page { items, next_token } = call.ask::<pb::ListUsersRequest, pb::UserPage, Page<User>>().await?;
    let partition = partition(call)?;
    // IAM leaves tags out of lists.
    let bare = |user: User| shape(&User { tags: Default::default(), ..user }, partition);
    Ok(page("Users", items.into_iter().map(bare).collect(), call.next_token(next_token)))
}

pub(in crate::operations) async fn delete<B: Backend>(call: &Call<'_, B>) -> Answered {
    call.ask::<pb::DeleteUserRequest, pb::UserMutated, Mutated<User>>().await?;
    Ok(done())
}

pub(in crate::operations) async fn tag<B: Backend>(call: &Call<'_, B>) -> Answered {
    call.ask::<pb::TagUserRequest, pb::UserMutated, Mutated<User>>().await?;
    Ok(done())
}

pub(in crate::operations) async fn untag<B: Backend>(call: &Call<'_, B>) -> Answered {
    call.ask::<pb::UntagUserRequest, pb::UserMutated, Mutated<User>>().await?;
    Ok(done())
}

pub(in crate::operations) async fn list_tags<B: Backend>(call: &Call<'_, B>) -> Answered {
    tag_page(call, &user(call).await?.tags)
}

/// There are no groups on a hub.
pub(in crate::operations) async fn list_groups<B: Backend>(call: &Call<'_, B>) -> Answered {
    user(call).await?;
    empty(call, "Groups")
}

/// There are no managed policies on a hub.
pub(in crate::operations) async fn list_attached<B: Backend>(call: &Call<'_, B>) -> Answered {
    user(call).await?;
    empty(call, "AttachedPolicies")
}

fn key_shape(key: &AccessKey) -> Members {
    let status = if key.active { "Active" } else { "Inactive" };
    vec![
        ("UserName", text(&key.user)),
        ("AccessKeyId", text(key.id.as_str())),
        ("Status", text(status)),
        ("CreateDate", Node::Moment(key.created_at)),
    ]
}

pub(in crate::operations) async fn create_key<B: Backend>(call: &Call<'_, B>) -> Answered {
    let made =
        call.ask::<pb::CreateAccessKeyRequest, pb::AccessKeyCreated, Mutated<NewAccessKey>>().await?.value;
    let mut members = key_shape(&made.key);
    members.insert(3, ("SecretAccessKey", text(made.secret.expose_secret())));
    Ok(Answer::Query(vec![("AccessKey", Node::Members(members))]))
}

/// A user's keys.
struct Keys(Vec<AccessKey>);

impl TryFrom<pb::ListAccessKeysResponse> for Keys {
    type Error = CallError;

    fn try_from(answer: pb::ListAccessKeysResponse) -> Result<Self, CallError> {
        answer.keys.into_iter().map(AccessKey::try_from).collect::<Result<_, _>>().map(Self)
    }
}

pub(in crate::operations) async fn list_keys<B: Backend>(call: &Call<'_, B>) -> Answered {
    let Keys(keys) = call.ask::<pb::ListAccessKeysRequest, pb::ListAccessKeysResponse, _>().await?;
    cut(call, "AccessKeyMetadata", keys.iter(), |key| key.id.to_string(), |key| Node::Members(key_shape(key)))
}

pub(in crate::operations) async fn update_key<B: Backend>(call: &Call<'_, B>) -> Answered {
    call.ask::<pb::UpdateAccessKeyRequest, pb::AccessKeyMutated, Mutated<AccessKey>>().await?;
    Ok(done())
}

pub(in crate::operations) async fn delete_key<B: Backend>(call: &Call<'_, B>) -> Answered {
    call.ask::<pb::DeleteAccessKeyRequest, pb::AccessKeyMutated, Mutated<AccessKey>>().await?;
    Ok(done())
}
