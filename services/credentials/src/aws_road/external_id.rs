//! The external id: what keeps one tenant of the hub from the roles of another, which trust the same hub.
//!
//! AWS calls the danger the confused deputy (IAM user guide, "The confused deputy problem"): whoever may have the hub assume roles
//! could name anybody's role that trusts the hub. So the hub, and no tenant, makes what it names: a digest of the hub's id, the
//! cluster's uid, the namespace and the ServiceAccount. A role that demands it is of use to that ServiceAccount alone, on this hub,
//! and to no cluster that takes the name of a former one. It is no secret.

use aws_lc_rs::digest::{Context, SHA256};
use lanyard_api::{ClusterUid, HubId};

/// What is digested first, so that no digest of anything else is an external id.
const DOMAIN: &str = "lanyard external id 1";
/// What it begins with.
const PREFIX: &str = "lanyard-";

/// The external id of a ServiceAccount: `lanyard-` and 64 hex digits, within AWS STS's 2 to 1224 of `[\w+=,.@:/-]`.
#[must_use]
pub fn external_id(hub: HubId, cluster: ClusterUid, namespace: &str, service_account: &str) -> String {
    let mut digest = Context::new(&SHA256);
    digest.update(&encoded(&[DOMAIN, &hub.to_string(), &cluster.to_string(), namespace, service_account]));
    let hex: String = digest.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    [PREFIX, &hex].concat()
}

/// Parts, each after its length: different parts are different bytes.
fn encoded(parts: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend(part.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hub() -> HubId {
        "b3e0c0de-0000-4000-8000-000000000001".parse().unwrap()
    }

    fn cluster() -> ClusterUid {
        "b3e0c0de-0000-4000-8000-000000000002".parse().unwrap()
    }

    #[test]
    fn it_is_the_same_for_good_and_another_for_each_part() {
        let id = external_id(hub(), cluster(), "team-a", "bot");
        assert_eq!(id, "lanyard-49559eb7e15e696006cb74703602dbea3c2e0c76f8aaa0af3c140ed6bf1b469e");
        let fits = |c: char| c.is_ascii_alphanumeric() || "_+=,.@:/-".contains(c);
        assert!((2..=1_224).contains(&id.len()) && id.chars().all(fits), "{id}");
        let others = [
            external_id("b3e0c0de-0000-4000-8000-000000000003".parse().unwrap(), cluster(), "team-a", "bot"),
            external_id(hub(), ClusterUid::random(), "team-a", "bot"),
            external_id(hub(), cluster(), "team-b", "bot"),
            external_id(hub(), cluster(), "team-a", "bot2"),
            // Moved across a border.
            external_id(hub(), cluster(), "team-ab", "ot"),
            external_id(hub(), cluster(), "team-a/bot", ""),
        ];
        for other in others {
            assert_ne!(other, id);
        }
    }

    proptest! {
        /// immunity 12: no two lists of parts are the same bytes.
        #[test]
        fn immunity_12_parts_are_told_apart(
            one in prop::collection::vec("\\PC{0,9}", 0..5),
            other in prop::collection::vec("\\PC{0,9}", 0..5),
        ) {
            let bytes = |parts: &[String]| encoded(&parts.iter().map(String::as_str).collect::<Vec<_>>());
            prop_assert_eq!(bytes(&one) == bytes(&other), one == other);
        }

        /// A letter that moves over the border of namespace and name makes another id.
        #[test]
        fn immunity_12_two_service_accounts_have_two_ids(text in "[a-z0-9-]{2,40}", at in 1usize..39) {
            let at = at.min(text.len() - 1);
            let id = |at: usize| external_id(hub(), cluster(), &text[..at], &text[at..]);
            prop_assert_ne!(id(at), id(at - 1));
            prop_assert_eq!(id(at), id(at));
        }
    }
}
