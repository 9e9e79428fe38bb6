//! By which road a pod gets its role, and with what token: of its ServiceAccount's annotations, its own, and its association.

use lanyard_api::credentials::ServiceAccount;
use serde_json::Value;

/// Turns IRSA on: the role's ARN.
const ROLE_ARN: &str = "eks.amazonaws.com/role-arn";
/// For whom the token is.
const AUDIENCE: &str = "eks.amazonaws.com/audience";
/// Whether STS is asked in the region.
const REGIONAL_STS: &str = "eks.amazonaws.com/sts-regional-endpoints";
/// How long the token lasts, in seconds; the pod's own wins.
const TOKEN_EXPIRATION: &str = "eks.amazonaws.com/token-expiration";

/// For whom the token of IRSA is where nothing else is said.
const STS_AUDIENCE: &str = "sts.amazonaws.com";
/// For whom the token of Pod Identity is.
pub(super) const POD_IDENTITY_AUDIENCE: &str = "pods.eks.amazonaws.com";

/// The shortest life of a token, in seconds (Kubernetes, `expirationSeconds`).
const EXPIRATION_SECONDS_MIN: i64 = 600;
/// The longest that Kubernetes takes.
const EXPIRATION_SECONDS_MAX: i64 = 1 << 32;
/// Where nothing is said (EKS Pod Identity webhook).
const EXPIRATION_SECONDS: i64 = 86_400;
/// Pod Identity tokens of the default life are made shorter by up to so much, so that those of a rollout are not all renewed at once.
pub(super) const JITTER_SECONDS_MAX: u32 = 7_200;

/// The road.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Road {
    /// The pod's SDK brings its token to STS.
    Irsa {
        /// The role.
        role_arn: String,
    },
    /// The pod's SDK asks the node's agent.
    PodIdentity,
}

/// What a pod is to get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) road: Road,
    pub(super) audience: String,
    pub(super) expiration_seconds: i64,
    pub(super) regional_sts: bool,
}

impl Identity {
    /// What a pod gets whose ServiceAccount has, or has not, an association: that wins over the annotation. None where neither says
    /// anything. `jitter_seconds` is a random number below [`JITTER_SECONDS_MAX`].
    pub(super) fn of(
        pod: &Value,
        service_account: Option<&ServiceAccount>,
        is_associated: bool,
        regional_sts: bool,
        jitter_seconds: u32,
    ) -> Option<Self> {
        let annotation = |key: &str| service_account.and_then(|account| account.annotations.get(key));
        let (road, audience) = if is_associated {
            (Road::PodIdentity, POD_IDENTITY_AUDIENCE.to_owned())
        } else {
            let role_arn = annotation(ROLE_ARN).filter(|arn| !arn.is_empty())?.clone();
            let audience = annotation(AUDIENCE).filter(|audience| !audience.is_empty());
            (Road::Irsa { role_arn }, audience.cloned().unwrap_or_else(|| STS_AUDIENCE.to_owned()))
        };
        let own = pod.pointer("/metadata/annotations").and_then(|own| own.get(TOKEN_EXPIRATION));
        let asked = own.and_then(Value::as_str).and_then(seconds);
        let asked = asked.or_else(|| annotation(TOKEN_EXPIRATION).and_then(|text| seconds(text)));
        let expiration_seconds = match (asked, &road) {
            (None, Road::PodIdentity) => {
                EXPIRATION_SECONDS - i64::from(jitter_seconds.min(JITTER_SECONDS_MAX))
            }
            (asked, _) => asked.unwrap_or(EXPIRATION_SECONDS),
        };
        let regional_sts = annotation(REGIONAL_STS).and_then(|text| boolean(text)).unwrap_or(regional_sts);
        Some(Self { road, audience, expiration_seconds, regional_sts })
    }
}

/// A life of a token; none where the text is no number.
fn seconds(text: &str) -> Option<i64> {
    let asked: i64 = text.parse().ok()?;
    Some(asked.clamp(EXPIRATION_SECONDS_MIN, EXPIRATION_SECONDS_MAX))
}

/// As Go reads a boolean (`strconv.ParseBool`); none where it would not.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    const ARN: &str = "arn:aws:iam::111122223333:role/app";

    fn account(annotations: &[(&str, &str)]) -> ServiceAccount {
        let annotations =
            annotations.iter().map(|(key, value)| (format!("eks.amazonaws.com/{key}"), (*value).to_owned()));
        ServiceAccount {
            namespace: "n".to_owned(),
            name: "bot".to_owned(),
            uid: "1".to_owned(),
            annotations: BTreeMap::from_iter(annotations),
        }
    }

    fn of(annotations: &[(&str, &str)], is_associated: bool) -> Option<Identity> {
        Identity::of(&json!({}), Some(&account(annotations)), is_associated, true, 0)
    }

    #[test]
    fn an_association_wins_over_the_annotation_and_without_either_there_is_nothing() {
        assert_eq!(of(&[], false), None);
        assert_eq!(of(&[("role-arn", "")], false), None);
        assert_eq!(Identity::of(&json!({}), None, false, true, 0), None);
        let irsa = of(&[("role-arn", ARN)], false).unwrap();
        assert_eq!(irsa.road, Road::Irsa { role_arn: ARN.to_owned() });
        assert_eq!(irsa.audience, "sts.amazonaws.com");
        for annotations in [&[("role-arn", ARN), ("audience", "mine")][..], &[]] {
            let both = of(annotations, true).unwrap();
            assert_eq!((both.road, both.audience.as_str()), (Road::PodIdentity, "pods.eks.amazonaws.com"));
        }
        let unseen = Identity::of(&json!({}), None, true, true, 0).unwrap();
        assert_eq!(unseen.road, Road::PodIdentity, "an association needs no look at the ServiceAccount");
        let odd = of(&[("role-arn", "no arn"), ("audience", "mine")], false).unwrap();
        assert_eq!((odd.road, odd.audience.as_str()), (Road::Irsa { role_arn: "no arn".to_owned() }, "mine"));
    }

    #[test]
    fn a_token_lasts_as_the_pod_says_then_as_the_service_account_says_within_kubernetes_bounds() {
        let pod = |text: &str| json!({ "metadata": { "annotations": { TOKEN_EXPIRATION: text } } });
        let cases = [
            (json!({}), None, 86_400),
            (json!({}), Some("3600"), 3_600),
            (pod("7200"), Some("3600"), 7_200),
            (pod("soon"), Some("3600"), 3_600),
            (pod("soon"), None, 86_400),
            (pod("60"), None, 600),
            (pod("-5"), None, 600),
            (pod("99999999999"), None, 4_294_967_296),
            (pod("100000000000000000000"), None, 86_400),
            (json!({ "metadata": { "annotations": { TOKEN_EXPIRATION: 7200 } } }), None, 86_400),
        ];
        for (pod, own, expected) in cases {
            let mut annotations = vec![("role-arn", ARN)];
            annotations.extend(own.map(|own| ("token-expiration", own)));
            let found = Identity::of(&pod, Some(&account(&annotations)), false, true, 7_000).unwrap();
            assert_eq!(found.expiration_seconds, expected, "{pod} {own:?}");
        }
    }

    #[test]
    fn tokens_of_pod_identity_do_not_all_end_at_once() {
        let at = |jitter, pod| Identity::of(&pod, None, true, true, jitter).unwrap().expiration_seconds;
        let asked = || json!({ "metadata": { "annotations": { TOKEN_EXPIRATION: "3600" } } });
        assert_eq!([at(0, json!({})), at(7_200, json!({})), at(9_999, json!({}))], [86_400, 79_200, 79_200]);
        assert_eq!(at(7_200, asked()), 3_600, "what is asked for stays");
    }

    #[test]
    fn regional_sts_is_a_boolean_as_go_reads_one_and_anything_else_is_ignored() {
        for (text, by_default, expected) in [
            ("true", false, true),
            ("1", false, true),
            ("false", true, false),
            ("F", true, false),
            ("yes", true, true),
            ("yes", false, false),
            ("", false, false),
        ] {
            let account = account(&[("role-arn", ARN), ("sts-regional-endpoints", text)]);
            let found = Identity::of(&json!({}), Some(&account), false, by_default, 0).unwrap();
            assert_eq!(found.regional_sts, expected, "{text} {by_default}");
        }
    }
}
