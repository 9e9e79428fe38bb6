//! STS (2011-06-15).

use lanyard_proto::credentials::v1 as pb;

use super::{
    AwsError,
    input::{Asked, Input},
    operation::{Operation, Service},
};

/// Its operations.
pub(super) const OPERATIONS: &[Operation] =
    &[Operation::action(Service::Sts, "GetCallerIdentity", get_caller_identity).presigned()];

fn get_caller_identity(input: &Input<'_>) -> Result<Asked, AwsError> {
    Ok(input.asks(&pb::GetCallerIdentityRequest {}))
}
