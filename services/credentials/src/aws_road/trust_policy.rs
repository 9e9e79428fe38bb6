//! The trust policies that roles need, as JSON for people to put there.

use lanyard_iam::{AccountId, Partition};
use serde::Serialize;
use serde_json::{Value, json};

use super::{issuer::AUDIENCE, subject};

/// A policy document, in the order that people read it in.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    version: &'static str,
    statement: Vec<Statement>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    sid: &'static str,
    effect: &'static str,
    principal: Value,
    action: &'static str,
    condition: Value,
}

/// The session tags (EKS): a role takes these and no others from the hub.
const TAG_KEYS: [&str; 6] = [
    "eks-cluster-arn",
    "eks-cluster-name",
    "kubernetes-namespace",
    "kubernetes-service-account",
    "kubernetes-pod-name",
    "kubernetes-pod-uid",
];

/// Lets the hub's principal in that names the external id, and tag the session with the six tags. The two stand apart, as AWS's own
/// examples have it: the id is a condition of assuming, the keys one of tagging (IAM user guide, "Passing session tags in STS").
#[must_use]
pub fn hub_principal_policy(principal: &str, external_id: &str) -> String {
    let principal = json!({ "AWS": principal });
    written(vec![
        Statement {
            sid: "LanyardAssumesForOneServiceAccount",
            effect: "Allow",
            principal: principal.clone(),
            action: "sts:AssumeRole",
            condition: json!({ "StringEquals": { "sts:ExternalId": external_id } }),
        },
        tagging("LanyardTagsTheSession", principal),
    ])
}

/// Lets the ServiceAccount's tokens of the cluster's issuer in, and the tags that they bear. `provider` is the issuer's provider, by
/// ARN (`provider_arn`), `issuer` its URL without the scheme.
#[must_use]
pub fn issuer_policy(provider: &str, issuer: &str, namespace: &str, service_account: &str) -> String {
    let principal = json!({ "Federated": provider });
    let keys = [
        (format!("{issuer}:aud"), AUDIENCE.to_owned()),
        (format!("{issuer}:sub"), subject(namespace, service_account)),
    ];
    let keys: serde_json::Map<String, Value> =
        keys.map(|(key, value)| (key, value.into())).into_iter().collect();
    written(vec![
        Statement {
            sid: "OneServiceAccountOfTheCluster",
            effect: "Allow",
            principal: principal.clone(),
            action: "sts:AssumeRoleWithWebIdentity",
            condition: json!({ "StringEquals": keys }),
        },
        tagging("ItsTokensTagTheSession", principal),
    ])
}

fn tagging(sid: &'static str, principal: Value) -> Statement {
    Statement {
        sid,
        effect: "Allow",
        principal,
        action: "sts:TagSession",
        condition: json!({ "ForAllValues:StringEquals": { "aws:TagKeys": TAG_KEYS } }),
    }
}

fn written(statement: Vec<Statement>) -> String {
    // Of these parts every value can be written.
    serde_json::to_string_pretty(&Document { version: "2012-10-17", statement }).unwrap_or_default()
}

/// The issuer as IAM names it: its URL without the scheme (IAM user guide, "Create an OpenID Connect identity provider").
pub(super) fn without_scheme(issuer_url: &str) -> &str {
    issuer_url.strip_prefix("https://").unwrap_or(issuer_url)
}

/// The OIDC provider of an account for an issuer.
pub(super) fn provider_arn(partition: Partition, account: AccountId, issuer_url: &str) -> String {
    format!("arn:{partition}:iam::{account}:oidc-provider/{}", without_scheme(issuer_url))
}

#[cfg(test)]
mod tests {
    use lanyard_iam::{
        ConditionKeys, PrincipalArn, PrincipalId, RequestContext, TrustPolicy,
        policy::{Decision, TrustCaller, evaluate_trust},
    };

    use super::*;

    const HUB: &str = "arn:aws:iam::111122223333:role/lanyard/hub";
    const ROLE: &str = "arn:aws:iam::444455556666:role/app";
    const ISSUER: &str = "hub.example/id/7";

    fn decision(policy: &str, caller: &TrustCaller<'_>, action: &str, said: &[(&str, &str)]) -> Decision {
        let mut keys = ConditionKeys::new();
        for (key, value) in said {
            keys.set(key, *value);
        }
        let policy = TrustPolicy::parse(policy).unwrap();
        evaluate_trust(&policy, caller, &RequestContext { action, resource: ROLE, keys: &keys }).decision
    }

    #[test]
    fn the_policies_are_written_so_that_people_can_read_them() {
        let text = hub_principal_policy(HUB, "lanyard-1");
        assert_eq!(
            text.lines().take(15).collect::<Vec<_>>(),
            [
                "{",
                "  \"Version\": \"2012-10-17\",",
                "  \"Statement\": [",
                "    {",
                "      \"Sid\": \"LanyardAssumesForOneServiceAccount\",",
                "      \"Effect\": \"Allow\",",
                "      \"Principal\": {",
                "        \"AWS\": \"arn:aws:iam::111122223333:role/lanyard/hub\"",
                "      },",
                "      \"Action\": \"sts:AssumeRole\",",
                "      \"Condition\": {",
                "        \"StringEquals\": {",
                "          \"sts:ExternalId\": \"lanyard-1\"",
                "        }",
                "      }",
            ]
        );
    }

    #[test]
    fn the_hub_is_let_in_with_the_external_id_alone() {
        let policy = hub_principal_policy(HUB, "lanyard-1");
        let (hub, other) = (PrincipalArn::parse(HUB).unwrap(), PrincipalArn::parse(ROLE).unwrap());
        let id = PrincipalId::parse("AROAHUB").unwrap();
        let as_hub = TrustCaller::Aws { principal: &hub, role: None, id: &id };
        let as_other = TrustCaller::Aws { principal: &other, role: None, id: &id };
        let right: &[(&str, &str)] = &[("sts:ExternalId", "lanyard-1")];
        type Case<'c> = (&'c TrustCaller<'c>, &'c str, &'c [(&'c str, &'c str)], Decision);
        let cases: [Case<'_>; 6] = [
            (&as_hub, "sts:AssumeRole", right, Decision::Allow),
            (&as_hub, "sts:AssumeRole", &[], Decision::ImplicitDeny),
            (&as_hub, "sts:AssumeRole", &[("sts:ExternalId", "lanyard-2")], Decision::ImplicitDeny),
            (&as_other, "sts:AssumeRole", right, Decision::ImplicitDeny),
            (&as_hub, "sts:TagSession", &[("aws:TagKeys", "kubernetes-namespace")], Decision::Allow),
            (&as_hub, "sts:TagSession", &[("aws:TagKeys", "team")], Decision::ImplicitDeny),
        ];
        for (place, (caller, action, said, expected)) in cases.into_iter().enumerate() {
            assert_eq!(decision(&policy, caller, action, said), expected, "case {place}");
        }
    }

    #[test]
    fn the_issuer_is_let_in_for_one_service_account_and_one_audience() {
        let account = "444455556666".parse().unwrap();
        let provider = provider_arn(Partition::Aws, account, "https://hub.example/id/7");
        assert_eq!(provider, "arn:aws:iam::444455556666:oidc-provider/hub.example/id/7");
        let policy = issuer_policy(&provider, ISSUER, "team-a", "bot");
        let caller = TrustCaller::Federated(&provider);
        let sub = "hub.example/id/7:sub";
        let aud = "hub.example/id/7:aud";
        let own = "system:serviceaccount:team-a:bot";
        let cases: [(&[(&str, &str)], Decision); 5] = [
            (&[(sub, own), (aud, "sts.amazonaws.com")], Decision::Allow),
            (&[(sub, own), (aud, "kubernetes")], Decision::ImplicitDeny),
            (
                &[(sub, "system:serviceaccount:team-a:bot2"), (aud, "sts.amazonaws.com")],
                Decision::ImplicitDeny,
            ),
            (
                &[(sub, "system:serviceaccount:team-b:bot"), (aud, "sts.amazonaws.com")],
                Decision::ImplicitDeny,
            ),
            (&[(aud, "sts.amazonaws.com")], Decision::ImplicitDeny),
        ];
        for (said, expected) in cases {
            assert_eq!(
                decision(&policy, &caller, "sts:AssumeRoleWithWebIdentity", said),
                expected,
                "{said:?}"
            );
        }
    }
}
