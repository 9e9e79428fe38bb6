//! Tags, by the ARN of what bears them. These operations have errors of their own: BadRequestException and NotFoundException.

use lanyard_iam::shown;
use lanyard_proto::{credentials::v1 as credentials, mapping::v1 as mapping};
use serde::Deserialize;

use crate::{
    aws_wire::{
        AwsError,
        input::{Asked, Input},
        json::Texts,
    },
    tags::{TaggedArn, TaggedPart},
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Tag {
    tags: Option<Texts>,
}

pub(super) fn tag(input: &Input<'_>) -> Result<Asked, AwsError> {
    let body: Tag = input.json()?;
    let Texts(tags) = body.tags.unwrap_or_default();
    if tags.is_empty() {
        return Err(bad("tags: at least one has to be given"));
    }
    let resource_arn = input.label("resourceArn").to_owned();
    Ok(if is_of_credentials(input)? {
        input.asks(&credentials::TagResourceRequest { mutation: None, resource_arn, tags })
    } else {
        input.asks(&mapping::TagResourceRequest { mutation: None, resource_arn, tags })
    })
}

pub(super) fn untag(input: &Input<'_>) -> Result<Asked, AwsError> {
    let tag_keys: Vec<String> = input.parameters("tagKeys").map(str::to_owned).collect();
    if tag_keys.is_empty() {
        return Err(bad("tagKeys: at least one has to be given"));
    }
    let resource_arn = input.label("resourceArn").to_owned();
    Ok(if is_of_credentials(input)? {
        input.asks(&credentials::UntagResourceRequest { mutation: None, resource_arn, tag_keys })
    } else {
        input.asks(&mapping::UntagResourceRequest { mutation: None, resource_arn, tag_keys })
    })
}

pub(super) fn list(input: &Input<'_>) -> Result<Asked, AwsError> {
    let resource_arn = input.label("resourceArn").to_owned();
    Ok(if is_of_credentials(input)? {
        input.asks(&credentials::ListTagsForResourceRequest { resource_arn })
    } else {
        input.asks(&mapping::ListTagsForResourceRequest { resource_arn })
    })
}

/// Which of the two services keeps what the ARN names. That is of the region that the call is signed for: policies weigh
/// `aws:RequestedRegion`, and an ARN is no way around them.
fn is_of_credentials(input: &Input<'_>) -> Result<bool, AwsError> {
    let arn: Result<TaggedArn, _> = input.label("resourceArn").parse();
    let arn = arn.map_err(|error| bad(&format!("resourceArn: {error}")))?;
    let (its, signed) = (&arn.cluster.region, input.region());
    if its != signed {
        return Err(bad(&format!(
            "resourceArn: it is in region `{}` and the call is signed for `{}`: sign it for the region of the ARN",
            shown(its),
            shown(signed)
        )));
    }
    Ok(matches!(arn.part, TaggedPart::PodIdentityAssociation(_)))
}

fn bad(message: &str) -> AwsError {
    AwsError::new("BadRequestException", 400, message)
}
