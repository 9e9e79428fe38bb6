//! One statement of a policy.

use super::condition::Condition;
use super::context::{ConditionKeys, RequestContext};
use super::err::PolicyFault;
use super::principal::PrincipalElement;
use super::template::{ArnTemplate, Unresolved};
use crate::arn::{Token, tokens_match};

/// Longest action pattern, in bytes.
const ACTION_BYTES_MAX: usize = 128;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Allow,
    Deny,
}

#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) sid: Option<Box<str>>,
    pub(super) effect: Effect,
    pub(super) actions: ActionElement,
    /// None in a trust policy: it is about its own role.
    pub(super) resources: Option<ResourceElement>,
    /// None in an identity policy: it is about its holder.
    pub(super) principals: Option<PrincipalElement>,
    pub(super) conditions: Vec<Condition>,
}

/// How far a statement fits a request.
pub(super) enum Fit<'a> {
    Whole,
    OtherAction,
    OtherResource,
    Condition(&'a Condition),
}

impl Statement {
    /// Judges all but the principal.
    pub(super) fn fit(&self, request: &RequestContext<'_>) -> Fit<'_> {
        if !self.actions.fits(request.action) {
            return Fit::OtherAction;
        }
        if let Some(resources) = &self.resources
            && !resources.fits(request.resource, request.keys, self.effect)
        {
            return Fit::OtherResource;
        }
        match self.conditions.iter().find(|condition| !condition.holds(request.keys, self.effect)) {
            Some(condition) => Fit::Condition(condition),
            None => Fit::Whole,
        }
    }
}

/// `Action` or `NotAction`.
#[derive(Clone, Debug)]
pub(super) struct ActionElement {
    pub(super) negated: bool,
    /// In lower case.
    pub(super) patterns: Vec<Box<str>>,
}

impl ActionElement {
    /// Reads a pattern over actions: `*`, or `service:` and a name with wildcards.
    pub(super) fn pattern(text: &str) -> Result<Box<str>, PolicyFault> {
        let is_service = |service: &str| {
            !service.is_empty() && service.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        let is_name = |name: &str| {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'*' || byte == b'?')
        };
        let fits = text.len() <= ACTION_BYTES_MAX
            && (text == "*"
                || text.split_once(':').is_some_and(|(service, name)| is_service(service) && is_name(name)));
        if fits { Ok(text.to_ascii_lowercase().into()) } else { Err(PolicyFault::Action(text.to_owned())) }
    }

    pub(super) fn fits(&self, action: &str) -> bool {
        let named = self.patterns.iter().any(|pattern| {
            tokens_match(
                pattern.chars().map(Token::of),
                action.chars().map(|character| character.to_ascii_lowercase()),
            )
        });
        named != self.negated
    }
}

/// `Resource` or `NotResource`.
#[derive(Clone, Debug)]
pub(super) struct ResourceElement {
    pub(super) negated: bool,
    pub(super) patterns: Vec<ArnTemplate>,
}

impl ResourceElement {
    fn fits(&self, resource: &str, keys: &ConditionKeys, effect: Effect) -> bool {
        let mut open = false;
        for pattern in &self.patterns {
            match pattern.matches(resource, keys) {
                Ok(true) => return !self.negated,
                Ok(false) => {}
                Err(Unresolved) => open = true,
            }
        }
        // Nothing named it. What a variable without value would have excepted is not known: an allow stays out of it.
        self.negated && (!open || effect == Effect::Deny)
    }
}
