//! STS.

use lanyard_api::{CallError, credentials::CallerIdentity};
use lanyard_proto::credentials::v1 as pb;

use super::Call;
use crate::{
    answer::{Answer, Node},
    backend::Backend,
};

pub(super) async fn get_caller_identity<B: Backend>(call: &Call<'_, B>) -> Result<Answer, CallError> {
    let CallerIdentity { account, arn, user_id } =
        call.ask::<pb::GetCallerIdentityRequest, pb::CallerIdentity, _>().await?;
    Ok(Answer::Query(vec![
        ("Arn", Node::Text(arn)),
        ("UserId", Node::Text(user_id)),
        ("Account", Node::Text(account.to_string())),
    ]))
}
