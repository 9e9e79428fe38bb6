//! Which policies say what the caller may do at a hub, with what these say. The hub itself is asked that, and where it does not tell, its
//! IAM for their names, as far as that lets the caller ask.

use lanyard_api::{
    CallError,
    authn::{Accounts as _, accounts::PolicyOwner},
    grpc::admitted_at_the_door,
};
use lanyard_iam::{CallerIdentity, Credentials, PrincipalKind, Region, shown_within};
use lanyard_kit::http_client::Answer;
use serde::Serialize;
use serde_json::Value;
use url::form_urlencoded::Serializer;

use super::{
    caller_policies::{self, CallerPolicies, Policy, SessionDocument, Told},
    identity::{self, Endpoint, Question},
    sources::Source,
};
use crate::{
    failure::Failure,
    hub::{Hub, HubArgs},
};

/// As many names as IAM gives in one answer; nobody has so many.
const NAMES_MAX: &str = "1000";
/// What Admit holds a user's own session to, whatever policies say (AWS STS `GetSessionToken`, without MFA).
const USERS_SESSION: &str = "a user's own session may do nothing in IAM, and in STS assume roles alone, whatever policies say: sign with the \
                             user's key for that";
/// Most characters of a refusal's words: it has the ARNs of who asks and of what, and the statement.
const WORDS_MAX: usize = 1_000;
/// What authn says of principals whom another authority keeps, which a hub's IAM has no operation for.
const KEPT_ELSEWHERE: &str = "are kept by authority";

/// What came of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Outcome {
    /// The hub has told the names.
    Listed,
    /// The caller may not ask.
    NotAllowed,
    /// The hub's IAM does not keep the caller: they were exchanged for a session of it, and nobody here says where the hub itself is.
    Exchanged,
    /// There is no answer.
    NoAnswer,
    /// Nobody was asked: nothing says where the hub's IAM is.
    NotAsked,
}

/// What may narrow a session further, which stands in its sealed token alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum SessionPolicy {
    /// Nothing does: the hub says so, or it is no session, or one that these tools ask for without a policy.
    None,
    /// That of the pod's association, if it has one.
    Associations,
    /// Whoever made the session knows.
    Unknown,
    /// This.
    #[serde(untagged)]
    Document(SessionDocument),
}

/// What is known of what they may do at the hub.
#[derive(Debug, Serialize)]
pub(super) struct Permissions {
    /// Whose inline policies say it: `user`, `role` or `principal`,
    owner_kind: String,
    /// and the name, or the ARN of a principal.
    owner: String,
    outcome: Outcome,
    /// The names of the policies, where they were told.
    policies: Vec<String>,
    /// The same with what they say, where the hub itself has told them.
    documents: Vec<Policy>,
    session_policy: SessionPolicy,
    /// Whether it is a user's own session, which has no part in some of what its user may do.
    is_users_session: bool,
    /// The same in words, with the next step.
    explained: String,
    /// Why the hub itself tells nothing of it, where that is so.
    not_told: Option<String>,
}

impl From<CallerPolicies> for Permissions {
    fn from(found: CallerPolicies) -> Self {
        let explained = found.explained();
        let CallerPolicies { owner_kind, owner, policies, session_policy } = found;
        Self {
            owner_kind,
            owner,
            outcome: Outcome::Listed,
            policies: policies.iter().map(|policy| policy.name.clone()).collect(),
            documents: policies,
            session_policy: session_policy.map_or(SessionPolicy::None, SessionPolicy::Document),
            is_users_session: false,
            explained,
            not_told: None,
        }
    }
}

impl Permissions {
    /// Whether they are known to be a user of the hub's own.
    fn is_of_user(&self) -> bool {
        self.owner_kind == PolicyOwner::User(String::new()).kind() && self.outcome == Outcome::Listed
    }

    /// For people.
    pub(super) fn notes(&self) -> Vec<String> {
        let narrowing = match &self.session_policy {
            SessionPolicy::None => Vec::new(),
            SessionPolicy::Associations => vec![
                "the session policy of the pod's association narrows that, if it has one (`lanyard association list CLUSTER`)"
                    .to_owned(),
            ],
            SessionPolicy::Unknown => vec![
                "whether a session policy narrows that stands in the session's sealed token: whoever made the session knows"
                    .to_owned(),
            ],
            SessionPolicy::Document(document) => document.lines(),
        };
        let mut notes = vec![self.explained.clone()];
        notes.extend(caller_policies::lines(&self.documents));
        notes.extend(narrowing);
        if self.is_users_session {
            notes.push(USERS_SESSION.to_owned());
        }
        notes.extend(self.not_told.clone());
        notes
    }
}

/// Who asks, and where.
pub(super) struct Asking<'a> {
    pub(super) source: Source,
    pub(super) caller: &'a CallerIdentity,
    pub(super) by: &'a Credentials,
    pub(super) region: &'a Region,
    /// The STS that has said who they are.
    pub(super) sts: &'a Endpoint,
    /// The hub's IAM, if something says where it is.
    pub(super) iam: Option<&'a Endpoint>,
    /// How the hub itself is found, for who is not of its IAM.
    pub(super) hub: &'a HubArgs,
}

impl Asking<'_> {
    /// What the caller may do: the hub itself is asked first, and where it does not tell, its IAM. That there is no answer is an answer
    /// here: who they are is known all the same.
    pub(super) async fn ask(&self) -> Option<Permissions> {
        let question = Question { service: "sts", form: caller_policies::QUESTION };
        let answer = identity::answer(self.sts, self.by, self.region, &question).await;
        let found = match of_hub(caller_policies::read(answer)) {
            Ok(found) => Some(found),
            Err(why) => self.ask_iam().await.map(|found| Permissions { not_told: Some(why), ..found }),
        };
        found.map(|found| Permissions {
            is_users_session: found.is_of_user() && self.by.session_token.is_some(),
            ..found
        })
    }

    /// The same of the hub's IAM; nothing is said of an account itself, which has no policies.
    async fn ask_iam(&self) -> Option<Permissions> {
        let owner = owner(self.caller)?;
        let (outcome, policies, why) = match self.iam {
            None => (Outcome::NotAsked, Vec::new(), None),
            Some(iam) => read(&owner, self.answer(iam, &owner).await),
        };
        let found = self.permissions(&owner, outcome, policies, why);
        if outcome != Outcome::Exchanged || !self.names_hub() {
            return Some(found);
        }
        let principal = PolicyOwner::Principal(self.caller.arn.canonical());
        let (outcome, policies, why) = self.of_principal(principal.clone()).await;
        Some(self.permissions(&principal, outcome, policies, why))
    }

    async fn answer(&self, iam: &Endpoint, owner: &PolicyOwner) -> Result<Answer, Failure> {
        let form = form(owner);
        let question = Question { service: "iam", form: &form };
        identity::answer(iam, self.by, self.region, &question).await
    }

    /// Whether somebody has said where the hub itself is. The ready-file of another hub on this machine says nothing about this one.
    fn names_hub(&self) -> bool {
        self.hub.hub.is_some() || self.hub.ready_file.is_some()
    }

    /// The policies of somebody whom AWS keeps: over gRPC, for IAM has no name for such an owner.
    async fn of_principal(&self, owner: PolicyOwner) -> Names {
        match Box::pin(self.names_over_grpc(owner)).await {
            Ok(names) => (Outcome::Listed, names, None),
            Err(Failure::Refused(CallError::Denied(_))) => (Outcome::NotAllowed, Vec::new(), None),
            Err(failure) => (Outcome::NoAnswer, Vec::new(), Some(failure.to_string())),
        }
    }

    async fn names_over_grpc(&self, owner: PolicyOwner) -> Result<Vec<String>, Failure> {
        let remote = Hub::connect_as(self.hub, self.by.clone()).await?.remote();
        let policies = remote.list_policies(admitted_at_the_door(), None, owner).await?;
        Ok(policies.into_iter().map(|policy| policy.name).collect())
    }

    fn permissions(
        &self,
        owner: &PolicyOwner,
        outcome: Outcome,
        policies: Vec<String>,
        why: Option<String>,
    ) -> Permissions {
        Permissions {
            explained: explained(owner, self.caller, outcome, &policies, why.as_deref()),
            owner_kind: owner.kind().to_owned(),
            owner: owner.name().to_owned(),
            outcome,
            policies,
            documents: Vec::new(),
            session_policy: session_policy(self.source, self.by),
            is_users_session: false,
            not_told: None,
        }
    }
}

/// What the hub itself has told, or why it has not.
fn of_hub(told: Told) -> Result<Permissions, String> {
    match told {
        Told::Policies(found) => Ok(found.into()),
        Told::Unknown => {
            Err("the hub is of a version that does not itself tell callers which policies they have"
                .to_owned())
        }
        Told::Denied(words) => Err(format!(
            "the hub itself does not tell them which policies they have: {}",
            shown_within(&words, WORDS_MAX)
        )),
        Told::NoAnswer(why) => Err(format!(
            "the hub itself was asked which policies they have, without an answer: {}",
            shown_within(&why, WORDS_MAX)
        )),
    }
}

/// What came of asking IAM, the names, and why there are none.
type Names = (Outcome, Vec<String>, Option<String>);

/// Whose inline policies say what a caller may do.
fn owner(caller: &CallerIdentity) -> Option<PolicyOwner> {
    match &caller.arn.kind {
        PrincipalKind::User { name, .. } => Some(PolicyOwner::User(name.clone())),
        PrincipalKind::AssumedRole { role, .. } => Some(PolicyOwner::Role(role.clone())),
        PrincipalKind::Root | PrincipalKind::Role { .. } | PrincipalKind::FederatedUser { .. } => None,
    }
}

/// IAM's operation, and its parameter for the owner's name.
fn operation(owner: &PolicyOwner) -> (&'static str, &'static str) {
    match owner {
        PolicyOwner::User(_) => ("ListUserPolicies", "UserName"),
        PolicyOwner::Principal(arn) if arn.as_str().contains(":user/") => ("ListUserPolicies", "UserName"),
        PolicyOwner::Role(_) | PolicyOwner::Principal(_) => ("ListRolePolicies", "RoleName"),
    }
}

/// The question for an owner's policies.
fn form(owner: &PolicyOwner) -> String {
    let (operation, parameter) = operation(owner);
    let mut form = Serializer::new(String::new());
    form.append_pair("Action", operation).append_pair("Version", "2010-05-08");
    form.append_pair(parameter, owner.name()).append_pair("MaxItems", NAMES_MAX);
    form.finish()
}

/// Reads what the hub's IAM says.
fn read(owner: &PolicyOwner, answer: Result<Answer, Failure>) -> Names {
    let no_answer = |why: String| (Outcome::NoAnswer, Vec::new(), Some(why));
    let answer = match answer {
        Ok(answer) => answer,
        Err(failure) => return no_answer(failure.to_string()),
    };
    let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if answer.status.is_success() {
        let (operation, _) = operation(owner);
        let names = said.pointer(&format!("/{operation}Response/{operation}Result/PolicyNames"));
        return match names.and_then(Value::as_array) {
            Some(names) => {
                let names = names.iter().filter_map(Value::as_str).map(str::to_owned).collect();
                (Outcome::Listed, names, None)
            }
            None => no_answer("the answer is no list of policies".to_owned()),
        };
    }
    let part =
        |name: &str| said.pointer(&format!("/Error/{name}")).and_then(Value::as_str).unwrap_or_default();
    match (part("Code"), part("Message")) {
        ("AccessDenied", _) => (Outcome::NotAllowed, Vec::new(), None),
        ("ValidationError", message) if message.contains(KEPT_ELSEWHERE) => {
            (Outcome::Exchanged, Vec::new(), None)
        }
        ("", _) => no_answer(format!("status {}", answer.status.as_u16())),
        (code, message) => no_answer(format!("{code}: {message}")),
    }
}

/// What may narrow the session beside its role's policies.
fn session_policy(source: Source, by: &Credentials) -> SessionPolicy {
    match source {
        _ if by.session_token.is_none() => SessionPolicy::None,
        // What a profile or the webhook has for these names no policy.
        Source::AssumeRole | Source::WebIdentity => SessionPolicy::None,
        Source::Container | Source::InstanceMetadata => SessionPolicy::Associations,
        Source::Environment
        | Source::Sso
        | Source::CredentialsFile
        | Source::Login
        | Source::CredentialProcess
        | Source::ConfigFile => SessionPolicy::Unknown,
    }
}

/// In words.
fn explained(
    owner: &PolicyOwner,
    caller: &CallerIdentity,
    outcome: Outcome,
    policies: &[String],
    why: Option<&str>,
) -> String {
    let (kind, name) = (owner.kind(), owner.name());
    let whose = format!("{kind} `{name}`");
    let others = format!(
        "whoever manages account {} sees them by `lanyard iam policy list --{kind} {name}`",
        caller.account
    );
    match outcome {
        Outcome::Listed if policies.is_empty() => {
            format!(
                "{whose} has no inline policy, so that at this hub they may do nothing that has to be allowed"
            )
        }
        Outcome::Listed => {
            let names: Vec<String> = policies.iter().map(|name| format!("`{name}`")).collect();
            let next = format!("`lanyard iam policy get --{kind} {name} NAME` shows one");
            format!(
                "what they may do at this hub: the inline policies of {whose} say, {} ({next})",
                names.join(", ")
            )
        }
        Outcome::NotAllowed => {
            let (operation, _) = operation(owner);
            format!(
                "which policies {whose} has they may not ask: `iam:{operation}` is not allowed to them; {others}"
            )
        }
        Outcome::Exchanged => format!(
            "{whose} is kept by another authority, and this session was exchanged for it at this hub, where the policies of `{}` say what \
             they may do (with --hub they are listed)",
            caller.arn.canonical().as_str()
        ),
        Outcome::NoAnswer => {
            format!(
                "which policies {whose} has is not known: {}; that is no refusal, and {others}",
                why.unwrap_or("there is no answer")
            )
        }
        Outcome::NotAsked => format!(
            "nobody was asked which policies {whose} has, for nothing here says where the hub's IAM is: name its AWS wire in \
             AWS_ENDPOINT_URL or AWS_ENDPOINT_URL_IAM; and {others}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use lanyard_iam::{SecretAccessKey, SessionToken};
    use serde_json::json;

    use super::*;

    fn caller(arn: &str) -> CallerIdentity {
        CallerIdentity::parse("111122223333", "AROAAAAAAAAAAAAAAAAAA:s", arn).unwrap()
    }

    const DEV: &str = "arn:aws:sts::111122223333:assumed-role/dev/s";

    fn role() -> PolicyOwner {
        owner(&caller(DEV)).unwrap()
    }

    fn said(status: u16, body: &Value) -> Names {
        let body = body.to_string().into();
        let status = http::StatusCode::from_u16(status).unwrap();
        read(&role(), Ok(Answer { status, headers: http::HeaderMap::new(), body }))
    }

    #[test]
    fn it_is_the_users_policies_or_the_roles_that_count() {
        assert_eq!(role(), PolicyOwner::Role("dev".to_owned()));
        assert_eq!(form(&role()), "Action=ListRolePolicies&Version=2010-05-08&RoleName=dev&MaxItems=1000");
        assert!(form(&PolicyOwner::User("a+b@c".to_owned())).contains("&UserName=a%2Bb%40c&"));
        let user = CallerIdentity::parse(
            "111122223333",
            "AIDAAAAAAAAAAAAAAAAAA",
            "arn:aws:iam::111122223333:user/team/ana",
        );
        let user = owner(&user.unwrap()).unwrap();
        assert_eq!((operation(&user).0, user.name()), ("ListUserPolicies", "ana"));
        let root =
            CallerIdentity::parse("111122223333", "111122223333", "arn:aws:iam::111122223333:root").unwrap();
        assert_eq!(owner(&root), None);
    }

    #[test]
    fn what_iam_says_is_told_from_a_refusal_and_from_no_answer() {
        let listed = |names: Value| json!({ "ListRolePoliciesResponse": { "ListRolePoliciesResult": { "PolicyNames": names } } });
        assert_eq!(said(200, &listed(json!(["a", "b"]))).1, ["a", "b"]);
        assert_eq!(said(200, &listed(json!([]))).0, Outcome::Listed);
        let error = |code: &str, message: &str| json!({ "Error": { "Code": code, "Message": message } });
        let kept = "the principals of account `111122223333` are kept by authority `aws`, not here";
        let cases = [
            (403, error("AccessDenied", "no"), Outcome::NotAllowed),
            (400, error("ValidationError", kept), Outcome::Exchanged),
            (400, error("ValidationError", "RoleName: too long"), Outcome::NoAnswer),
            (400, error("Throttling", "later"), Outcome::NoAnswer),
            (503, json!("none"), Outcome::NoAnswer),
            (200, json!({}), Outcome::NoAnswer),
            (200, listed(json!("a")), Outcome::NoAnswer),
        ];
        for (status, body, expected) in cases {
            let (outcome, policies, why) = said(status, &body);
            assert_eq!((outcome, policies.len()), (expected, 0), "{body}");
            assert_eq!(why.is_some(), expected == Outcome::NoAnswer, "{body}");
        }
        let away = read(&role(), Err(Failure::NoAnswer("away".to_owned())));
        assert_eq!(away, (Outcome::NoAnswer, Vec::new(), Some("away".to_owned())));
    }

    #[test]
    fn each_outcome_says_what_it_is_and_what_helps() {
        let words = |outcome, policies: &[&str]| {
            let policies: Vec<String> = policies.iter().map(|name| (*name).to_owned()).collect();
            explained(&role(), &caller(DEV), outcome, &policies, Some("away"))
        };
        let cases: [(Outcome, &[&str], &str); 6] = [
            (
                Outcome::Listed,
                &["a", "b"],
                "role `dev` say, `a`, `b` (`lanyard iam policy get --role dev NAME`",
            ),
            (Outcome::Listed, &[], "has no inline policy"),
            (Outcome::NotAllowed, &[], "may not ask: `iam:ListRolePolicies` is not allowed to them"),
            (Outcome::Exchanged, &[], "the policies of `arn:aws:iam::111122223333:role/dev` say what"),
            (Outcome::NoAnswer, &[], "is not known: away; that is no refusal"),
            (
                Outcome::NotAsked,
                &[],
                "AWS_ENDPOINT_URL_IAM; and whoever manages account 111122223333 sees them by `lanyard iam policy list --role dev`",
            ),
        ];
        for (outcome, policies, part) in cases {
            let told = words(outcome, policies);
            assert!(told.contains(part), "{outcome:?}: {told}");
        }
    }

    #[test]
    fn what_the_hub_tells_is_shown_by_statements_and_where_it_does_not_that_is_said() {
        use caller_policies::tests::{answered, of_role};
        let document = |action: &str| {
            let statement = json!({ "Effect": "Allow", "Action": action, "Resource": "*" });
            json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
        };
        let told = |status: u16, body: &Value| of_hub(caller_policies::read(answered(status, body)));
        let narrowed = of_role(&[("a", document("eks:*"))], Some(&document("eks:ListClusters")));
        let found = told(200, &narrowed).unwrap();
        let notes = found.notes();
        assert_eq!(notes.len(), 4, "{notes:?}");
        assert_eq!(notes[1], "`a` allows eks:* on *");
        assert!(notes[2].contains("both have to allow a call"), "{notes:?}");
        assert_eq!(notes[3], "the session policy allows eks:ListClusters on *");
        let data = serde_json::to_value(&found).unwrap();
        assert_eq!((&data["outcome"], &data["policies"]), (&json!("listed"), &json!(["a"])));
        let statement = json!({ "effect": "Allow", "actions": ["eks:*"], "resources": ["*"] });
        assert_eq!(data["documents"], json!([{ "name": "a", "statements": [statement] }]));
        assert_eq!(data["session_policy"]["document"], json!(document("eks:ListClusters")));
        assert_eq!(data["session_policy"]["statements"][0]["actions"], json!(["eks:ListClusters"]));
        assert!(data["not_told"].is_null());

        let whole = || told(200, &of_role(&[], None)).unwrap();
        assert_eq!(serde_json::to_value(whole()).unwrap()["session_policy"], json!("none"));
        assert_eq!(whole().notes().len(), 1);

        let error = |code: &str, message: &str| json!({ "Error": { "Code": code, "Message": message } });
        for (status, body, part) in [
            (400, error("InvalidAction", "x"), "of a version that does not"),
            (
                403,
                error("AccessDenied", "explicit deny in p"),
                "which policies they have: explicit deny in p",
            ),
            (403, error("AccessDenied", "\u{202e}no\n"), "\\u{202e}no\\n"),
            (503, json!("none"), "without an answer: status 503"),
        ] {
            let why = told(status, &body).unwrap_err();
            assert!(why.contains(part), "{why}");
            let found = Permissions { not_told: Some(why.clone()), ..whole() };
            assert_eq!(found.notes().last(), Some(&why), "it is said to people too");
        }
    }

    #[test]
    fn a_session_policy_is_known_where_the_source_can_have_none() {
        let with = |token: Option<&str>| Credentials {
            access_key_id: "LSIAAAAAAAAAAAAAAAAA".parse().unwrap(),
            secret_access_key: SecretAccessKey::new("hush".to_owned()),
            session_token: token.map(|token| SessionToken::new(token.to_owned())),
        };
        let cases = [
            (Source::WebIdentity, Some("t"), SessionPolicy::None),
            (Source::AssumeRole, Some("t"), SessionPolicy::None),
            (Source::Container, Some("t"), SessionPolicy::Associations),
            (Source::InstanceMetadata, Some("t"), SessionPolicy::Associations),
            (Source::Environment, Some("t"), SessionPolicy::Unknown),
            (Source::Environment, None, SessionPolicy::None),
        ];
        for (source, token, expected) in cases {
            assert_eq!(session_policy(source, &with(token)), expected, "{source:?} {token:?}");
        }
    }
}
