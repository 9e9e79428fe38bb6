//! Actions of a policy document that no call to a hub is weighed by: slips, or what is AWS's alone.

use std::collections::BTreeSet;

use lanyard_api::{
    aws_wire::OPERATIONS,
    methods::{Action, MANAGED},
};
use lanyard_iam::{arn::name_matches, shown};
use serde_json::Value;

use crate::input::meant;

/// Whose actions a hub knows. Of others a document may speak that is AWS's too.
const SERVICES: [&str; 5] = ["eks", "eks-auth", "iam", "sts", "lanyard"];
/// What calls are weighed by beside the action of their method.
const BESIDE: [&str; 5] = [
    "iam:PassRole",
    "lanyard:CreateAccessEntryForSeveral",
    "sts:AssumeRoleWithWebIdentity",
    "sts:SetSourceIdentity",
    "sts:TagSession",
];
/// Most notices about one document.
const NOTICES_MAX: usize = 5;

/// A notice for each action that nothing asks for. What is no policy document is the hub's to refuse.
pub(super) fn notices(document: &str) -> Vec<String> {
    let Ok(document) = serde_json::from_str::<Value>(document) else { return Vec::new() };
    let known = known();
    let statements = document.get("Statement").into_iter().flat_map(several);
    let elements = statements.flat_map(|statement| {
        ["Action", "NotAction"].into_iter().filter_map(move |element| statement.get(element))
    });
    let unknown: BTreeSet<&str> = elements
        .flat_map(several)
        .filter_map(Value::as_str)
        .filter(|action| !may_be_asked_for(action, &known))
        .collect();
    let mut notices: Vec<String> =
        unknown.iter().take(NOTICES_MAX).map(|action| notice(action, &known)).collect();
    if let Some(more @ 1..) = unknown.len().checked_sub(NOTICES_MAX) {
        notices.push(format!("nor for {more} more of the document's actions"));
    }
    notices
}

fn several(value: &Value) -> &[Value] {
    match value {
        Value::Array(values) => values,
        one => std::slice::from_ref(one),
    }
}

fn known() -> Vec<&'static str> {
    let of_methods = MANAGED.iter().flat_map(|method| match method.action {
        Action::Always(action) => vec![action],
        Action::ByOwner { user, role } => vec![user, role],
    });
    let of_operations = OPERATIONS.into_iter().flatten().filter_map(|operation| operation.action);
    of_methods.chain(of_operations).chain(BESIDE).collect()
}

/// Whether an action, which may have wildcards, means one that is known; IAM tells them ignoring case.
fn may_be_asked_for(action: &str, known: &[&str]) -> bool {
    let is_own = |service: &str| SERVICES.iter().any(|own| own.eq_ignore_ascii_case(service));
    if action.split_once(':').is_none_or(|(service, _)| !is_own(service)) {
        return true;
    }
    let pattern = action.to_ascii_lowercase();
    known.iter().any(|known| name_matches(&pattern, &known.to_ascii_lowercase()))
}

fn notice(action: &str, known: &[&'static str]) -> String {
    let (service, operation) = action.split_once(':').unwrap_or(("", action));
    let parts = || known.iter().filter_map(|known| Some((*known, known.split_once(':')?)));
    let elsewhere = parts().find(|(_, (_, name))| name.eq_ignore_ascii_case(operation));
    let meant = match elsewhere {
        Some((known, _)) => format!(" (did you mean `{known}`?)"),
        None => {
            let of_service = parts().filter(|(_, (of, _))| of.eq_ignore_ascii_case(service));
            meant(operation, of_service.map(|(_, (_, name))| name))
        }
    };
    format!("no call to a hub asks for `{}`{meant}", shown(action))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(action: &str) -> Vec<String> {
        let statement = serde_json::json!({ "Effect": "Allow", "Action": action, "Resource": "*" });
        notices(&serde_json::json!({ "Version": "2012-10-17", "Statement": statement }).to_string())
    }

    #[test]
    fn what_calls_are_weighed_by_is_known_and_other_services_are_not_looked_at() {
        for action in [
            "eks:CreateAccessEntry",
            "EKS:createaccessentry",
            "eks:Describe*",
            "eks:*",
            "*",
            "iam:ListUserPolicies",
            "iam:ListRolePolicies",
            "eks:DescribeClusterVersions",
            "sts:TagSession",
            "lanyard:Explain",
            "s3:GetObject",
            "nonsense",
        ] {
            assert_eq!(of(action), Vec::<String>::new(), "{action}");
        }
        for document in ["", "[]", "{}", r#"{"Statement":[1,{"Action":2}]}"#] {
            assert_eq!(notices(document), Vec::<String>::new(), "{document}");
        }
    }

    #[test]
    fn a_slip_is_told_the_nearest_action() {
        let cases = [
            ("eks:CreateAcessEntry", "`eks:CreateAcessEntry` (did you mean `CreateAccessEntry`?)"),
            ("eks:WhoCan", "`eks:WhoCan` (did you mean `lanyard:WhoCan`?)"),
            ("iam:Frobnicate*", "`iam:Frobnicate*`"),
        ];
        for (action, said) in cases {
            let notices = of(action);
            assert!(notices.len() == 1 && notices[0].ends_with(said), "{notices:?}");
        }
    }

    #[test]
    fn of_many_some_are_named_and_the_others_counted() {
        let actions: Vec<String> = (0..8).map(|number| format!("eks:Nothing{number}Here")).collect();
        let document = serde_json::json!({ "Statement": [{ "NotAction": actions }] });
        let notices = notices(&document.to_string());
        assert_eq!(notices.len(), NOTICES_MAX + 1);
        assert_eq!(notices[NOTICES_MAX], "nor for 3 more of the document's actions");
    }
}
