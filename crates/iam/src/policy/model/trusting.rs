//! Trust policies in the model: whom `Principal` and `NotPrincipal` mean, and what has to allow beside the trust policy (User
//! Guide: "AWS JSON policy elements: Principal", "… NotPrincipal", "Policy evaluation for requests within a single account").

use proptest::prelude::*;
use serde_json::Value;

use super::worlds::{trust, trust_of_others, world};
use super::*;
use crate::arn::PrincipalArn;
use crate::id::PrincipalId;

const ROLE: &str = "arn:aws:iam::111122223333:role/R";

/// A caller by all that a policy could name it by.
#[derive(Clone, Copy, Debug)]
struct Caller {
    account: &'static str,
    arn: &'static str,
    /// Of a session: its role.
    role: Option<&'static str>,
    id: &'static str,
}

const CALLERS: [Caller; 4] = [
    Caller { account: "111122223333", arn: "arn:aws:iam::111122223333:user/ana", role: None, id: "AIDAANA" },
    Caller { account: "444455556666", arn: "arn:aws:iam::444455556666:user/ana", role: None, id: "AIDAEVE" },
    Caller {
        account: "111122223333",
        arn: "arn:aws:sts::111122223333:assumed-role/Dev/one",
        role: Some("arn:aws:iam::111122223333:role/team/Dev"),
        id: "AROADEV",
    },
    Caller {
        account: "111122223333",
        arn: "arn:aws:sts::111122223333:assumed-role/Dev/two",
        role: Some("arn:aws:iam::111122223333:role/team/Dev"),
        id: "AROADEV",
    },
];

impl Caller {
    fn names_account(self, named: &str) -> bool {
        named == self.account || named == format!("arn:aws:iam::{}:root", self.account)
    }

    fn names_role_or_user(self, named: &str) -> bool {
        named == self.id || named == self.role.unwrap_or(self.arn)
    }

    fn is_about(self, statement: &Value) -> bool {
        let listed = |element: &Value| element.get("AWS").map_or_else(|| strings(element), strings);
        if let Some(element) = statement.get("Principal") {
            let names = |named: &String| {
                named == "*"
                    || named == self.arn
                    || self.names_account(named)
                    || self.names_role_or_user(named)
            };
            return listed(element).iter().any(names);
        }
        let excepted = listed(&statement["NotPrincipal"]);
        let any = |test: &dyn Fn(&str) -> bool| excepted.iter().any(|named| test(named));
        // The account first, then the role or user, then, where sessions of the role are told apart, the session.
        let excepts = any(&|named| named == "*")
            || any(&|named| self.names_account(named))
                && any(&|named| self.names_role_or_user(named))
                && (!any(&|named| named.contains("assumed-role/Dev/"))
                    || self.role.is_none()
                    || any(&|named| named == self.arn));
        !excepts
    }

    /// Whether a statement that allows names the caller and not its account alone.
    fn is_named_itself(self, statement: &Value) -> bool {
        let element = &statement["Principal"];
        let listed = element.get("AWS").map_or_else(|| strings(element), strings);
        listed.iter().any(|named| named == self.arn || self.names_role_or_user(named))
    }
}

/// Those of no account, by the kind and the name that a policy has for them.
const OTHERS: [(&str, &str); 2] = [
    ("Federated", "arn:aws:iam::111122223333:oidc-provider/ci.example"),
    ("Service", "pods.eks.amazonaws.com"),
];

/// They are named by their own names; everybody's name lets none of them in, and refuses them.
fn is_about_other((kind, name): (&str, &str), statement: &Value) -> bool {
    let lists = |element: &Value, kind: &str, name: &str| {
        element.get(kind).is_some_and(|named| strings(named).iter().any(|named| named == name))
    };
    let is_everybody = |element: &Value| *element == "*" || lists(element, "AWS", "*");
    match statement.get("Principal") {
        Some(element) => {
            lists(element, kind, name) || (statement["Effect"] == "Deny" && is_everybody(element))
        }
        None => {
            let excepted = &statement["NotPrincipal"];
            !lists(excepted, kind, name) && !is_everybody(excepted)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn immunity_19_a_provider_or_service_is_let_in_as_the_plain_model_says(
        world in world(),
        document in trust_of_others(),
        caller in prop::sample::select(&OTHERS[..]),
    ) {
        let world = World { resource: ROLE.to_owned(), ..world };
        let expected = world.layer_of(&[&document], |statement| is_about_other(caller, statement));
        let policy = TrustPolicy::parse(&document.to_string()).unwrap();
        let keys = world.condition_keys();
        let request = RequestContext { action: &world.action, resource: ROLE, keys: &keys };
        let asks = match caller {
            ("Federated", name) => TrustCaller::Federated(name),
            (_, name) => TrustCaller::Service(name),
        };
        prop_assert_eq!(evaluate_trust(&policy, &asks, &request).decision, expected);
        // No account has policies for them.
        let assumed = PrincipalArn::parse(ROLE).unwrap();
        let evaluation = evaluate_assume_role(&[], None, &policy, &asks, &assumed, &request);
        prop_assert_eq!(evaluation.decision, expected);
    }

    #[test]
    fn immunity_19_a_role_is_assumed_as_the_plain_model_says(
        world in world(),
        document in trust(),
        caller in prop::sample::select(&CALLERS[..]),
    ) {
        let world = World { resource: ROLE.to_owned(), ..world };
        let identity = world.layer(&world.documents.iter().collect::<Vec<_>>());
        let session = world.session.as_ref().map_or(Decision::Allow, |session| world.layer(&[session]));
        let trusting = world.layer_of(&[&document], |statement| caller.is_about(statement));
        let by_itself = world.layer_of(&[&document], |statement| {
            statement["Effect"] == "Allow" && caller.is_named_itself(statement)
        });
        // In the role's own account, to be named is enough; else both sides have to allow.
        let enough = by_itself == Decision::Allow && caller.account == "111122223333";
        let all = [identity, session, trusting];
        let expected = if all.contains(&Decision::ExplicitDeny) {
            Decision::ExplicitDeny
        } else if trusting == Decision::Allow
            && session == Decision::Allow
            && (enough || identity == Decision::Allow)
        {
            Decision::Allow
        } else {
            Decision::ImplicitDeny
        };

        let parse = |value: &Value| PolicyDocument::parse(&value.to_string()).unwrap();
        let documents: Vec<PolicyDocument> = world.documents.iter().map(parse).collect();
        let named: Vec<_> =
            documents.iter().map(|document| NamedDocument { name: "p", document }).collect();
        let narrowing = world.session.as_ref().map(parse);
        let policy = TrustPolicy::parse(&document.to_string()).unwrap();
        let keys = world.condition_keys();
        let request = RequestContext { action: &world.action, resource: ROLE, keys: &keys };
        let (arn, role) = (PrincipalArn::parse(caller.arn).unwrap(), caller.role.map(|role| PrincipalArn::parse(role).unwrap()));
        let id = PrincipalId::parse(caller.id).unwrap();
        let asks = TrustCaller::Aws { principal: &arn, role: role.as_ref(), id: &id };
        let assumed = PrincipalArn::parse(ROLE).unwrap();
        let evaluation =
            evaluate_assume_role(&named, narrowing.as_ref(), &policy, &asks, &assumed, &request);
        prop_assert_eq!(evaluation.decision, expected);
    }
}
