//! EKS Auth.

use lanyard_api::{CallError, credentials::PodCredentials};
use lanyard_kit::ExposeSecret as _;
use lanyard_proto::credentials::v1 as pb;
use serde_json::json;

use super::Call;
use crate::{
    answer::{Answer, epoch_seconds},
    backend::Backend,
};

pub(super) async fn assume_role_for_pod_identity<B: Backend>(
    call: &Call<'_, B>,
) -> Result<Answer, CallError> {
    let vended =
        call.ask::<pb::AssumeRoleForPodIdentityRequest, pb::PodCredentials, PodCredentials>().await?;
    // EKS says nothing of the account, nor whether the pod is still there.
    let PodCredentials { subject, audience, association, user, credentials, account: _, unconfirmed: _ } =
        vended;
    Ok(Answer::Rest(json!({
        "subject": { "namespace": subject.namespace, "serviceAccount": subject.name },
        "audience": audience,
        "podIdentityAssociation": { "associationArn": association.arn, "associationId": association.id },
        "assumedRoleUser": { "arn": user.arn, "assumeRoleId": user.id },
        "credentials": {
            "sessionToken": credentials.session_token.expose_secret(),
            "secretAccessKey": credentials.secret_access_key.expose_secret(),
            "accessKeyId": credentials.access_key_id.as_str(),
            "expiration": epoch_seconds(credentials.expires_at),
        },
    })))
}
