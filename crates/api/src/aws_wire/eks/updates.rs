//! Updates of clusters.

use lanyard_proto::mapping::v1 as pb;

use crate::{
    aws_wire::{
        AwsError,
        input::{Asked, Input},
    },
    ids::ClusterUpdateId,
};

/// What an update can be of beside its cluster, and the hub keeps none of.
const ELSEWHERE: [(&str, &str); 3] =
    [("nodegroupName", "node group"), ("addonName", "addon"), ("capabilityName", "capability")];

pub(super) fn describe(input: &Input<'_>) -> Result<Asked, AwsError> {
    of_the_cluster(input)?;
    let id = input.label("updateId");
    let id: ClusterUpdateId =
        id.parse().map_err(|_| input.invalid("updateId", "it is no update's id, a UUID"))?;
    Ok(input.asks(&pb::DescribeUpdateRequest { cluster: input.cluster()?, update_id: id.to_string() }))
}

pub(super) fn list(input: &Input<'_>) -> Result<Asked, AwsError> {
    of_the_cluster(input)?;
    Ok(input.asks(&pb::ListUpdatesRequest { cluster: input.cluster()?, page: Some(input.page()?) }))
}

fn of_the_cluster(input: &Input<'_>) -> Result<(), AwsError> {
    for (parameter, noun) in ELSEWHERE {
        if let Some(name) = input.parameter(parameter)? {
            let message = format!("No {noun} found for name: {}.", lanyard_iam::shown(name));
            return Err(AwsError::new("ResourceNotFoundException", 404, message));
        }
    }
    Ok(())
}
