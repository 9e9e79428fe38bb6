//! Tags: of the service that keeps what the ARN names.

use std::collections::BTreeMap;

use lanyard_api::{CallError, Mutated, methods::Managed as _, tags::ListedTags};
use lanyard_proto::{call::v1 as call_pb, credentials::v1 as credentials, mapping::v1 as mapping};
use serde_json::json;

use crate::{answer::Answer, backend::Backend, operations::Call};

type Answered = Result<Answer, CallError>;
type Edited = Mutated<BTreeMap<String, String>>;

pub(in crate::operations) async fn tag<B: Backend>(call: &Call<'_, B>) -> Answered {
    let _: Edited = if call.admitted.method == credentials::TagResourceRequest::METHOD.path {
        call.ask::<credentials::TagResourceRequest, credentials::TagsMutated, _>().await?
    } else {
        call.ask::<mapping::TagResourceRequest, mapping::TagsMutated, _>().await?
    };
    Ok(Answer::Rest(json!({})))
}

pub(in crate::operations) async fn untag<B: Backend>(call: &Call<'_, B>) -> Answered {
    let _: Edited = if call.admitted.method == credentials::UntagResourceRequest::METHOD.path {
        call.ask::<credentials::UntagResourceRequest, credentials::TagsMutated, _>().await?
    } else {
        call.ask::<mapping::UntagResourceRequest, mapping::TagsMutated, _>().await?
    };
    Ok(Answer::Rest(json!({})))
}

pub(in crate::operations) async fn list<B: Backend>(call: &Call<'_, B>) -> Answered {
    let ListedTags(tags) = if call.admitted.method == credentials::ListTagsForResourceRequest::METHOD.path {
        call.ask::<credentials::ListTagsForResourceRequest, call_pb::Tags, _>().await?
    } else {
        call.ask::<mapping::ListTagsForResourceRequest, call_pb::Tags, _>().await?
    };
    Ok(Answer::Rest(json!({ "tags": tags })))
}
