//! What of a configuration does not go together.

use super::{AgentConfig, KubeletCheck, POD_CONNECTIONS_MAX, PodsFrom};

impl AgentConfig {
    /// What does not go together, with the key and what to do.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self) -> Result<(), String> {
        // A hub's clusters have ids, in which dots may stand; EKS Auth's have names.
        let is_good: fn(&str) -> bool = if self.hub.is_some() { is_cluster_id } else { is_cluster_name };
        if !is_good(&self.cluster_name) {
            return Err(format!(
                "cluster_name: `{}` is none; give --cluster-name, of 1 to 100 letters, digits, - and _, the first a letter or digit \
                 (with --hub also dots, but for the last)",
                self.cluster_name
            ));
        }
        match (&self.hub, &self.eks_auth) {
            (None, None) => {
                return Err(
                    "give --hub with --hub-ca, or --region for EKS Auth: credentials come from one of them"
                        .to_owned(),
                );
            }
            (Some(_), Some(_)) => {
                return Err(
                    "hub and eks_auth: credentials come from one of them; leave out --hub or --endpoint"
                        .to_owned(),
                );
            }
            (None, Some(endpoint)) if endpoint.sts_url.is_some() && endpoint.ca.is_none() => {
                return Err("eks_auth.sts_url: who vouches for the hub? Give --endpoint-ca beside --hub-sts"
                    .to_owned());
            }
            _ => {}
        }
        if self.bind_hosts.is_empty() && self.listen.is_empty() {
            return Err("bind_hosts: pods need an address to ask at".to_owned());
        }
        if self.workers == 0 {
            return Err("workers: 0 answers nobody, give at least 1".to_owned());
        }
        if self.cache.renewals_per_second == 0 {
            return Err("cache.renewals_per_second: 0 renews nothing, give at least 1".to_owned());
        }
        if self.cache.fetch_timeout_ms == 0 || self.kubelet.interval_ms == 0 {
            return Err("cache.fetch_timeout_ms, kubelet.interval_ms: give at least 1".to_owned());
        }
        let limits = &self.limits;
        let rates =
            [limits.pod_per_second, limits.pod_burst, limits.newcomer_per_second, limits.newcomer_burst];
        if rates.contains(&0) || limits.node_burst == 0 {
            return Err("limits: 0 lets nothing through, give at least 1".to_owned());
        }
        if !(1..=POD_CONNECTIONS_MAX).contains(&limits.pod_connections) {
            return Err(format!("limits.pod_connections: give 1 to {POD_CONNECTIONS_MAX}"));
        }
        if self.imds.block && !self.imds.manage_rules {
            return Err(
                "imds.block: with imds.manage_rules = false the agent writes no packet rules; leave out --imds-block or \
                 --imds-manage-rules=false"
                    .to_owned(),
            );
        }
        self.validate_kubelet()
    }

    fn validate_kubelet(&self) -> Result<(), String> {
        let kubelet = &self.kubelet;
        let check = self.kubelet_check();
        if self.imds.is_on() && check != KubeletCheck::On {
            return Err(
                "imds: on that road a pod is told by its address alone, which needs --kubelet-check=on"
                    .to_owned(),
            );
        }
        if check == KubeletCheck::Off {
            return Ok(());
        }
        match kubelet.pods_from {
            PodsFrom::Kubelet if kubelet.url.is_none() && kubelet.node_ip.is_none() => Err(
                "kubelet.node_ip: where is the kubelet? Give --node-ip (or NODE_IP from status.hostIP), --kubelet-url, or \
                 --kubelet-check=off"
                    .to_owned(),
            ),
            PodsFrom::ApiServer if kubelet.node_name.is_none() => Err(
                "kubelet.node_name: which node is this? Give --node-name (or NODE_NAME from spec.nodeName)".to_owned(),
            ),
            _ => Ok(()),
        }
    }
}

/// The rule of EKS Auth's model for `clusterName`.
fn is_cluster_name(name: &str) -> bool {
    is_cluster_id(name) && !name.contains('.')
}

/// The hub's rule for the ids of clusters.
fn is_cluster_id(id: &str) -> bool {
    let starts_well = id.starts_with(|first: char| first.is_ascii_alphanumeric());
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    starts_well && !id.ends_with('.') && id.len() <= 100 && id.bytes().all(is_fit)
}

#[cfg(test)]
mod tests {
    use lanyard_iam::Region;
    use serde_json::json;

    use super::*;
    use crate::config::EksAuthConfig;

    fn good() -> AgentConfig {
        serde_json::from_value(json!({
            "cluster_name": "dev",
            "hub": { "url": "https://hub.example:7443", "ca": "/ca.pem" },
            "kubelet": { "node_ip": "10.0.0.7" },
        }))
        .unwrap()
    }

    #[test]
    fn a_cluster_has_a_hubs_id_or_a_name_of_eks_auth() {
        let of_hub = good();
        let mut of_eks_auth = good();
        of_eks_auth.hub = None;
        let region = Region::parse("eu-west-1").unwrap();
        of_eks_auth.eks_auth = Some(EksAuthConfig { endpoint: None, ca: None, region, sts_url: None });
        for (name, is_id, is_name) in [
            ("dev", true, true),
            ("dev.k8s.example.com", true, false),
            ("dev.", false, false),
            (".dev", false, false),
            ("..", false, false),
            ("de/v", false, false),
        ] {
            let takes = |config: &AgentConfig| {
                AgentConfig { cluster_name: name.to_owned(), ..config.clone() }.validate().is_ok()
            };
            assert_eq!((takes(&of_hub), takes(&of_eks_auth)), (is_id, is_name), "{name}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_named() {
        assert_eq!(good().validate(), Ok(()));
        type Change = fn(&mut AgentConfig);
        let cases: [(Change, &str); 17] = [
            (|config| config.cluster_name.clear(), "cluster_name"),
            (|config| config.cluster_name = "-dev".to_owned(), "cluster_name"),
            (|config| config.hub = None, "give --hub"),
            (
                |config| {
                    let region = Region::parse("eu-west-1").unwrap();
                    config.eks_auth = Some(EksAuthConfig { endpoint: None, ca: None, region, sts_url: None });
                },
                "hub and eks_auth",
            ),
            (
                |config| {
                    let region = Region::parse("eu-west-1").unwrap();
                    let sts_url = Some("https://hub.example:8445".parse().unwrap());
                    config.hub = None;
                    config.eks_auth = Some(EksAuthConfig { endpoint: None, ca: None, region, sts_url });
                },
                "eks_auth.sts_url",
            ),
            (|config| config.bind_hosts.clear(), "bind_hosts"),
            (|config| config.workers = 0, "workers"),
            (|config| config.cache.renewals_per_second = 0, "cache.renewals_per_second"),
            (|config| config.limits.pod_burst = 0, "limits"),
            (|config| config.limits.pod_connections = 0, "limits.pod_connections"),
            (|config| config.limits.pod_connections = POD_CONNECTIONS_MAX + 1, "limits.pod_connections"),
            (|config| config.kubelet.node_ip = None, "kubelet.node_ip"),
            (|config| config.kubelet.pods_from = PodsFrom::ApiServer, "kubelet.node_name"),
            (
                |config| {
                    config.kubelet.check = Some(KubeletCheck::WithoutAddress);
                    config.imds.namespaces.insert("shop".to_owned());
                },
                "imds:",
            ),
            (
                |config| {
                    config.kubelet.check = Some(KubeletCheck::Off);
                    config.imds.by_label = true;
                },
                "imds:",
            ),
            (
                |config| {
                    config.imds.block = true;
                    config.imds.manage_rules = false;
                },
                "imds.block",
            ),
            (|config| config.cache.fetch_timeout_ms = 0, "cache.fetch_timeout_ms"),
        ];
        for (change, named) in cases {
            let mut config = good();
            change(&mut config);
            let error = config.validate().unwrap_err();
            assert!(error.contains(named), "{named}: {error}");
        }
    }
}
