//! IAM.

pub(super) mod instance_profiles;
pub(super) mod oidc_providers;
pub(super) mod policies;
pub(super) mod roles;
pub(super) mod users;

use std::collections::BTreeMap;

use lanyard_api::{ActorKind, CallError, Fault, Page};
use lanyard_iam::Partition;

use super::Call;
use crate::{
    answer::{Answer, Members, Node},
    backend::Backend,
};

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

/// A page of a list.
fn page(name: &'static str, items: Vec<Node>, next: Option<String>) -> Answer {
    let mut members: Members = vec![(name, Node::List(items)), ("IsTruncated", Node::Flag(next.is_some()))];
    members.extend(next.map(|marker| ("Marker", Node::Text(marker))));
    Answer::Query(members)
}

/// The page that is asked for of a list that its service answers whole, in the order of its keys.
fn cut<B, T>(
    call: &Call<'_, B>,
    name: &'static str,
    items: impl Iterator<Item = T>,
    key: impl Fn(&T) -> String,
    shape: impl Fn(T) -> Node,
) -> Answered
where
    B: Backend,
{
    let Page { items, next_token } = call.cut(items, key)?;
    Ok(page(name, items.into_iter().map(shape).collect(), next_token))
}

/// A list of which a hub has nothing.
fn empty<B: Backend>(call: &Call<'_, B>, name: &'static str) -> Answered {
    cut(call, name, std::iter::empty::<Node>(), |_| String::new(), |node| node)
}

fn tags(tags: &BTreeMap<String, String>) -> Node {
    Node::List(tags.iter().map(tag).collect())
}

fn tag((key, value): (&String, &String)) -> Node {
    Node::Members(vec![("Key", text(key)), ("Value", text(value))])
}

/// A page of somebody's or something's tags.
fn tag_page<B: Backend>(call: &Call<'_, B>, tags: &BTreeMap<String, String>) -> Answered {
    cut(call, "Tags", tags.iter(), |(key, _)| (*key).clone(), tag)
}

/// IAM writes documents percent-encoded (RFC 3986), whatever the protocol does with the rest.
fn document(json: &str) -> Node {
    Node::Text(lanyard_iam::sigv4::percent_encoded(json))
}
