//! OIDC providers.

use lanyard_api::{CallError, Mutated, Page, authn::oidc_providers::OidcProvider};
use lanyard_proto::authn::v1 as pb;

use super::{Answered, done, partition, tag_page, tags, text};
use crate::{
    answer::{Answer, Node},
    backend::Backend,
    operations::Call,
};

type Changed = Mutated<OidcProvider>;

async fn provider<B: Backend>(call: &Call<'_, B>) -> Result<OidcProvider, CallError> {
    call.ask::<pb::GetOidcProviderRequest, pb::OidcProvider, _>().await
}

fn texts(values: &[String]) -> Node {
    Node::List(values.iter().map(|value| text(value)).collect())
}

pub(in crate::operations) async fn create<B: Backend>(call: &Call<'_, B>) -> Answered {
    let made = call.ask::<pb::CreateOidcProviderRequest, pb::OidcProviderMutated, Changed>().await?.value;
    let mut members = vec![("OpenIDConnectProviderArn", Node::Text(made.arn(partition(call)?)))];
    if !made.tags.is_empty() {
        members.push(("Tags", tags(&made.tags)));
    }
    Ok(Answer::Query(members))
}

/// IAM shows the URL without its scheme.
pub(in crate::operations) async fn get<B: Backend>(call: &Call<'_, B>) -> Answered {
    let found = provider(call).await?;
    let mut members = vec![
        ("Url", text(found.name())),
        ("ClientIDList", texts(&found.client_ids)),
        ("ThumbprintList", texts(&found.thumbprints)),
        ("CreateDate", Node::Moment(found.created_at)),
    ];
    if !found.tags.is_empty() {
        members.push(("Tags", tags(&found.tags)));
    }
    Ok(Answer::Query(members))
}

pub(in crate::operations) async fn list<B: Backend>(call: &Call<'_, B>) -> Answered {
    let found =
        call.ask::<pb::ListOidcProvidersRequest, pb::OidcProviderPage, Page<OidcProvider>>().await?.items;
    let partition = partition(call)?;
    let arn = |provider: &OidcProvider| Node::Members(vec![("Arn", Node::Text(provider.arn(partition)))]);
    Ok(Answer::Query(vec![("OpenIDConnectProviderList", Node::List(found.iter().map(arn).collect()))]))
}

pub(in crate::operations) async fn list_tags<B: Backend>(call: &Call<'_, B>) -> Answered {
    tag_page(call, &provider(call).await?.tags)
}

pub(in crate::operations) async fn delete<B: Backend>(call: &Call<'_, B>) -> Answered {
    call.ask::<pb::DeleteOidcProviderRequest, pb::OidcProviderMutated, Changed>().await?;
    Ok(done())
}

pub(in crate::operations) async fn update_thumbprints<B: Backend>(call: &Call<'_, B>) -> Answered {
    call.ask::<pb::UpdateOidcProviderThumbprintsRequest, pb::OidcProviderMutated, Changed>().await?;
    Ok(done())
}

pub(in crate::operations) async fn add_client_id<B: Backend>(call: &Call<'_, B>) -> Answered {
    call.ask::<pb::AddOidcClientIdRequest, pb::OidcProviderMutated, Changed>().await?;
    Ok(done())
}

pub(in crate::operations) async fn remove_client_id<B: Backend>(call: &Call<'_, B>) -> Answered {
    call.ask::<pb::RemoveOidcClientIdRequest, pb::OidcProviderMutated, Changed>().await?;
    Ok(done())
}

pub(in crate::operations) async fn tag<B: Backend>(call: &Call<'_, B>) -> Answered {
    call.ask::<pb::TagOidcProviderRequest, pb::OidcProviderMutated, Changed>().await?;
    Ok(done())
}

pub(in crate::operations) async fn untag<B: Backend>(call: &Call<'_, B>) -> Answered {
    call.ask::<pb::UntagOidcProviderRequest, pb::OidcProviderMutated, Changed>().await?;
    Ok(done())
}
