use std::sync::LazyLock;

use lanyard_iam::policy::{Decision, TrustCaller};
use lanyard_iam::{
    ConditionKeys, NamedDocument, PolicyDocument, PolicyError, PrincipalArn, PrincipalId, RequestContext,
    TrustPolicy, evaluate, evaluate_trust,
};

use super::promise;

const EVERYTHING: &str =
    r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
const NOTHING: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}"#;

/// What is asked of every document that is accepted.
const ASKED: &[(&str, &str)] = &[
    ("eks:DescribeCluster", "arn:aws:eks:us-west-2:111122223333:cluster/prod"),
    ("eks:CreateAccessEntry", "arn:aws:eks:us-west-2:111122223333:cluster/prod"),
    ("sts:AssumeRole", "arn:aws:iam::111122223333:role/team/Admin"),
    ("iam:ListUsers", "*"),
];

static KEYS: LazyLock<ConditionKeys> = LazyLock::new(|| {
    let mut keys = ConditionKeys::new();
    keys.set("aws:username", "ana")
        .set("aws:SourceIp", "10.1.2.3")
        .set("aws:CurrentTime", "2026-03-01T12:00:00Z");
    keys.set("aws:SecureTransport", "true").set("aws:PrincipalArn", "arn:aws:iam::111122223333:user/ana");
    keys.set_all("aws:TagKeys", ["team".to_owned(), "cost".to_owned()]);
    keys
});

/// An identity, session or trust policy.
pub fn policy_documents(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let identity = PolicyDocument::parse(text);
    let session = PolicyDocument::parse_session(text);
    let trust = TrustPolicy::parse(text);
    assert!(identity.is_ok() || session.is_err(), "a session policy that is no policy");
    assert!(identity.is_err() || trust.is_err(), "a document with and without principals");
    for error in [identity.as_ref().err(), session.as_ref().err(), trust.as_ref().err()].into_iter().flatten()
    {
        refuses_in_one_line(error);
    }
    if let Ok(document) = &identity {
        assert_eq!(document.source(), text);
        weighs_as_written_down(document);
    }
    if let Ok(trust) = &trust {
        assert_eq!(trust.source(), text);
        trusts_by_a_statement(trust);
    }
    identity.is_ok() || trust.is_ok()
}

fn refuses_in_one_line(error: &PolicyError) {
    promise::is_one_bounded_line(&error.to_string());
    assert!(error.path.starts_with('$'), "{}", error.path);
}

/// Whatever the document says, these hold of any.
fn weighs_as_written_down(document: &PolicyDocument) {
    let (Ok(everything), Ok(nothing)) = (PolicyDocument::parse(EVERYTHING), PolicyDocument::parse(NOTHING))
    else {
        panic!("the plainest documents are refused");
    };
    let named = |document| NamedDocument { name: "policy", document };
    for &(action, resource) in ASKED {
        let request = RequestContext { action, resource, keys: &KEYS };
        let decide = |identity: &[NamedDocument<'_>], session| evaluate(identity, session, &request).decision;
        let alone = evaluate(&[named(document)], None, &request);
        assert_eq!(alone.deciding.is_none(), alone.decision == Decision::ImplicitDeny);
        assert_eq!(alone.near.is_some(), alone.decision == Decision::ImplicitDeny);
        let alone = alone.decision;
        assert_eq!(decide(&[named(document), named(document)], None), alone, "twice the same counts once");
        assert_eq!(decide(&[named(document), named(&nothing)], None), Decision::ExplicitDeny);
        let with_everything = match alone {
            Decision::ExplicitDeny => Decision::ExplicitDeny,
            Decision::Allow | Decision::ImplicitDeny => Decision::Allow,
        };
        assert_eq!(decide(&[named(document), named(&everything)], None), with_everything);
        assert_eq!(decide(&[named(&everything)], Some(document)), alone, "as the policy of a session");
        assert_eq!(
            decide(&[named(document)], Some(&everything)),
            alone,
            "under a session that may everything"
        );
    }
}

fn trusts_by_a_statement(trust: &TrustPolicy) {
    let parsed = (
        PrincipalArn::parse("arn:aws:iam::111122223333:user/ana"),
        PrincipalId::parse("AIDAABCDEFGHIJKLMNOPQ"),
    );
    let (Ok(principal), Ok(id)) = parsed else { panic!("a plain user is refused") };
    let request = RequestContext {
        action: "sts:AssumeRole",
        resource: "arn:aws:iam::111122223333:role/x",
        keys: &KEYS,
    };
    let callers = [
        TrustCaller::Aws { principal: &principal, role: None, id: &id },
        TrustCaller::Service("pods.eks.amazonaws.com"),
        TrustCaller::Federated("arn:aws:iam::111122223333:oidc-provider/example"),
    ];
    for caller in &callers {
        let weighed = evaluate_trust(trust, caller, &request);
        assert_eq!(weighed.named.is_some(), weighed.decision == Decision::Allow);
        assert_eq!(weighed.deciding.is_none(), weighed.decision == Decision::ImplicitDeny);
    }
}
