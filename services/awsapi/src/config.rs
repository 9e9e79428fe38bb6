//! What the door can be told.

use std::{collections::BTreeSet, time::Duration};

use lanyard_api::aws_wire::Service;
use lanyard_kit::{
    config::{COUNT_MAX, in_range},
    serve::BodyLimits,
};
use serde::{Deserialize, Serialize};

/// Bodies that may be waited for at once, for each place of a request in work; of one network no more than one for each place.
const AWAITED_OF_PLACE: usize = 4;

/// Limits of the door of the AWS wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AwsApiConfig {
    /// Most bytes of a request's body. The largest that the models allow are policy documents of 128 KiB, percent-encoded.
    pub body_bytes_max: usize,
    /// Most bytes of bodies that are held at once, of all requests together. Of each the first 16 KiB do not count. One more takes the room
    /// of the one that has been waited for longest, of the network that holds most.
    pub bodies_bytes_max: usize,
    /// Milliseconds within which a request's body has to be there, counted from its head.
    pub body_timeout_ms: u64,
    /// Most requests in work at once; one more is answered by a throttling error, upon which SDKs wait and try again. Bodies that are
    /// waited for are in no work: four times as many may be on their way, of one address (IPv6 by its /48) as many. One more takes the
    /// place of the one that has been waited for longest, of its own network or of the network that has most.
    pub requests_in_flight_max: usize,
    /// Milliseconds until a request is answered without its answer: SDKs wait a minute.
    pub request_timeout_ms: u64,
    /// Hosts that are one service's alone.
    pub hosts: ServiceHosts,
}

impl Default for AwsApiConfig {
    fn default() -> Self {
        Self {
            body_bytes_max: 1 << 20,
            bodies_bytes_max: 64 << 20,
            body_timeout_ms: 10_000,
            requests_in_flight_max: 1024,
            request_timeout_ms: 30_000,
            hosts: ServiceHosts::default(),
        }
    }
}

/// The hosts of each service, as AWS has one for each: who asks there asks that service, and signs for it. Whatever else the door is
/// reached under is for all of them. `host` counts at any port, `host:port` at that one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceHosts {
    /// EKS's.
    pub eks: Vec<String>,
    /// STS's.
    pub sts: Vec<String>,
    /// IAM's.
    pub iam: Vec<String>,
    /// EKS Auth's, which the agents of nodes call.
    pub eks_auth: Vec<String>,
}

impl ServiceHosts {
    /// Each with its service and the key that has it.
    fn all(&self) -> impl Iterator<Item = (Service, &'static str, &str)> {
        let of = [
            (Service::Eks, "eks", &self.eks),
            (Service::Sts, "sts", &self.sts),
            (Service::Iam, "iam", &self.iam),
            (Service::EksAuth, "eks_auth", &self.eks_auth),
        ];
        of.into_iter()
            .flat_map(|(service, key, hosts)| hosts.iter().map(move |host| (service, key, host.as_str())))
    }

    /// The service whose host it is that a request names, with its port if it has one.
    #[must_use]
    pub fn service_of(&self, authority: &str) -> Option<Service> {
        let bare = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        let is_it = |host: &str| host.eq_ignore_ascii_case(authority) || host.eq_ignore_ascii_case(bare);
        self.all().find(|(_, _, host)| is_it(host)).map(|(service, _, _)| service)
    }

    fn validate(&self) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        for (_, key, host) in self.all() {
            let key = format!("awsapi.hosts.{key}: `{}`", lanyard_iam::shown(host));
            let is_host =
                host.parse::<http::uri::Authority>().is_ok_and(|parsed| !parsed.as_str().contains('@'));
            if !is_host {
                return Err(format!(
                    "{key} is not a host: write a name or an address, and a port where it counts"
                ));
            }
            if !seen.insert(host.to_ascii_lowercase()) {
                return Err(format!("{key} is given twice: a host is one service's"));
            }
        }
        Ok(())
    }
}

impl AwsApiConfig {
    /// Until a request is answered without its answer.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// Until a request's body has to be there.
    pub fn body_timeout(&self) -> Duration {
        Duration::from_millis(self.body_timeout_ms)
    }

    /// How much there may be of requests' bodies.
    pub(crate) fn body_limits(&self) -> BodyLimits {
        BodyLimits {
            bytes_max: self.body_bytes_max,
            all_bytes_max: self.bodies_bytes_max,
            sender_bytes_max: self.bodies_bytes_max,
            time_max: self.body_timeout(),
            awaited_max: self.requests_in_flight_max.saturating_mul(AWAITED_OF_PLACE),
            awaited_of_sender_max: self.requests_in_flight_max,
        }
    }

    /// Looks at what the shapes cannot say.
    ///
    /// # Errors
    /// In words that name the key, the rule and the next step.
    pub fn validate(&self) -> Result<(), String> {
        let limits = [
            ("body_bytes_max", self.body_bytes_max as u64),
            ("body_timeout_ms", self.body_timeout_ms),
            ("requests_in_flight_max", self.requests_in_flight_max as u64),
            ("request_timeout_ms", self.request_timeout_ms),
        ];
        if let Some((key, _)) = limits.into_iter().find(|(_, value)| *value == 0) {
            return Err(format!("awsapi.{key}: 0 lets nothing through, give at least 1"));
        }
        in_range(1..=COUNT_MAX, &[("awsapi.requests_in_flight_max", self.requests_in_flight_max as u64)])
            .map_err(|error| error.to_string())?;
        if self.bodies_bytes_max < self.body_bytes_max {
            return Err(format!(
                "awsapi.bodies_bytes_max: {} bytes have no room for one body of body_bytes_max, give at least {}",
                self.bodies_bytes_max, self.body_bytes_max
            ));
        }
        if self.body_timeout_ms >= self.request_timeout_ms {
            return Err(format!(
                "awsapi.body_timeout_ms: {} leaves no time to answer within request_timeout_ms, give less than {}",
                self.body_timeout_ms, self.request_timeout_ms
            ));
        }
        self.hosts.validate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_lets_nothing_through_is_refused_by_name() {
        assert_eq!(AwsApiConfig::default().validate(), Ok(()));
        let config = AwsApiConfig { body_bytes_max: 0, ..AwsApiConfig::default() };
        assert!(config.validate().unwrap_err().starts_with("awsapi.body_bytes_max"));
        let config = AwsApiConfig { request_timeout_ms: 0, ..AwsApiConfig::default() };
        assert!(config.validate().unwrap_err().starts_with("awsapi.request_timeout_ms"));
        let config = AwsApiConfig { body_timeout_ms: 0, ..AwsApiConfig::default() };
        assert!(config.validate().unwrap_err().starts_with("awsapi.body_timeout_ms"));
    }

    #[test]
    fn limits_that_contradict_each_other_are_refused_by_name() {
        let config = AwsApiConfig { bodies_bytes_max: (1 << 20) - 1, ..AwsApiConfig::default() };
        assert!(config.validate().unwrap_err().starts_with("awsapi.bodies_bytes_max"));
        let config = AwsApiConfig { body_timeout_ms: 30_000, ..AwsApiConfig::default() };
        assert!(config.validate().unwrap_err().starts_with("awsapi.body_timeout_ms"));
        let config = AwsApiConfig { body_timeout_ms: 29_999, ..AwsApiConfig::default() };
        assert_eq!(config.validate(), Ok(()));
    }

    fn hosts(sts: &[&str], iam: &[&str]) -> ServiceHosts {
        let all = |hosts: &[&str]| hosts.iter().map(|host| (*host).to_owned()).collect();
        ServiceHosts { sts: all(sts), iam: all(iam), ..ServiceHosts::default() }
    }

    #[test]
    fn every_service_can_have_a_host_of_its_own() {
        let of = |name: &str| vec![format!("{name}.hub.example")];
        let hosts = ServiceHosts { eks: of("eks"), sts: of("sts"), iam: of("iam"), eks_auth: of("eks-auth") };
        for service in Service::ALL {
            let authority = format!("{}.hub.example:8445", service.as_str());
            assert_eq!(hosts.service_of(&authority), Some(service));
        }
        let wrong = ServiceHosts { eks_auth: vec!["a b".to_owned()], ..ServiceHosts::default() };
        assert!(wrong.validate().unwrap_err().starts_with("awsapi.hosts.eks_auth: `"));
    }

    #[test]
    fn a_host_is_one_services_at_any_port_or_at_its_own() {
        let hosts = hosts(&["sts.hub.example", "10.0.0.7:8446"], &["[2001:db8::1]"]);
        let cases = [
            ("sts.hub.example", Some(Service::Sts)),
            ("STS.hub.example:8445", Some(Service::Sts)),
            ("10.0.0.7:8446", Some(Service::Sts)),
            ("10.0.0.7:8445", None),
            ("10.0.0.7", None),
            ("[2001:db8::1]", Some(Service::Iam)),
            ("[2001:db8::1]:443", Some(Service::Iam)),
            ("hub.example", None),
            ("a.sts.hub.example", None),
            ("", None),
        ];
        for (authority, service) in cases {
            assert_eq!(hosts.service_of(authority), service, "{authority}");
        }
    }

    #[test]
    fn what_is_no_host_or_two_services_is_refused_by_name() {
        let refused = |hosts| AwsApiConfig { hosts, ..AwsApiConfig::default() }.validate().unwrap_err();
        for bad in ["", "https://sts.hub.example", "a@b", "a/b", "a b"] {
            assert!(refused(hosts(&[bad], &[])).starts_with("awsapi.hosts.sts: `"), "{bad}");
        }
        assert!(refused(hosts(&["a.example"], &["A.example"])).contains("given twice"));
    }
}
