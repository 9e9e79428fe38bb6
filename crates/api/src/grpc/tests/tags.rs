use std::collections::BTreeMap;

use super::{samples::*, *};
use crate::{
    CallError,
    tags::{TagEdit, TaggedArn, Tags},
};

fake! { Tags {
    change edit_tags(arn: TaggedArn, edit: TagEdit) -> Mutated<BTreeMap<String, String>>, CallError = mutated(tags(&["team"]));
    ask list_tags(arn: TaggedArn) -> BTreeMap<String, String>, CallError = tags(&["team", "stage"]);
} }

async fn tag_calls<T: Tags>(to: &T) -> Vec<String> {
    let arn = |resource: &str| -> TaggedArn {
        format!("arn:aws:eks:eu-central-1:111122223333:{resource}").parse().unwrap()
    };
    let (cluster, association) =
        (|| arn("cluster/dev"), || arn("podidentityassociation/dev/a-0123456789abcdefg"));
    answers![
        to.edit_tags(change(), cluster(), TagEdit::Put(tags(&["team"]))),
        to.edit_tags(silent_change(), cluster(), TagEdit::Remove(vec![text("team")])),
        to.edit_tags(change(), association(), TagEdit::Put(tags(&["team"]))),
        to.edit_tags(change(), association(), TagEdit::Remove(vec![text("team"), text("stage")])),
        to.list_tags(actor(), cluster()),
        to.list_tags(actor(), association()),
    ]
}

#[tokio::test]
async fn tags_are_the_same_over_grpc() {
    same_over_grpc!(tag_calls);
}
