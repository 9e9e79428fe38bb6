//! Pod Identity associations.

use lanyard_api::{CallError, Mutated, Page, credentials::PodIdentityAssociationDetail};
use lanyard_proto::credentials::v1 as pb;
use serde_json::{Value, json};

use super::page;
use crate::{
    answer::{Answer, epoch_seconds},
    backend::Backend,
    operations::Call,
};

type Answered = Result<Answer, CallError>;
type Changed = Mutated<PodIdentityAssociationDetail>;

pub(in crate::operations) async fn create<B: Backend>(call: &Call<'_, B>) -> Answered {
    let made: Changed =
        call.ask::<pb::CreatePodIdentityAssociationRequest, pb::PodIdentityAssociationMutated, _>().await?;
    Ok(whole(call, &made.value))
}

pub(in crate::operations) async fn describe<B: Backend>(call: &Call<'_, B>) -> Answered {
    let found = call
        .ask::<pb::DescribePodIdentityAssociationRequest, pb::PodIdentityAssociationDetail, PodIdentityAssociationDetail>()
        .await?;
    Ok(whole(call, &found))
}

pub(in crate::operations) async fn update<B: Backend>(call: &Call<'_, B>) -> Answered {
    let changed: Changed =
        call.ask::<pb::UpdatePodIdentityAssociationRequest, pb::PodIdentityAssociationMutated, _>().await?;
    Ok(whole(call, &changed.value))
}

/// As it was.
pub(in crate::operations) async fn delete<B: Backend>(call: &Call<'_, B>) -> Answered {
    let gone: Changed =
        call.ask::<pb::DeletePodIdentityAssociationRequest, pb::PodIdentityAssociationMutated, _>().await?;
    Ok(whole(call, &gone.value))
}

/// Summaries: EKS leaves the role out of lists.
pub(in crate::operations) async fn list<B: Backend>(call: &Call<'_, B>) -> Answered {
    let Page { items, next_token } = call
        .ask::<pb::ListPodIdentityAssociationsRequest, pb::PodIdentityAssociationPage, Page<PodIdentityAssociationDetail>>()
        .await?;
    let items = items.iter().map(|detail| summary(call, detail)).collect();
    Ok(Answer::Rest(page("associations", items, call.next_token(next_token)).into()))
}

fn summary<B>(call: &Call<'_, B>, detail: &PodIdentityAssociationDetail) -> Value {
    let association = &detail.association;
    json!({
        "clusterName": call.found.label("name"),
        "namespace": association.namespace,
        "serviceAccount": association.service_account,
        "associationArn": detail.arn,
        "associationId": association.id,
    })
}

fn whole<B>(call: &Call<'_, B>, detail: &PodIdentityAssociationDetail) -> Answer {
    let association = &detail.association;
    let mut shape = summary(call, detail);
    let own = json!({
        "roleArn": association.role_arn.to_string(),
        "tags": association.tags,
        "createdAt": epoch_seconds(association.created_at),
        "modifiedAt": epoch_seconds(association.modified_at),
        "disableSessionTags": association.disable_session_tags,
    });
    let given = [
        ("targetRoleArn", association.target_role_arn.as_ref().map(ToString::to_string)),
        ("externalId", detail.external_id.clone()),
        ("policy", association.policy.clone()),
    ];
    if let (Value::Object(shape), Value::Object(own)) = (&mut shape, own) {
        shape.extend(own);
        for (name, value) in given {
            shape.extend(value.map(|value| (name.to_owned(), Value::from(value))));
        }
    }
    Answer::Rest(json!({ "association": shape }))
}
