//! Updates of clusters.

use lanyard_api::{CallError, Fault, Mutated, Page, mapping::ClusterUpdate};
use lanyard_proto::{call::v1 as call_pb, mapping::v1 as pb};
use serde_json::{Value, json};

use super::page;
use crate::{
    answer::{Answer, epoch_seconds},
    backend::Backend,
    operations::Call,
};

pub(in crate::operations) async fn describe<B: Backend>(call: &Call<'_, B>) -> Result<Answer, CallError> {
    let update: ClusterUpdate = call.ask::<pb::DescribeUpdateRequest, call_pb::ClusterUpdate, _>().await?;
    Ok(Answer::Rest(json!({ "update": shape(&update) })))
}

pub(in crate::operations) async fn list<B: Backend>(call: &Call<'_, B>) -> Result<Answer, CallError> {
    let Page { items, next_token } =
        call.ask::<pb::ListUpdatesRequest, pb::ClusterUpdatePage, Page<ClusterUpdate>>().await?;
    let ids = items.iter().map(|update| Value::from(update.id.to_string())).collect();
    Ok(Answer::Rest(page("updateIds", ids, call.next_token(next_token)).into()))
}

/// The update that a change has made, which its answer is about.
pub(super) fn of<T>(changed: &Mutated<T>) -> Result<Value, CallError> {
    let update = changed.update.as_ref().ok_or_else(|| {
        tracing::error!("a change of a cluster was answered without its update");
        Fault::Internal
    })?;
    Ok(shape(update))
}

/// An update as EKS shows one. What the hub has answered it has done.
fn shape(update: &ClusterUpdate) -> Value {
    json!({
        "id": update.id,
        "status": "Successful",
        "type": update.kind,
        "params": update.params,
        "createdAt": epoch_seconds(update.created_at),
        "errors": [],
    })
}
