use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::arn::PrincipalArn;
use crate::id::PrincipalId;

mod not_principal;

const CLUSTER: &str = "arn:aws:eks:us-west-2:111122223333:cluster/prod";

fn policy(statements: serde_json::Value) -> PolicyDocument {
    PolicyDocument::parse(&json!({"Version": "2012-10-17", "Statement": statements}).to_string()).unwrap()
}

fn trust(statements: serde_json::Value) -> TrustPolicy {
    TrustPolicy::parse(&json!({"Version": "2012-10-17", "Statement": statements}).to_string()).unwrap()
}

fn ask(
    document: &PolicyDocument,
    session: Option<&PolicyDocument>,
    action: &str,
    resource: &str,
) -> Evaluation {
    let mut keys = ConditionKeys::new();
    keys.set("aws:username", "ana").set("aws:SourceIp", "10.0.0.1");
    let request = RequestContext { action, resource, keys: &keys };
    evaluate(&[NamedDocument { name: "p", document }], session, &request)
}

fn at(index: usize, sid: Option<&str>) -> StatementRef {
    StatementRef { layer: Layer::Identity, document: "p".to_owned(), index, sid: sid.map(str::to_owned) }
}

#[test]
fn an_explicit_deny_counts_before_any_allow() {
    let document = policy(json!([
        {"Sid": "All", "Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Sid": "NoDelete", "Effect": "Deny", "Action": "eks:Delete*", "Resource": "arn:aws:eks:*:*:cluster/prod"},
    ]));
    assert_eq!(ask(&document, None, "eks:DescribeCluster", CLUSTER), Evaluation::allow(at(0, Some("All"))));
    assert_eq!(ask(&document, None, "EKS:deletecluster", CLUSTER), Evaluation::deny(at(1, Some("NoDelete"))));
    assert!(
        ask(&document, None, "eks:DeleteCluster", "arn:aws:eks:us-west-2:111122223333:cluster/dev")
            .is_allowed()
    );
}

#[test]
fn a_refusal_names_what_came_nearest() {
    let document = policy(json!([
        {"Effect": "Allow", "Action": "eks:Describe*", "Resource": "arn:aws:eks:*:*:cluster/dev"},
        {"Effect": "Allow", "Action": "eks:ListClusters", "Resource": "*",
         "Condition": {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}},
    ]));
    let near = |statement, lack| Evaluation::implicit(NearMiss { statement, lack });
    assert_eq!(ask(&document, None, "iam:GetRole", CLUSTER), near(None, Lack::Action));
    assert_eq!(ask(&document, None, "eks:DescribeCluster", CLUSTER), near(Some(at(0, None)), Lack::Resource));
    let condition = Lack::Condition { operator: "IpAddress".to_owned(), key: "aws:SourceIp".to_owned() };
    assert_eq!(ask(&document, None, "eks:ListClusters", "*"), near(Some(at(1, None)), condition));
}

#[test]
fn immunity_19_not_action_and_not_resource_except_what_they_name_and_grant_nothing_else_open() {
    let document = policy(json!([
        {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "eks:*", "NotResource": ["arn:aws:eks:us-west-2:111122223333:*"]},
    ]));
    let cases = [
        ("eks:DescribeCluster", CLUSTER, Decision::Allow),
        ("iam:CreateUser", "*", Decision::ImplicitDeny),
        ("IAM:createuser", "*", Decision::ImplicitDeny),
        ("eks:DescribeCluster", "arn:aws:eks:eu-west-1:111122223333:cluster/x", Decision::ExplicitDeny),
        ("eks:ListClusters", "*", Decision::ExplicitDeny),
        ("sts:AssumeRole", "arn:aws:iam::111122223333:role/x", Decision::Allow),
    ];
    for (action, resource, decision) in cases {
        assert_eq!(ask(&document, None, action, resource).decision, decision, "{action} {resource}");
    }
    // An exception that cannot be known is none: an allow stays away from it, a deny does not.
    let open = |effect: &str| {
        policy(
            json!({"Effect": effect, "Action": "*", "NotResource": "arn:aws:s3:::${aws:PrincipalTag/Bucket}"}),
        )
    };
    assert_eq!(ask(&open("Allow"), None, "s3:GetObject", "arn:aws:s3:::x").decision, Decision::ImplicitDeny);
    assert_eq!(ask(&open("Deny"), None, "s3:GetObject", "arn:aws:s3:::x").decision, Decision::ExplicitDeny);
}

#[test]
fn a_session_policy_narrows_and_never_widens() {
    let identity = policy(json!({"Effect": "Allow", "Action": "eks:*", "Resource": "*"}));
    let session = policy(json!([
        {"Effect": "Allow", "Action": ["eks:Describe*", "iam:*"], "Resource": "*"},
        {"Effect": "Deny", "Action": "eks:DescribeUpdate", "Resource": "*"},
    ]));
    let cases = [
        ("eks:DescribeCluster", Decision::Allow),
        ("eks:DeleteCluster", Decision::ImplicitDeny),
        ("eks:DescribeUpdate", Decision::ExplicitDeny),
        ("iam:GetRole", Decision::ImplicitDeny),
    ];
    for (action, decision) in cases {
        assert_eq!(ask(&identity, Some(&session), action, CLUSTER).decision, decision, "{action}");
    }
    let narrowed = ask(&identity, Some(&session), "eks:DeleteCluster", CLUSTER);
    assert_eq!(narrowed.near.unwrap().lack, Lack::SessionPolicy);
}

#[test]
fn resources_take_variables_and_wildcards_inside_their_sections() {
    let document = policy(
        json!({"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::home/${aws:username}/*"}),
    );
    assert!(ask(&document, None, "s3:GetObject", "arn:aws:s3:::home/ana/x/y").is_allowed());
    assert!(!ask(&document, None, "s3:GetObject", "arn:aws:s3:::home/bob/x").is_allowed());
    let document =
        policy(json!({"Effect": "Allow", "Action": "eks:*", "Resource": "arn:aws:eks:*:cluster/prod:x:y"}));
    assert!(!ask(&document, None, "eks:DescribeCluster", CLUSTER).is_allowed());
    // A pattern over ARNs does not take what is no ARN; only `*` does.
    let document = policy(json!({"Effect": "Allow", "Action": "eks:*", "Resource": "arn:*:*:*:*:*"}));
    assert!(!ask(&document, None, "eks:ListClusters", "*").is_allowed());
}

#[test]
fn a_document_out_of_form_is_refused_where_it_is() {
    use PolicyFault as F;
    let own = str::to_owned;
    let statement = |extra: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"a:b","Resource":"*"{extra}}}]}}"#
        )
    };
    let one = |text: &str| format!(r#"{{"Version":"2012-10-17","Statement":{{{text}}}}}"#);
    let deep = statement(&format!(r#","Condition":{}1{}"#, "[".repeat(20), "]".repeat(20)));
    let cases: Vec<(String, &str, F)> = vec![
        (own(""), "$", F::Json { line: 1, column: 0 }),
        (own("{\"Version\":\n1,}"), "$", F::Json { line: 2, column: 3 }),
        (own("{} {}"), "$", F::Json { line: 1, column: 4 }),
        (own("[]"), "$", F::Expected("an object")),
        (own("{}"), "$", F::Missing("Statement")),
        (own(r#"{"Statement":[]}"#), "$.Statement", F::Empty),
        (own(r#"{"Version":"2026-01-01","Statement":[]}"#), "$.Version", F::Version(own("2026-01-01"))),
        (own(r#"{"statement":[]}"#), "$", F::UnknownElement(own("statement"))),
        (own(r#"{"Id":1,"Statement":[]}"#), "$.Id", F::Expected("a string")),
        (own(r#"{"Statement":"x"}"#), "$.Statement", F::Expected("an object")),
        (deep, "$", F::TooDeep),
        (statement(r#","Effect":"Deny""#), "$.Statement[0]", F::Duplicate(own("Effect"))),
        (statement(r#","effect":"Deny""#), "$.Statement[0]", F::UnknownElement(own("effect"))),
        (statement(r#","NotAction":"x:y""#), "$.Statement[0]", F::Both("Action", "NotAction")),
        (statement(r#","NotResource":"*""#), "$.Statement[0]", F::Both("Resource", "NotResource")),
        (
            statement(r#","NotPrincipal":"*""#),
            "$.Statement[0].NotPrincipal",
            F::NotHere { element: "NotPrincipal", document: "an identity or session policy" },
        ),
        (
            statement(r#","Principal":"*""#),
            "$.Statement[0].Principal",
            F::NotHere { element: "Principal", document: "an identity or session policy" },
        ),
        (statement(r#","Sid":"a b""#), "$.Statement[0].Sid", F::Sid(own("a b"))),
        (one(r#""Action":"a:b","Resource":"*""#), "$.Statement", F::Missing("Effect")),
        (one(r#""Effect":"Allow","Resource":"*""#), "$.Statement", F::Missing("Action")),
        (one(r#""Effect":"Allow","Action":"a:b""#), "$.Statement", F::Missing("Resource")),
        (
            one(r#""Effect":"allow","Action":"a:b","Resource":"*""#),
            "$.Statement.Effect",
            F::Effect(own("allow")),
        ),
        (
            one(r#""Effect":"Allow","Action":["a:b","b"],"Resource":"*""#),
            "$.Statement.Action[1]",
            F::Action(own("b")),
        ),
        (
            one(r#""Effect":"Allow","Action":"a*:b","Resource":"*""#),
            "$.Statement.Action",
            F::Action(own("a*:b")),
        ),
        (one(r#""Effect":"Allow","Action":[],"Resource":"*""#), "$.Statement.Action", F::Empty),
        (one(r#""Effect":"Allow","Action":1,"Resource":"*""#), "$.Statement.Action", F::Expected("a string")),
        (
            one(r#""Effect":"Allow","Action":"a:b","Resource":"x""#),
            "$.Statement.Resource",
            F::Resource(own("x")),
        ),
        (
            one(r#""Effect":"Allow","Action":"a:b","Resource":"arn:aws:s3:::${x}""#),
            "$.Statement.Resource",
            F::Variable(own("${x}")),
        ),
        (statement(r#","Condition":[]"#), "$.Statement[0].Condition", F::Expected("an object")),
        (
            statement(r#","Condition":{"StringEquals":{}}"#),
            "$.Statement[0].Condition.StringEquals",
            F::Expected("an object with a condition key"),
        ),
        (
            statement(r#","Condition":{"StringSame":{"a:b":"c"}}"#),
            "$.Statement[0].Condition.StringSame.a:b",
            F::Operator(own("StringSame")),
        ),
        (
            statement(r#","Condition":{"Bool":{"a:b":[true,null]}}"#),
            "$.Statement[0].Condition.Bool.a:b[1]",
            F::Expected("a string, a number or a boolean"),
        ),
        (
            statement(r#","Condition":{"NumericEquals":{"a:b":"x"}}"#),
            "$.Statement[0].Condition.NumericEquals.a:b",
            F::Value { value: own("x"), expected: "a number" },
        ),
        // Variables are of the second version; in the first they would be text, which nobody means.
        (
            own(r#"{"Statement":{"Effect":"Deny","Action":"*","Resource":"arn:aws:s3:::${aws:username}"}}"#),
            "$.Statement.Resource",
            F::Variable(own("${aws:username}")),
        ),
    ];
    for (text, path, fault) in cases {
        let error = PolicyDocument::parse(&text).unwrap_err();
        assert_eq!((error.path.as_str(), error.fault), (path, fault), "{text}");
    }
    let twice = r#"{"Statement":[{"Sid":"A","Effect":"Allow","Action":"*","Resource":"*"},{"Sid":"A","Effect":"Deny","Action":"*","Resource":"*"}]}"#;
    assert_eq!(PolicyDocument::parse(twice).unwrap_err().fault, F::Duplicate(own("Sid A")));
}

#[test]
fn size_is_limited_by_kind_and_blanks_count_in_session_policies_alone() {
    let sized = |bytes: usize, blanks: usize| {
        let head = r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":""#;
        let tail = "\"}}";
        let resource = format!("arn:aws:s3:::{}", "a".repeat(bytes - head.len() - tail.len() - 13));
        format!("{head}{resource}{tail}{}", " ".repeat(blanks))
    };
    assert!(PolicyDocument::parse(&sized(IDENTITY_POLICY_BYTES_MAX, 100)).is_ok());
    let refused = |text: &str| PolicyDocument::parse(text).unwrap_err().fault;
    let (bytes, max) = (IDENTITY_POLICY_BYTES_MAX + 1, IDENTITY_POLICY_BYTES_MAX);
    assert_eq!(refused(&sized(bytes, 0)), PolicyFault::TooLarge { bytes, max });
    let max = POLICY_TEXT_BYTES_MAX;
    assert_eq!(refused(&sized(1000, max)), PolicyFault::TooLarge { bytes: max + 1000, max });
    let max = SESSION_POLICY_CHARS_MAX;
    let refused_session = |text: &str| PolicyDocument::parse_session(text).unwrap_err().fault;
    assert!(PolicyDocument::parse_session(&sized(max - 9, 9)).is_ok());
    for text in [sized(max - 9, 10), sized(max + 1, 0)] {
        assert_eq!(refused_session(&text), PolicyFault::TooLong { chars: max + 1, max });
    }
    // A character is one, of however many bytes.
    let wide = |text: String| text.replacen("aaa", "äöü", 1);
    assert!(PolicyDocument::parse_session(&wide(sized(max, 0))).is_ok());
    assert_eq!(refused_session(&wide(sized(max, 1))), PolicyFault::TooLong { chars: max + 1, max });
    let many = json!({"Statement": vec![json!({"Effect":"Allow","Action":"*","Resource":"*"}); POLICY_STATEMENTS_MAX + 1]});
    assert_eq!(refused(&many.to_string()), PolicyFault::TooManyStatements);
}

#[test]
fn a_document_is_stored_as_its_text() {
    let text = r#"{ "Statement": {"Effect":"Allow","Action":"*","Resource":"*"} }"#;
    let document = PolicyDocument::parse(text).unwrap();
    let stored = serde_json::to_string(&document).unwrap();
    assert_eq!(serde_json::from_str::<PolicyDocument>(&stored).unwrap(), document);
    assert_eq!(document.source(), text);
    assert!(serde_json::from_str::<PolicyDocument>("\"{}\"").is_err());
}

struct Caller {
    arn: PrincipalArn,
    role: Option<PrincipalArn>,
    id: PrincipalId,
}

fn caller(arn: &str, role: Option<&str>, id: &str) -> Caller {
    Caller {
        arn: PrincipalArn::parse(arn).unwrap(),
        role: role.map(|role| PrincipalArn::parse(role).unwrap()),
        id: PrincipalId::parse(id).unwrap(),
    }
}

impl Caller {
    fn as_caller(&self) -> TrustCaller<'_> {
        TrustCaller::Aws { principal: &self.arn, role: self.role.as_ref(), id: &self.id }
    }
}

fn assume(keys: &ConditionKeys) -> RequestContext<'_> {
    RequestContext { action: "sts:AssumeRole", resource: "arn:aws:iam::111122223333:role/R", keys }
}

#[test]
fn a_trust_policy_tells_whether_it_names_the_caller_or_its_account() {
    let ana = caller("arn:aws:iam::111122223333:user/ana", None, "AIDAANA");
    let session = caller(
        "arn:aws:sts::111122223333:assumed-role/Dev/ana",
        Some("arn:aws:iam::111122223333:role/team/Dev"),
        "AROADEV",
    );
    let pathless =
        Caller { role: None, ..caller("arn:aws:sts::111122223333:assumed-role/Dev/ana", None, "AROADEV") };
    let cases = [
        (&ana, json!({"AWS": "arn:aws:iam::111122223333:user/ana"}), Some(Named::Itself)),
        (&ana, json!({"AWS": "arn:aws:iam::111122223333:user/bob"}), None),
        (&ana, json!({"AWS": "111122223333"}), Some(Named::Account)),
        (&ana, json!({"AWS": "arn:aws:iam::111122223333:root"}), Some(Named::Account)),
        (&ana, json!({"AWS": "arn:aws-cn:iam::111122223333:root"}), None),
        (&ana, json!({"AWS": ["444455556666", "AIDAANA"]}), Some(Named::Itself)),
        (&ana, json!({"AWS": "AIDABOB"}), None),
        (&ana, json!("*"), Some(Named::Account)),
        (&ana, json!({"AWS": ["*", "arn:aws:iam::111122223333:user/ana"]}), Some(Named::Itself)),
        (&ana, json!({"Service": "pods.eks.amazonaws.com"}), None),
        (&session, json!({"AWS": "arn:aws:iam::111122223333:role/team/Dev"}), Some(Named::Itself)),
        (&session, json!({"AWS": "arn:aws:iam::111122223333:role/Dev"}), None),
        (&session, json!({"AWS": "arn:aws:sts::111122223333:assumed-role/Dev/ana"}), Some(Named::Itself)),
        (&session, json!({"AWS": "arn:aws:sts::111122223333:assumed-role/Dev/bob"}), None),
        (&session, json!({"AWS": "AROADEV"}), Some(Named::Itself)),
        (&pathless, json!({"AWS": "arn:aws:iam::111122223333:role/team/Dev"}), Some(Named::Itself)),
        (&pathless, json!({"AWS": "arn:aws:iam::444455556666:role/Dev"}), None),
    ];
    let keys = ConditionKeys::new();
    for (caller, principal, named) in cases {
        let document = trust(json!({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}));
        let verdict = evaluate_trust(&document, &caller.as_caller(), &assume(&keys));
        assert_eq!(verdict.named, named, "{} by {principal}", caller.arn);
        assert_eq!(verdict.decision == Decision::Allow, named.is_some(), "{} by {principal}", caller.arn);
    }
}

#[test]
fn providers_and_services_are_named_exactly_and_never_by_everyone() {
    let keys = ConditionKeys::new();
    let provider = "arn:aws:iam::111122223333:oidc-provider/issuer.example/id/1";
    let cases = [
        (json!({"Federated": provider}), TrustCaller::Federated(provider), true),
        (
            json!({"Federated": "arn:aws:iam::111122223333:oidc-provider/other"}),
            TrustCaller::Federated(provider),
            false,
        ),
        (json!({"Service": "pods.eks.amazonaws.com"}), TrustCaller::Service("pods.eks.amazonaws.com"), true),
        (json!({"Service": "ec2.amazonaws.com"}), TrustCaller::Service("pods.eks.amazonaws.com"), false),
        (json!("*"), TrustCaller::Federated(provider), false),
        (json!({"AWS": "*"}), TrustCaller::Service("pods.eks.amazonaws.com"), false),
    ];
    for (principal, caller, allowed) in cases {
        let document = trust(json!({"Effect": "Allow", "Principal": principal, "Action": "sts:*"}));
        let verdict = evaluate_trust(&document, &caller, &assume(&keys));
        assert_eq!(verdict.decision == Decision::Allow, allowed, "{caller:?} by {principal}");
    }
    let document = trust(json!([
        {"Effect": "Allow", "Principal": {"Federated": provider}, "Action": "sts:*"},
        {"Effect": "Deny", "Principal": "*", "Action": "sts:*"},
    ]));
    let verdict = evaluate_trust(&document, &TrustCaller::Federated(provider), &assume(&keys));
    assert_eq!(verdict.decision, Decision::ExplicitDeny);
}

#[test]
fn a_role_is_assumed_by_iams_rule_of_the_same_account() {
    let role = PrincipalArn::parse("arn:aws:iam::111122223333:role/R").unwrap();
    let ana = caller("arn:aws:iam::111122223333:user/ana", None, "AIDAANA");
    let foreign = caller("arn:aws:iam::444455556666:user/eve", None, "AIDAEVE");
    let by_name = trust(
        json!({"Effect": "Allow", "Principal": {"AWS": [ana.arn.to_string(), foreign.arn.to_string()]}, "Action": "sts:AssumeRole"}),
    );
    let by_account = trust(
        json!({"Effect": "Allow", "Principal": {"AWS": ["111122223333", "444455556666"]}, "Action": "sts:AssumeRole"}),
    );
    let nobody =
        trust(json!({"Effect": "Allow", "Principal": {"AWS": "777788889999"}, "Action": "sts:AssumeRole"}));
    let may = policy(
        json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "arn:aws:iam::111122223333:role/*"}),
    );
    let must_not = policy(json!({"Effect": "Deny", "Action": "sts:*", "Resource": "*"}));
    let reads = policy(json!({"Effect": "Allow", "Action": "eks:*", "Resource": "*"}));
    use Decision::{Allow, ExplicitDeny, ImplicitDeny};
    type Case<'a> =
        (&'a str, &'a Caller, &'a TrustPolicy, Vec<&'a PolicyDocument>, Option<&'a PolicyDocument>);
    let cases: Vec<(Case<'_>, (Decision, Option<Lack>))> = vec![
        (("named itself", &ana, &by_name, vec![], None), (Allow, None)),
        (
            ("account named, no policy", &ana, &by_account, vec![], None),
            (ImplicitDeny, Some(Lack::IdentityPolicy)),
        ),
        (("account named, policy", &ana, &by_account, vec![&may], None), (Allow, None)),
        (("not trusted", &ana, &nobody, vec![&may], None), (ImplicitDeny, Some(Lack::TrustPolicy))),
        (("denied by its own policy", &ana, &by_name, vec![&must_not], None), (ExplicitDeny, None)),
        (
            ("other account, named", &foreign, &by_name, vec![], None),
            (ImplicitDeny, Some(Lack::IdentityPolicy)),
        ),
        (("other account, both", &foreign, &by_name, vec![&may], None), (Allow, None)),
        (("narrowed away", &ana, &by_name, vec![], Some(&reads)), (ImplicitDeny, Some(Lack::SessionPolicy))),
        (
            ("account named, narrowed away", &ana, &by_account, vec![&may], Some(&reads)),
            (ImplicitDeny, Some(Lack::SessionPolicy)),
        ),
        (("narrowed to it", &ana, &by_name, vec![], Some(&may)), (Allow, None)),
    ];
    let keys = ConditionKeys::new();
    for ((what, caller, trust, documents, session), (decision, lack)) in cases {
        let identity: Vec<NamedDocument<'_>> =
            documents.into_iter().map(|document| NamedDocument { name: "p", document }).collect();
        let verdict =
            evaluate_assume_role(&identity, session, trust, &caller.as_caller(), &role, &assume(&keys));
        assert_eq!(verdict.decision, decision, "{what}");
        assert_eq!(verdict.near.map(|near| near.lack), lack, "{what}");
    }
}

#[test]
fn the_conditions_of_a_trust_policy_count() {
    let ana = caller("arn:aws:iam::111122223333:user/ana", None, "AIDAANA");
    let document = trust(json!([
        {"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "sts:AssumeRole"},
        {"Sid": "Mine", "Effect": "Allow", "Principal": {"AWS": ana.arn.to_string()}, "Action": "sts:AssumeRole",
         "Condition": {"StringEquals": {"sts:ExternalId": "secret"}}},
    ]));
    let mut keys = ConditionKeys::new();
    assert_eq!(evaluate_trust(&document, &ana.as_caller(), &assume(&keys)).named, Some(Named::Account));
    keys.set("sts:ExternalId", "secret");
    let verdict = evaluate_trust(&document, &ana.as_caller(), &assume(&keys));
    assert_eq!(
        (verdict.named, verdict.deciding.unwrap().sid),
        (Some(Named::Itself), Some("Mine".to_owned()))
    );
    let tag = RequestContext { action: "sts:TagSession", ..assume(&keys) };
    assert_eq!(evaluate_trust(&document, &ana.as_caller(), &tag).decision, Decision::ImplicitDeny);
}

#[test]
fn a_trust_policy_out_of_form_is_refused() {
    let parse = |text: &str| TrustPolicy::parse(text).map_err(|error| (error.path, error.fault)).map(drop);
    let statement =
        |rest: &str| format!(r#"{{"Statement":{{"Effect":"Allow","Action":"sts:AssumeRole",{rest}}}}}"#);
    let principal =
        |text: &str| Err(("$.Statement.Principal.AWS".to_owned(), PolicyFault::Principal(text.to_owned())));
    assert_eq!(
        parse(&statement(r#""Principal":{"AWS":"arn:aws:iam::1:root"}"#)),
        principal("arn:aws:iam::1:root")
    );
    assert_eq!(
        parse(&statement(r#""Principal":{"AWS":"arn:aws:iam::111122223333:role/*"}"#)),
        principal("arn:aws:iam::111122223333:role/*")
    );
    for rest in [
        r#""Principal":"ana""#,
        r#""Principal":{}"#,
        r#""Principal":{"AWS":[]}"#,
        r#""Principal":{"Federated":"*"}"#,
        r#""Principal":{"Service":"*"}"#,
        r#""Principal":{"CanonicalUser":"x"}"#,
        r#""Principal":{"aws":"*"}"#,
        r#""NotPrincipal":"*""#,
        r#""Principal":"*","NotPrincipal":"*""#,
        r#""Principal":"*","Resource":"*""#,
        r#""Principal":"*","NotResource":"*""#,
        r#""Sid":"x""#,
    ] {
        assert!(parse(&statement(rest)).is_err(), "{rest}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_without_a_panic(text in "\\PC{0,80}", value in "[a-z:*?${}', /0-9.-]{0,30}") {
        let statement = json!({"Effect": "Allow", "Action": value, "Resource": value,
            "Condition": {"StringLike": {"a:b": value}, "ArnLike": {"a:b": value}, "IpAddress": {"a:b": value},
                "DateEquals": {"a:b": value}, "NumericEquals": {"a:b": value}}});
        let resource = json!({"Effect": "Allow", "Action": "*", "Resource": format!("arn:aws:s3:::{value}")});
        let principal = json!({"Effect": "Allow", "Action": "*", "Principal": {"AWS": value, "Federated": value}});
        let wrap = |statement| json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
        for text in [text, wrap(statement), wrap(resource), wrap(principal)] {
            let _ = PolicyDocument::parse_session(&text);
            let _ = TrustPolicy::parse(&text);
            if let Ok(document) = PolicyDocument::parse(&text) {
                let _ = ask(&document, None, "a:b", CLUSTER);
            }
        }
    }
}

#[test]
fn what_only_the_call_will_tell_may_be_left_open() {
    let document = |effect: &str, condition: serde_json::Value| {
        policy(json!([
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*", "Condition": {}},
            {"Effect": effect, "Action": "eks:*", "Resource": "*", "Condition": condition},
        ]))
    };
    let asked = |document: &PolicyDocument, action: &str| {
        let mut keys = ConditionKeys::new();
        keys.set("aws:username", "ana").leave_open(["aws:SourceIp", "aws:RequestTag/"]);
        let request = RequestContext { action, resource: CLUSTER, keys: &keys };
        evaluate(&[NamedDocument { name: "p", document }], None, &request).decision
    };
    let cases = [
        ("Allow", json!({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}), Decision::Allow),
        ("Allow", json!({"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}}), Decision::Allow),
        ("Allow", json!({"Null": {"AWS:SourceIP": "true"}}), Decision::Allow),
        ("Allow", json!({"StringEquals": {"aws:RequestTag/team": "a"}}), Decision::Allow),
        ("Allow", json!({"StringEquals": {"aws:username": "bob"}}), Decision::ImplicitDeny),
        ("Allow", json!({"StringEquals": {"aws:PrincipalTag/team": "a"}}), Decision::ImplicitDeny),
        (
            "Allow",
            json!({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}, "StringEquals": {"aws:username": "bob"}}),
            Decision::ImplicitDeny,
        ),
        ("Deny", json!({"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}}), Decision::ImplicitDeny),
        ("Deny", json!({"StringEquals": {"aws:username": "ana"}}), Decision::ExplicitDeny),
    ];
    for (effect, condition, expected) in cases {
        assert_eq!(
            asked(&document(effect, condition.clone()), "eks:DescribeCluster"),
            expected,
            "{effect} {condition}"
        );
    }
}

#[test]
fn a_trust_policy_tells_whose_principals_it_may_let_in_and_which_sessions() {
    use crate::{id::AccountId, partition::Partition};
    let allow = |principal: serde_json::Value| json!({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"});
    let cases = [
        (json!("*"), true),
        (json!({"AWS": "*"}), true),
        (json!({"AWS": "111122223333"}), true),
        (json!({"AWS": "arn:aws:iam::111122223333:root"}), true),
        (json!({"AWS": "arn:aws-cn:iam::111122223333:root"}), false),
        (json!({"AWS": ["arn:aws:iam::444455556666:user/a", "arn:aws:iam::111122223333:user/a"]}), true),
        (json!({"AWS": "arn:aws:iam::444455556666:user/a"}), false),
        (json!({"AWS": "AIDAANA"}), true),
        (json!({"Service": "pods.eks.amazonaws.com"}), false),
    ];
    let account = AccountId::parse("111122223333").unwrap();
    for (principal, expected) in cases {
        let may = trust(json!([allow(principal.clone())])).may_let_in(Partition::Aws, account);
        assert_eq!(may, expected, "{principal}");
    }
    let denying = trust(json!([{"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole"}]));
    assert!(!denying.may_let_in(Partition::Aws, account));

    let session = "arn:aws:sts::111122223333:assumed-role/between/ana";
    let named = trust(json!([allow(json!({"AWS": [session, "arn:aws:iam::111122223333:user/a"]}))]));
    let sessions: Vec<_> = named.named_sessions().map(ToString::to_string).collect();
    assert_eq!(sessions, [session]);
}
