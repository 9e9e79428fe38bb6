//! The hub's own question: by which policies the caller is weighed. It is asked at the STS in effect, which is all that a pod behind a
//! node's agent reaches, and nobody needs a permission for it.

use lanyard_iam::shown;
use lanyard_kit::http_client::Answer;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::statements::{Statement, statements};
use crate::failure::Failure;

/// What is asked: an operation of Lanyard's own.
pub(super) const QUESTION: &str = "Action=GetCallerPolicies&Version=2011-06-15";
/// Most statements that people are shown of all policies together; JSON and YAML have each.
const LINES_MAX: usize = 40;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    /// The policies.
    Policies(CallerPolicies),
    /// The hub is of a version that does not know the question.
    Unknown,
    /// A policy of theirs denies it, in the hub's words.
    Denied(String),
    /// There is no answer, and why.
    NoAnswer(String),
}

/// What calls of the caller are weighed by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CallerPolicies {
    /// `user`, `role` or `principal`.
    pub(super) owner_kind: String,
    /// The name, or the ARN of a principal.
    pub(super) owner: String,
    pub(super) policies: Vec<Policy>,
    /// What narrows the session.
    pub(super) session_policy: Option<SessionDocument>,
}

/// An inline policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Policy {
    pub(super) name: String,
    /// What it says; none where this program cannot read it.
    statements: Option<Vec<Statement>>,
}

/// The policy of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct SessionDocument {
    /// What it says; none where this program cannot read it.
    statements: Option<Vec<Statement>>,
    /// The JSON.
    document: String,
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "GetCallerPoliciesResponse")]
    response: Response,
}

#[derive(Deserialize)]
struct Response {
    #[serde(rename = "GetCallerPoliciesResult")]
    result: Listed,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    owner_kind: String,
    owner_name: String,
    policies: Vec<Member>,
    session_policy: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Member {
    policy_name: String,
    policy_document: String,
}

/// Reads what the STS says.
pub(super) fn read(answer: Result<Answer, Failure>) -> Told {
    let answer = match answer {
        Ok(answer) => answer,
        Err(failure) => return Told::NoAnswer(failure.to_string()),
    };
    if answer.status.is_success() {
        return match serde_json::from_slice::<Envelope>(&answer.body) {
            Ok(envelope) => Told::Policies(envelope.response.result.into()),
            Err(_) => Told::NoAnswer("the answer is no list of policies".to_owned()),
        };
    }
    let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let part =
        |name: &str| said.pointer(&format!("/Error/{name}")).and_then(Value::as_str).unwrap_or_default();
    match (part("Code"), part("Message")) {
        ("InvalidAction", _) => Told::Unknown,
        ("AccessDenied", message) => Told::Denied(message.to_owned()),
        ("", _) => Told::NoAnswer(format!("status {}", answer.status.as_u16())),
        (code, message) => Told::NoAnswer(format!("{code}: {message}")),
    }
}

impl From<Listed> for CallerPolicies {
    fn from(listed: Listed) -> Self {
        let policy = |Member { policy_name, policy_document }| Policy {
            statements: statements(&policy_document),
            name: policy_name,
        };
        let session = |document: String| SessionDocument { statements: statements(&document), document };
        Self {
            owner_kind: listed.owner_kind,
            owner: listed.owner_name,
            policies: listed.policies.into_iter().map(policy).collect(),
            session_policy: listed.session_policy.map(session),
        }
    }
}

impl CallerPolicies {
    /// In words.
    pub(super) fn explained(&self) -> String {
        let whose = format!("{} `{}`", shown(&self.owner_kind), shown(&self.owner));
        let names: Vec<String> =
            self.policies.iter().map(|policy| format!("`{}`", shown(&policy.name))).collect();
        match names.as_slice() {
            [] => format!(
                "{whose} has no inline policy, so that at this hub they may do nothing that has to be allowed"
            ),
            names => {
                format!(
                    "what they may do at this hub: the inline policies of {whose} say, {}",
                    names.join(", ")
                )
            }
        }
    }
}

/// A line for each statement of some policies.
pub(super) fn lines(policies: &[Policy]) -> Vec<String> {
    let all =
        policies.iter().map(|policy| (format!("`{}`", shown(&policy.name)), policy.statements.as_deref()));
    bounded(all)
}

impl SessionDocument {
    /// A line for each of its statements, with what comes before them.
    pub(super) fn lines(&self) -> Vec<String> {
        let first = "a session policy narrows that: both have to allow a call, and either can deny it";
        let of_it = bounded(std::iter::once(("the session policy".to_owned(), self.statements.as_deref())));
        std::iter::once(first.to_owned()).chain(of_it).collect()
    }
}

fn bounded<'a>(policies: impl Iterator<Item = (String, Option<&'a [Statement]>)>) -> Vec<String> {
    let mut lines: Vec<String> = policies
        .flat_map(|(name, statements)| match statements {
            None => vec![format!("{name} is no document that this program reads")],
            Some(statements) => statements.iter().map(|statement| statement.line(&name)).collect(),
        })
        .collect();
    let more = lines.len().saturating_sub(LINES_MAX);
    if more > 0 {
        lines.truncate(LINES_MAX);
        lines.push(format!("and {more} more statements: `--output json` has each"));
    }
    lines
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    /// What a hub answers.
    pub(in super::super) fn answered(status: u16, body: &Value) -> Result<Answer, Failure> {
        let status = http::StatusCode::from_u16(status).unwrap();
        Ok(Answer { status, headers: http::HeaderMap::new(), body: body.to_string().into() })
    }

    fn told(result: &Value) -> Value {
        json!({ "GetCallerPoliciesResponse": { "GetCallerPoliciesResult": result, "ResponseMetadata": {} } })
    }

    fn document(actions: usize) -> String {
        let statement = json!({ "Effect": "Allow", "Action": "eks:ListClusters", "Resource": "*" });
        json!({ "Version": "2012-10-17", "Statement": vec![statement; actions] }).to_string()
    }

    pub(in super::super) fn of_role(policies: &[(&str, String)], session: Option<&str>) -> Value {
        let policy =
            |(name, document): &(&str, String)| json!({ "PolicyName": name, "PolicyDocument": document });
        let policies: Vec<Value> = policies.iter().map(policy).collect();
        let mut result = json!({ "OwnerKind": "role", "OwnerName": "dev", "Policies": policies });
        if let (Some(session), Some(members)) = (session, result.as_object_mut()) {
            members.insert("SessionPolicy".to_owned(), json!(session));
        }
        told(&result)
    }

    #[test]
    fn the_policies_are_told_from_a_hub_that_knows_no_such_question_from_a_refusal_and_from_no_answer() {
        let error = |code: &str, message: &str| json!({ "Error": { "Code": code, "Message": message } });
        let no_answer = |why: &str| Told::NoAnswer(why.to_owned());
        let cases = [
            (400, error("InvalidAction", "Could not find operation"), Told::Unknown),
            (403, error("AccessDenied", "explicit deny"), Told::Denied("explicit deny".to_owned())),
            (400, error("Throttling", "later"), no_answer("Throttling: later")),
            (503, json!("none"), no_answer("status 503")),
            (200, json!({}), no_answer("the answer is no list of policies")),
            (200, told(&json!({ "OwnerKind": "user" })), no_answer("the answer is no list of policies")),
        ];
        for (status, body, expected) in cases {
            assert_eq!(read(answered(status, &body)), expected, "{body}");
        }
        assert_eq!(read(Err(Failure::NoAnswer("away".to_owned()))), no_answer("away"));
        let body = of_role(&[("a", document(1)), ("b", "{".to_owned())], Some(&document(2)));
        let Told::Policies(found) = read(answered(200, &body)) else { panic!() };
        assert_eq!((found.owner_kind.as_str(), found.owner.as_str()), ("role", "dev"));
        let named: Vec<(&str, Option<usize>)> = found
            .policies
            .iter()
            .map(|policy| (policy.name.as_str(), policy.statements.as_ref().map(Vec::len)))
            .collect();
        assert_eq!(named, [("a", Some(1)), ("b", None)]);
        assert_eq!(
            lines(&found.policies),
            ["`a` allows eks:ListClusters on *", "`b` is no document that this program reads"]
        );
        assert!(found.explained().ends_with("the inline policies of role `dev` say, `a`, `b`"));
        let session = found.session_policy.unwrap().lines();
        assert!(session.len() == 3 && session[0].contains("both have to allow a call"), "{session:?}");
        assert_eq!(session[2], "the session policy allows eks:ListClusters on *");
    }

    #[test]
    fn who_has_no_policy_is_told_so() {
        let Told::Policies(none) = read(answered(200, &of_role(&[], None))) else { panic!() };
        assert!(none.explained().contains("they may do nothing") && none.session_policy.is_none());
    }

    #[test]
    fn of_many_statements_people_are_shown_some_and_told_how_many_more() {
        let body = of_role(&[("a", document(30)), ("b", document(30))], None);
        let Told::Policies(found) = read(answered(200, &body)) else { panic!() };
        let lines = lines(&found.policies);
        assert_eq!(lines.len(), LINES_MAX + 1);
        assert!(lines[LINES_MAX].starts_with("and 20 more statements"), "{lines:?}");
    }
}
