//! IAM.

pub(super) mod instance_profiles;
pub(super) mod oidc_providers;
pub(super) mod policies;
pub(super) mod roles;
pub(super) mod users;

use std::collections::BTreeMap;

use lanyard_api::{ActorKind, CallError, Fault};
use lanyard_iam::Partition;

use super::Call;
use crate::answer::{Answer, Members, Node};

type Answered = Result<Answer, CallError>;

/// The partition that names in answers are of: the caller's.
fn partition<B>(call: &Call<'_, B>) -> Result<Partition, CallError> {
    match &call.admitted.actor.value.kind {
        ActorKind::Principal { arn, .. } => Ok(arn.partition),
        ActorKind::Spoke { .. } | ActorKind::Node { .. } | ActorKind::System { .. } => {
            Err(Fault::Internal.into())
        }
    }
}

/// What answers nothing.
fn done() -> Answer {
    Answer::Query(Vec::new())
}

fn text(value: &str) -> Node {
    Node::Text(value.to_owned())
}

/// A list that is whole, as lists are that never have a second page.
fn whole(name: &'static str, items: Vec<Node>) -> Answer {
    Answer::Query(vec![(name, Node::List(items)), ("IsTruncated", Node::Flag(false))])
}

/// A page of a list.
fn page(name: &'static str, items: Vec<Node>, next: Option<String>) -> Answer {
    let mut members: Members = vec![(name, Node::List(items)), ("IsTruncated", Node::Flag(next.is_some()))];
    members.extend(next.map(|marker| ("Marker", Node::Text(marker))));
    Answer::Query(members)
}

fn tags(tags: &BTreeMap<String, String>) -> Node {
    let tag =
        |(key, value): (&String, &String)| Node::Members(vec![("Key", text(key)), ("Value", text(value))]);
    Node::List(tags.iter().map(tag).collect())
}

/// IAM writes documents percent-encoded (RFC 3986), whatever the protocol does with the rest.
fn document(json: &str) -> Node {
    Node::Text(lanyard_iam::sigv4::percent_encoded(json))
}
