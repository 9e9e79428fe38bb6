//! The session that a pod gets: its name, tags and life (EKS user guide, "Pod Identity" and "Session tags").

use std::collections::BTreeMap;

use lanyard_api::mapping::Cluster;
use uuid::Uuid;

use super::source::PodIdentity;

/// How long the credentials of an association's role live at most, in seconds (EKS).
pub(crate) const SECONDS_MAX: u32 = 6 * 3_600;
/// The same of a target role: a chained session lives an hour at most, and EKS asks for a minute less.
pub(crate) const TARGET_SECONDS_MAX: u32 = 59 * 60;
/// Longest name of a session (AWS STS).
const NAME_CHARS_MAX: usize = 64;
/// What is left of it for the names of cluster and pod, between `eks-`, two hyphens and a UUID.
const NAMES_CHARS_MAX: usize = NAME_CHARS_MAX - "eks---".len() - 36;

/// `eks-<cluster>-<pod>-<uuid>`. Where that is too long cluster and pod are cut, and never the UUID, so that no two sessions have
/// one name; the pod's is cut last, for it tells more.
pub(crate) fn name(cluster: &str, pod: &str, id: Uuid) -> String {
    let kept_of_cluster = cluster.len().min(NAMES_CHARS_MAX / 2);
    let pod = cut(pod, NAMES_CHARS_MAX - kept_of_cluster);
    let cluster = cut(cluster, NAMES_CHARS_MAX - pod.len());
    format!("eks-{cluster}-{pod}-{id}")
}

/// Names of Kubernetes and EKS are ASCII.
fn cut(text: &str, bytes_max: usize) -> &str {
    text.get(..text.len().min(bytes_max)).unwrap_or_default()
}

/// The six session tags.
pub(crate) fn tags(cluster: &Cluster, pod: &PodIdentity) -> BTreeMap<String, String> {
    let tags = [
        ("eks-cluster-arn", cluster.arn()),
        ("eks-cluster-name", cluster.name.clone()),
        ("kubernetes-namespace", pod.namespace.clone()),
        ("kubernetes-service-account", pod.service_account.clone()),
        ("kubernetes-pod-name", pod.pod.clone()),
        ("kubernetes-pod-uid", pod.pod_uid.clone()),
    ];
    tags.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use lanyard_iam::is_session_name;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_tells_cluster_and_pod_and_is_cut_before_its_uuid() {
        let id = Uuid::nil();
        let cases = [
            ("dev", "web-1", "eks-dev-web-1-"),
            ("dev", "web-7d4b9c5f6-x2x5p", "eks-dev-web-7d4b9c5f6-x2x5p-"),
            ("dev", "a-pod-with-a-very-long-name", "eks-dev-a-pod-with-a-very-l-"),
            ("a-cluster-of-some-length", "web", "eks-a-cluster-of-some-l-web-"),
            ("a-cluster-of-some-length", "a-pod-with-a-name", "eks-a-cluster-o-a-pod-with--"),
        ];
        for (cluster, pod, begins) in cases {
            let name = name(cluster, pod, id);
            assert_eq!(name, format!("{begins}{id}"), "{cluster} {pod}");
        }
    }

    proptest! {
        #[test]
        fn every_name_is_one_of_a_session_and_ends_in_its_uuid(
            cluster in "[0-9A-Za-z][A-Za-z0-9_-]{0,99}", pod in "[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", bits in any::<u128>(),
        ) {
            let id = Uuid::from_u128(bits);
            let name = name(&cluster, &pod, id);
            prop_assert!(is_session_name(&name) && name.ends_with(&id.to_string()), "{}", name);
            let whole = format!("eks-{cluster}-{pod}-{id}");
            prop_assert!(name.len() == NAME_CHARS_MAX || name == whole, "{}", name);
        }
    }
}
