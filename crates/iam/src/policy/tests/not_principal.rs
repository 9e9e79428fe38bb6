//! `NotPrincipal`: everybody but these is denied.

use super::*;

/// A trust policy that lets everybody of two accounts in, but for whom this leaves out.
fn all_but(not_principal: serde_json::Value) -> TrustPolicy {
    trust(json!([
        {"Effect": "Allow", "Principal": {"AWS": ["111122223333", "444455556666"], "Service": "pods.eks.amazonaws.com",
            "Federated": "arn:aws:iam::111122223333:oidc-provider/issuer.example"}, "Action": "sts:*"},
        {"Sid": "Others", "Effect": "Deny", "NotPrincipal": not_principal, "Action": "sts:AssumeRole"},
    ]))
}

fn lets(trust: &TrustPolicy, caller: &TrustCaller<'_>) -> bool {
    let keys = ConditionKeys::new();
    let verdict = evaluate_trust(trust, caller, &assume(&keys));
    let by = verdict.deciding.and_then(|place| place.sid);
    match verdict.decision {
        Decision::Allow => true,
        Decision::ExplicitDeny => {
            assert_eq!(by.as_deref(), Some("Others"));
            false
        }
        Decision::ImplicitDeny => panic!("everybody asked about is allowed or denied"),
    }
}

#[test]
fn immunity_19_not_principal_excepts_whom_it_names_with_their_account_and_nobody_else() {
    let ana = caller("arn:aws:iam::111122223333:user/ana", None, "AIDAANA");
    let bob = caller("arn:aws:iam::111122223333:user/bob", None, "AIDABOB");
    let eve = caller("arn:aws:iam::444455556666:user/ana", None, "AIDAEVE");
    let dev = |session: &str| {
        caller(
            &format!("arn:aws:sts::111122223333:assumed-role/Dev/{session}"),
            Some("arn:aws:iam::111122223333:role/team/Dev"),
            "AROADEV",
        )
    };
    let (one, two) = (dev("one"), dev("two"));
    let (account, user) = ("111122223333", "arn:aws:iam::111122223333:user/ana");
    let (root, role) = ("arn:aws:iam::111122223333:root", "arn:aws:iam::111122223333:role/team/Dev");
    let session = "arn:aws:sts::111122223333:assumed-role/Dev/one";
    let cases: [(serde_json::Value, [bool; 5]); 12] = [
        // whom it leaves alone of: ana, bob, eve, one, two
        (json!([user, account]), [true, false, false, false, false]),
        (json!([user, root]), [true, false, false, false, false]),
        (json!([user]), [false; 5]),
        (json!([account]), [false; 5]),
        (json!(["AIDAANA", root]), [true, false, false, false, false]),
        (json!([user, "444455556666"]), [false; 5]),
        (json!([role, root]), [false, false, false, true, true]),
        (json!(["AROADEV", root]), [false, false, false, true, true]),
        (json!([role]), [false; 5]),
        (json!([session, root]), [false; 5]),
        (json!([session, role, root]), [false, false, false, true, false]),
        (json!("*"), [true; 5]),
    ];
    for (named, expected) in cases {
        let trust = all_but(json!({"AWS": named}));
        let found = [&ana, &bob, &eve, &one, &two].map(|caller| lets(&trust, &caller.as_caller()));
        assert_eq!(found, expected, "{named}");
    }
}

#[test]
fn not_principal_excepts_services_and_providers_by_their_names() {
    let provider = "arn:aws:iam::111122223333:oidc-provider/issuer.example";
    let (pods, federated) =
        (TrustCaller::Service("pods.eks.amazonaws.com"), TrustCaller::Federated(provider));
    for (named, expected) in [
        (json!({"Service": "pods.eks.amazonaws.com"}), [true, false]),
        (json!({"Service": "ec2.amazonaws.com"}), [false, false]),
        (json!({"Federated": provider}), [false, true]),
        (json!({"AWS": "111122223333"}), [false, false]),
    ] {
        let trust = all_but(named.clone());
        assert_eq!([lets(&trust, &pods), lets(&trust, &federated)], expected, "{named}");
    }
}

#[test]
fn not_principal_is_for_statements_that_deny() {
    let text =
        r#"{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole","NotPrincipal":{"AWS":"111122223333"}}}"#;
    let error = TrustPolicy::parse(text).unwrap_err();
    let fault = PolicyFault::NotHere { element: "NotPrincipal", document: "a statement that allows" };
    assert_eq!((error.path.as_str(), error.fault), ("$.Statement.NotPrincipal", fault));
}
