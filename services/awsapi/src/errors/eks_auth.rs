//! EKS Auth's errors (service model 2023-11-26): who may not is told by a 400 there.

use lanyard_api::{
    CallError, Denial,
    aws_wire::{AwsError, Found},
    credentials::VendRefusal,
    methods::{INVALID_REQUEST, UNKNOWN_CLUSTER},
};

use super::with_parameter;

/// A field as the parameter is called that it was read from.
fn parameter(field: &str) -> String {
    match field {
        "cluster" => "clusterName",
        "node_name" => "eksNodeName",
        other => other,
    }
    .to_owned()
}

/// Who is known and may not, or whose pod gets nothing.
pub(super) fn forbidden(found: &Found<'_>, denial: &Denial, message: String) -> AwsError {
    match (&*denial.code, VendRefusal::of_code(&denial.code)) {
        (_, Some(refusal)) => {
            let (code, status) = refusal.aws();
            AwsError::new(code, status, denial.message.clone())
        }
        (UNKNOWN_CLUSTER, _) => no_cluster(found),
        (INVALID_REQUEST, _) => {
            let message = with_parameter(&denial.message, parameter);
            AwsError::new("InvalidParameterException", 400, message)
        }
        _ => AwsError::new("AccessDeniedException", 400, message),
    }
}

/// What came of an admitted call in place of an answer.
pub(super) fn failed(found: &Found<'_>, error: &CallError) -> AwsError {
    let message = || with_parameter(&error.to_string(), parameter);
    match error {
        CallError::NotFound { .. } => no_cluster(found),
        CallError::Invalid { .. } => AwsError::new("InvalidParameterException", 400, message()),
        _ => AwsError::new("InvalidRequestException", 400, message()),
    }
}

fn no_cluster(found: &Found<'_>) -> AwsError {
    let message = format!("No cluster found for name: {}.", found.label("name"));
    AwsError::new("ResourceNotFoundException", 404, message)
}
