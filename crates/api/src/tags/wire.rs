//! [`Tags`] over gRPC: each service that keeps something with tags has methods of its own, with the same messages.

use std::collections::BTreeMap;

use lanyard_proto::{
    call::v1 as call,
    credentials::v1::{self as credentials, tags_server as of_credentials_server},
    mapping::v1::{self as mapping, tags_server as of_mapping_server},
};

use super::{TagEdit, TaggedArn, TaggedPart, Tags};
use crate::{
    fault::CallError,
    grpc::{
        Remote, Wire, call, field,
        mutation::{join, split},
        serve,
    },
    identity::{Actor, Vouched},
    mutation::{Mutated, Mutation},
};

type TagMap = BTreeMap<String, String>;

/// All tags of a resource, as a service lists them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedTags(pub TagMap);

impl TryFrom<call::Tags> for ListedTags {
    type Error = CallError;

    fn try_from(answer: call::Tags) -> Result<Self, CallError> {
        Ok(Self(answer.tags))
    }
}

serve! {
    /// Serves [`Tags`] of what mapping keeps.
    pub fn of_mapping = Tags as of_mapping_server::Tags in TagsServer;
    mutation tag_resource(mapping::TagResourceRequest) -> mapping::TagsMutated
        = |engine, by, m| engine.edit_tags(by, arn(&m.resource_arn)?, TagEdit::Put(m.tags)).await?.into();
    mutation untag_resource(mapping::UntagResourceRequest) -> mapping::TagsMutated
        = |engine, by, m| engine.edit_tags(by, arn(&m.resource_arn)?, TagEdit::Remove(m.tag_keys)).await?.into();
    actor list_tags_for_resource(mapping::ListTagsForResourceRequest) -> call::Tags
        = |engine, by, m| call::Tags { tags: engine.list_tags(by, arn(&m.resource_arn)?).await? };
}

serve! {
    /// Serves [`Tags`] of what credentials keeps.
    pub fn of_credentials = Tags as of_credentials_server::Tags in TagsServer;
    mutation tag_resource(credentials::TagResourceRequest) -> credentials::TagsMutated
        = |engine, by, m| engine.edit_tags(by, arn(&m.resource_arn)?, TagEdit::Put(m.tags)).await?.into();
    mutation untag_resource(credentials::UntagResourceRequest) -> credentials::TagsMutated
        = |engine, by, m| engine.edit_tags(by, arn(&m.resource_arn)?, TagEdit::Remove(m.tag_keys)).await?.into();
    actor list_tags_for_resource(credentials::ListTagsForResourceRequest) -> call::Tags
        = |engine, by, m| call::Tags { tags: engine.list_tags(by, arn(&m.resource_arn)?).await? };
}

fn arn(text: &str) -> Result<TaggedArn, CallError> {
    field::parse("resource_arn", text)
}

/// Asks the service that keeps what the ARN names.
impl<C: Wire> Tags for Remote<C> {
    async fn edit_tags(
        &self,
        by: Mutation,
        arn: TaggedArn,
        edit: TagEdit,
    ) -> Result<Mutated<TagMap>, CallError> {
        match (&arn.part, edit) {
            (TaggedPart::PodIdentityAssociation(_), edit) => at_credentials::edit(self, by, &arn, edit).await,
            (_, edit) => at_mapping::edit(self, by, &arn, edit).await,
        }
    }

    async fn list_tags(&self, by: Vouched<Actor>, arn: TaggedArn) -> Result<TagMap, CallError> {
        let tags = match &arn.part {
            TaggedPart::PodIdentityAssociation(_) => at_credentials::list(self, by, &arn).await?,
            _ => at_mapping::list(self, by, &arn).await?,
        };
        Ok(tags.tags)
    }
}

/// The conversions and calls of one service.
macro_rules! tags_of {
    ($module:ident = $pb:ident) => {
        impl From<Mutated<TagMap>> for $pb::TagsMutated {
            fn from(answer: Mutated<TagMap>) -> Self {
                let (tags, mutated) = split(answer);
                Self { tags: Some(call::Tags { tags }), mutated }
            }
        }

        impl TryFrom<$pb::TagsMutated> for Mutated<TagMap> {
            type Error = CallError;

            fn try_from(answer: $pb::TagsMutated) -> Result<Self, CallError> {
                join(field::required("tags", answer.tags)?.tags, answer.mutated)
            }
        }

        mod $module {
            use super::*;
            use $pb::tags_client::TagsClient;

            pub(super) async fn edit<C: Wire>(
                remote: &Remote<C>,
                by: Mutation,
                arn: &TaggedArn,
                edit: TagEdit,
            ) -> Result<Mutated<TagMap>, CallError> {
                let resource_arn = arn.to_string();
                match edit {
                    TagEdit::Put(tags) => {
                        let message = $pb::TagResourceRequest { mutation: None, resource_arn, tags };
                        call!(remote.TagsClient::tag_resource(remote.mutation(by, message)))
                    }
                    TagEdit::Remove(tag_keys) => {
                        let message = $pb::UntagResourceRequest { mutation: None, resource_arn, tag_keys };
                        call!(remote.TagsClient::untag_resource(remote.mutation(by, message)))
                    }
                }
            }

            pub(super) async fn list<C: Wire>(
                remote: &Remote<C>,
                by: Vouched<Actor>,
                arn: &TaggedArn,
            ) -> Result<call::Tags, CallError> {
                let message = $pb::ListTagsForResourceRequest { resource_arn: arn.to_string() };
                Ok(call!(raw remote.TagsClient::list_tags_for_resource(remote.actor(by, message))))
            }
        }
    };
}

tags_of!(at_mapping = mapping);
tags_of!(at_credentials = credentials);
