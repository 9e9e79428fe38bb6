//! From JSON to statements.

use super::POLICY_STATEMENTS_MAX;
use super::condition::Condition;
use super::err::{PolicyError, PolicyFault};
use super::json::{At, Json, Size, read};
use super::principal::PrincipalElement;
use super::statement::{ActionElement, Effect, ResourceElement, Statement};
use super::template::ArnTemplate;

/// The kinds of documents, which differ in their elements.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// About its holder: no principals.
    Identity,
    /// About its own role: principals, no resources.
    Trust,
}

/// Reads a document that is at most so large.
pub(super) fn statements(text: &str, kind: Kind, size: Size) -> Result<Vec<Statement>, PolicyError> {
    let json = read(text, size)?;
    let root = At::root(&json);
    let (mut version, mut list) = (None, None);
    for (name, value) in root.members()? {
        match name {
            "Version" => version = Some(value),
            "Id" => {
                value.text()?;
            }
            "Statement" => list = Some(value),
            _ => return Err(root.fail(PolicyFault::UnknownElement(name.to_owned()))),
        }
    }
    // Without a version IAM takes the first one, in which variables are text.
    let variables = match &version {
        None => false,
        Some(value) => match value.text()? {
            "2012-10-17" => true,
            "2008-10-17" => false,
            other => return Err(value.fail(PolicyFault::Version(other.to_owned()))),
        },
    };
    let list = list.ok_or_else(|| root.fail(PolicyFault::Missing("Statement")))?;
    let items = list.items()?;
    if items.len() > POLICY_STATEMENTS_MAX {
        return Err(list.fail(PolicyFault::TooManyStatements));
    }
    let mut statements: Vec<Statement> = Vec::with_capacity(items.len());
    for item in &items {
        let statement = statement(item, kind, variables)?;
        if let Some(sid) = &statement.sid
            && statements.iter().any(|seen| seen.sid.as_ref() == Some(sid))
        {
            return Err(item.fail(PolicyFault::Duplicate(format!("Sid {sid}"))));
        }
        statements.push(statement);
    }
    Ok(statements)
}

/// The elements of a statement as they stand.
#[derive(Default)]
struct Elements<'a> {
    sid: Option<At<'a>>,
    effect: Option<At<'a>>,
    action: Option<At<'a>>,
    not_action: Option<At<'a>>,
    resource: Option<At<'a>>,
    not_resource: Option<At<'a>>,
    principal: Option<At<'a>>,
    not_principal: Option<At<'a>>,
    condition: Option<At<'a>>,
}

impl<'a> Elements<'a> {
    fn of(at: &At<'a>, kind: Kind) -> Result<Self, PolicyError> {
        let mut elements = Self::default();
        for (name, value) in at.members()? {
            let slot = match name {
                "Sid" => &mut elements.sid,
                "Effect" => &mut elements.effect,
                "Action" => &mut elements.action,
                "NotAction" => &mut elements.not_action,
                "Resource" if kind == Kind::Identity => &mut elements.resource,
                "NotResource" if kind == Kind::Identity => &mut elements.not_resource,
                "Principal" if kind == Kind::Trust => &mut elements.principal,
                "NotPrincipal" if kind == Kind::Trust => &mut elements.not_principal,
                "Condition" => &mut elements.condition,
                "Resource" => return Err(value.fail(not_here("Resource", "a trust policy"))),
                "NotResource" => return Err(value.fail(not_here("NotResource", "a trust policy"))),
                "Principal" => return Err(value.fail(not_here("Principal", "an identity or session policy"))),
                "NotPrincipal" => {
                    return Err(value.fail(not_here("NotPrincipal", "an identity or session policy")));
                }
                _ => return Err(at.fail(PolicyFault::UnknownElement(name.to_owned()))),
            };
            *slot = Some(value);
        }
        Ok(elements)
    }
}

fn not_here(element: &'static str, document: &'static str) -> PolicyFault {
    PolicyFault::NotHere { element, document }
}

fn statement(at: &At<'_>, kind: Kind, variables: bool) -> Result<Statement, PolicyError> {
    let elements = Elements::of(at, kind)?;
    let missing = |name| at.fail(PolicyFault::Missing(name));
    let effect = elements.effect.ok_or_else(|| missing("Effect"))?;
    let (actions, action_negated) =
        one_of(at, ("Action", elements.action), ("NotAction", elements.not_action))?
            .ok_or_else(|| missing("Action"))?;
    let actions =
        ActionElement { negated: action_negated, patterns: each_text(&actions, ActionElement::pattern)? };
    let resources = one_of(at, ("Resource", elements.resource), ("NotResource", elements.not_resource))?;
    let resources = match resources {
        Some((resources, negated)) => Some(ResourceElement {
            negated,
            patterns: each_text(&resources, |text| {
                ArnTemplate::parse(text, variables)?.ok_or_else(|| PolicyFault::Resource(text.to_owned()))
            })?,
        }),
        None if kind == Kind::Identity => return Err(missing("Resource")),
        None => None,
    };
    let effect = self::effect(&effect)?;
    let principals =
        match one_of(at, ("Principal", elements.principal), ("NotPrincipal", elements.not_principal))? {
            // IAM takes it with Deny alone: an allow would be for everybody who is not thought of.
            Some((principal, true)) if effect == Effect::Allow => {
                return Err(principal.fail(not_here("NotPrincipal", "a statement that allows")));
            }
            Some((principal, negated)) => Some(PrincipalElement::parse(&principal, negated)?),
            None if kind == Kind::Trust => return Err(missing("Principal")),
            None => None,
        };
    Ok(Statement {
        sid: elements.sid.map(|sid| self::sid(&sid)).transpose()?.flatten(),
        effect,
        actions,
        resources,
        principals,
        conditions: elements
            .condition
            .map_or(Ok(Vec::new()), |condition| conditions(&condition, variables))?,
    })
}

fn effect(at: &At<'_>) -> Result<Effect, PolicyError> {
    match at.text()? {
        "Allow" => Ok(Effect::Allow),
        "Deny" => Ok(Effect::Deny),
        other => Err(at.fail(PolicyFault::Effect(other.to_owned()))),
    }
}

/// At most one of an element and its negation; which, and whether it is the negation.
fn one_of<'a>(
    at: &At<'_>,
    (name, plain): (&'static str, Option<At<'a>>),
    (negation, negated): (&'static str, Option<At<'a>>),
) -> Result<Option<(At<'a>, bool)>, PolicyError> {
    match (plain, negated) {
        (Some(_), Some(_)) => Err(at.fail(PolicyFault::Both(name, negation))),
        (Some(value), None) => Ok(Some((value, false))),
        (None, Some(value)) => Ok(Some((value, true))),
        (None, None) => Ok(None),
    }
}

/// One string or many, each read.
fn each_text<T>(at: &At<'_>, parse: impl Fn(&str) -> Result<T, PolicyFault>) -> Result<Vec<T>, PolicyError> {
    at.items()?.iter().map(|item| parse(item.text()?).map_err(|fault| item.fail(fault))).collect()
}

fn sid(at: &At<'_>) -> Result<Option<Box<str>>, PolicyError> {
    let text = at.text()?;
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(at.fail(PolicyFault::Sid(text.to_owned())));
    }
    Ok((!text.is_empty()).then(|| text.into()))
}

/// `{operator: {key: value or values}}`.
fn conditions(at: &At<'_>, variables: bool) -> Result<Vec<Condition>, PolicyError> {
    let mut conditions = Vec::new();
    for (operator, keys) in at.members()? {
        if !matches!(keys.json, Json::Object(members) if !members.is_empty()) {
            return Err(keys.fail(PolicyFault::Expected("an object with a condition key")));
        }
        for (key, values) in keys.members()? {
            let items = values.items()?;
            let texts = items.iter().map(At::scalar).collect::<Result<Vec<&str>, _>>()?;
            let condition =
                Condition::parse(operator, key, &texts, variables).map_err(|fault| values.fail(fault))?;
            conditions.push(condition);
        }
    }
    Ok(conditions)
}
