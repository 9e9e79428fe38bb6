//! Whom the ARNs of a trust policy mean: the principals that bore them when it was written.
//!
//! IAM keeps a user or role in a trust policy by its unique id, so that one that is made anew under the same name is not trusted, and
//! shows the id where the principal is gone (IAM User Guide, "AWS JSON policy elements: Principal").

use std::collections::BTreeMap;

use serde_json::Value;

use super::document::TrustPolicy;
use super::principal::PrincipalElement;
use crate::arn::{PrincipalArn, PrincipalKind};
use crate::id::PrincipalId;

/// The elements that name principals, and the kind among them that has ARNs of users and roles.
const ELEMENTS: [&str; 2] = ["Principal", "NotPrincipal"];
const AWS: &str = "AWS";

impl TrustPolicy {
    /// The users and roles that it names by ARN, in whatever statement.
    pub fn named_principals(&self) -> impl Iterator<Item = &PrincipalArn> {
        self.elements()
            .flat_map(PrincipalElement::arns)
            .filter(|arn| matches!(arn.kind, PrincipalKind::User { .. } | PrincipalKind::Role { .. }))
    }

    /// The unique ids that it names.
    pub fn named_ids(&self) -> impl Iterator<Item = &PrincipalId> {
        self.elements().flat_map(PrincipalElement::ids)
    }

    /// The same policy where each of these ARNs means the principal of its unique id, and nobody who bears the ARN later. Other
    /// ARNs mean whoever bears them.
    #[must_use]
    pub fn meaning(mut self, ids: &BTreeMap<String, String>) -> Self {
        if !ids.is_empty() {
            for statement in &mut self.statements {
                statement.principals.iter_mut().for_each(|element| element.mean(ids));
            }
        }
        self
    }

    /// The policy as JSON that names these principals by their unique ids in place of their ARNs.
    #[must_use]
    pub fn showing_ids(&self, ids: &BTreeMap<String, String>) -> String {
        let document = (!ids.is_empty()).then(|| serde_json::from_str(self.source()).ok()).flatten();
        let Some(mut document): Option<Value> = document else { return self.source().to_owned() };
        let statements = match document.get_mut("Statement") {
            Some(Value::Array(statements)) => statements.iter_mut().collect(),
            Some(statement) => vec![statement],
            None => Vec::new(),
        };
        for statement in statements {
            for element in ELEMENTS {
                let named = match statement.get_mut(element).and_then(|element| element.get_mut(AWS)) {
                    Some(Value::Array(named)) => named.iter_mut().collect(),
                    Some(named) => vec![named],
                    None => Vec::new(),
                };
                for name in named {
                    if let Some(id) = name.as_str().and_then(|arn| ids.get(arn)) {
                        *name = Value::from(id.as_str());
                    }
                }
            }
        }
        document.to_string()
    }

    fn elements(&self) -> impl Iterator<Item = &PrincipalElement> {
        self.statements.iter().filter_map(|statement| statement.principals.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::policy::{
        ConditionKeys, Decision, RequestContext,
        trust::{Named, TrustCaller, evaluate_trust},
    };

    const VIC: &str = "arn:aws:iam::111122223333:user/team/vic";
    const CI: &str = "arn:aws:iam::111122223333:role/ci";
    const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/ci/build";
    const VIC_ID: &str = "AIDALANYARDVICVICVIC1";
    const CI_ID: &str = "AROALANYARDCICICICIC1";

    fn ids() -> BTreeMap<String, String> {
        [(VIC, VIC_ID), (CI, CI_ID)].map(|(arn, id)| (arn.to_owned(), id.to_owned())).into()
    }

    /// How the policy names a caller; none where it refuses them.
    fn named(policy: &TrustPolicy, arn: &str, role: Option<&str>, id: &str) -> Option<Named> {
        let (principal, role) = (arn.parse().unwrap(), role.map(|role| role.parse().unwrap()));
        let (id, keys) = (PrincipalId::parse(id).unwrap(), ConditionKeys::new());
        let caller = TrustCaller::Aws { principal: &principal, role: role.as_ref(), id: &id };
        let request = RequestContext { action: "sts:AssumeRole", resource: CI, keys: &keys };
        let evaluation = evaluate_trust(policy, &caller, &request);
        (evaluation.decision == Decision::Allow).then_some(evaluation.named).flatten()
    }

    fn trusting(element: &str, effect: &str, named: &Value) -> Value {
        json!({"Effect": effect, element: {"AWS": named}, "Action": "sts:AssumeRole"})
    }

    fn policy(statements: &Value) -> TrustPolicy {
        TrustPolicy::parse(&json!({"Version": "2012-10-17", "Statement": statements}).to_string()).unwrap()
    }

    #[test]
    fn who_is_made_anew_under_an_old_name_is_not_trusted() {
        let written = policy(&trusting("Principal", "Allow", &json!([VIC, CI])));
        let known = written.clone().meaning(&ids());
        let another = ("AIDALANYARDANOTHER001", "AROALANYARDANOTHER001");
        for (policy, of_another) in [(&written, Some(Named::Itself)), (&known, None)] {
            assert_eq!(named(policy, VIC, None, VIC_ID), Some(Named::Itself));
            assert_eq!(named(policy, VIC, None, another.0), of_another);
            assert_eq!(named(policy, SESSION, Some(CI), CI_ID), Some(Named::Itself));
            assert_eq!(named(policy, SESSION, None, CI_ID), Some(Named::Itself));
            assert_eq!(named(policy, SESSION, Some(CI), another.1), of_another);
            assert_eq!(named(policy, SESSION, None, another.1), of_another);
        }
        let partly = policy(&trusting("Principal", "Allow", &json!([VIC, CI])))
            .meaning(&[(VIC.to_owned(), VIC_ID.to_owned())].into());
        assert_eq!(named(&partly, SESSION, Some(CI), another.1), Some(Named::Itself), "nobody knows its id");
    }

    #[test]
    fn a_refusal_follows_the_principal_too() {
        let all = trusting("Principal", "Allow", &json!("111122223333"));
        let refused = policy(&json!([all, trusting("Principal", "Deny", &json!(VIC))])).meaning(&ids());
        assert_eq!(named(&refused, VIC, None, VIC_ID), None);
        assert_eq!(named(&refused, VIC, None, "AIDALANYARDANOTHER001"), Some(Named::Account));
        let account = "arn:aws:iam::111122223333:root";
        let but = json!([all, trusting("NotPrincipal", "Deny", &json!([account, VIC, CI]))]);
        let excepted = policy(&but).meaning(&ids());
        assert_eq!(named(&excepted, VIC, None, VIC_ID), Some(Named::Account));
        assert_eq!(named(&excepted, VIC, None, "AIDALANYARDANOTHER001"), None);
        assert_eq!(named(&excepted, SESSION, Some(CI), CI_ID), Some(Named::Account));
        assert_eq!(named(&excepted, SESSION, Some(CI), "AROALANYARDANOTHER001"), None);
    }

    #[test]
    fn it_says_whom_it_names() {
        let names = json!([VIC, CI, SESSION, VIC_ID, "111122223333", "arn:aws:iam::111122223333:root"]);
        let policy = policy(&json!([
            trusting("Principal", "Allow", &names),
            trusting("NotPrincipal", "Deny", &json!([VIC, CI_ID])),
        ]));
        let arns: Vec<_> = policy.named_principals().map(ToString::to_string).collect();
        assert_eq!(arns, [VIC, CI, VIC]);
        assert_eq!(policy.named_ids().map(PrincipalId::as_str).collect::<Vec<_>>(), [VIC_ID, CI_ID]);
        let known = policy.clone().meaning(&ids());
        assert_eq!(known.named_principals().map(ToString::to_string).collect::<Vec<_>>(), arns);
    }

    #[test]
    fn who_is_gone_is_shown_by_the_id_where_principals_are_named_and_nowhere_else() {
        let mut statement = trusting("Principal", "Allow", &json!([VIC, CI]));
        statement["Condition"] = json!({"StringEquals": {"aws:PrincipalArn": VIC}});
        let text =
            json!({"Statement": [statement, trusting("NotPrincipal", "Deny", &json!(VIC))]}).to_string();
        let policy = TrustPolicy::parse(&text).unwrap();
        assert_eq!(policy.showing_ids(&BTreeMap::new()), text);
        let gone = [(VIC.to_owned(), VIC_ID.to_owned())].into();
        let shown: Value = serde_json::from_str(&policy.showing_ids(&gone)).unwrap();
        let statements = shown["Statement"].as_array().unwrap();
        assert_eq!(statements[0]["Principal"], json!({"AWS": [VIC_ID, CI]}));
        assert_eq!(statements[0]["Condition"]["StringEquals"]["aws:PrincipalArn"], VIC);
        assert_eq!(statements[1]["NotPrincipal"], json!({"AWS": VIC_ID}));
        // Read again it means the same.
        let again = TrustPolicy::parse(&shown.to_string()).unwrap();
        assert_eq!(again.named_ids().map(PrincipalId::as_str).collect::<Vec<_>>(), [VIC_ID, VIC_ID]);
        let single =
            TrustPolicy::parse(&json!({"Statement": trusting("Principal", "Allow", &json!(CI))}).to_string());
        let shown: Value = serde_json::from_str(&single.unwrap().showing_ids(&ids())).unwrap();
        assert_eq!(shown["Statement"]["Principal"]["AWS"], CI_ID);
    }
}
