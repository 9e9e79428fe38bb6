//! What a verifier accepts: the STS hosts of a partition, and those that were configured.

use std::{net::Ipv6Addr, sync::Arc};

use super::err::{TokenError, shown};
use crate::id::{Region, is_region_label};
use crate::partition::{Partition, partition_of_region};

/// A host at which something else than AWS is an STS: `host` or `host:port`, exactly as clients sign it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StsHost(Box<str>);

impl StsHost {
    /// Longest host, in bytes, port included.
    pub const BYTES_MAX: usize = 259;

    /// Judges a host.
    ///
    /// # Errors
    /// When it is malformed, or is AWS's.
    pub fn parse(host: &str) -> Result<Self, StsAuthorityError> {
        let bare = bare_host(host).ok_or_else(|| StsAuthorityError::Host(shown(host)))?;
        if belongs_to_aws(bare) {
            return Err(StsAuthorityError::BelongsToAws(shown(host)));
        }
        Ok(Self(host.into()))
    }

    /// The host, with the port if there is one.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A self-hosted STS, by the host that its clients sign for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StsAuthority {
    name: Box<str>,
    host: StsHost,
    region: Region,
}

/// Why a host cannot be that of an STS beside AWS's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StsAuthorityError {
    /// Not a host, or not written as clients sign it.
    #[error("`{0}` is not a host: use a lower-case name or an address, and a port where it is not 443")]
    Host(String),
    /// One of AWS's own hosts, whose answers nobody else may give.
    #[error("`{0}` belongs to AWS: a self-hosted STS needs a host of its own")]
    BelongsToAws(String),
}

impl StsAuthority {
    /// A self-hosted STS: the name it is configured by, the host (`host` or `host:port`) exactly as clients sign it, and
    /// the region of their credential scope.
    ///
    /// # Errors
    /// When the host is malformed, or is AWS's.
    pub fn new(name: &str, host: &str, region: Region) -> Result<Self, StsAuthorityError> {
        Ok(Self { name: name.into(), host: StsHost::parse(host)?, region })
    }

    /// The name that it is configured by: its authority.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The host, with the port if there is one.
    #[must_use]
    pub fn host(&self) -> &str {
        self.host.as_str()
    }

    /// The region of its credential scope.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }
}

/// The host without its port, when it is written in the one form that is compared.
fn bare_host(text: &str) -> Option<&str> {
    if text.len() > StsHost::BYTES_MAX {
        return None;
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            address.parse::<Ipv6Addr>().ok()?;
            (address, port)
        }
        None => {
            let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            host.split('.').all(is_region_label).then_some((host, port))?
        }
    };
    if port.is_empty() {
        return Some(host);
    }
    let digits = port.strip_prefix(':')?;
    let number: u16 = digits.parse().ok()?;
    // One spelling alone: no sign, no leading zeros, and the default port is left out, as clients leave it out.
    (number != 0 && number != 443 && number.to_string() == digits).then_some(host)
}

fn belongs_to_aws(host: &str) -> bool {
    let under =
        |suffix: &str| host.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    Partition::ALL
        .into_iter()
        .any(|partition| under(partition.dns_suffix()) || partition.dual_stack_suffix().is_some_and(under))
}

/// What a verifier accepts.
#[derive(Clone, Debug)]
pub struct TokenRules {
    /// The partition of the cluster.
    pub partition: Partition,
    /// The verifier's own region: accepted though no naming rule knows it.
    pub region: Region,
    /// Self-hosted STS, matched exactly and before AWS's hosts.
    pub self_hosted: Vec<StsAuthority>,
    /// Where the verifier itself is an STS, for its own keys alone; matched exactly and before AWS's hosts.
    pub own_hosts: Arc<[StsHost]>,
}

/// An accepted host: the regions it signs for, and whose it is when it is not AWS's.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum AcceptedHost<'a> {
    /// AWS's, of this region.
    Aws(&'a str),
    /// A self-hosted STS.
    SelfHosted(&'a StsAuthority),
    /// The verifier's own, which is of no region: any that the rules take is signed for it.
    Own,
}

impl TokenRules {
    /// Judges a host: exact and case-sensitive, without port for AWS's.
    pub(super) fn judge_host<'a>(&'a self, host: &'a str) -> Result<AcceptedHost<'a>, TokenError> {
        if let Some(authority) = self.self_hosted.iter().find(|authority| authority.host() == host) {
            return Ok(AcceptedHost::SelfHosted(authority));
        }
        if self.own_hosts.iter().any(|own| own.as_str() == host) {
            return Ok(AcceptedHost::Own);
        }
        self.aws_region(host)
            .map(AcceptedHost::Aws)
            .ok_or_else(|| TokenError::Host { host: shown(host), partition: self.partition })
    }

    /// The region of one of the partition's own STS hosts.
    fn aws_region<'a>(&self, host: &'a str) -> Option<&'a str> {
        if let Some((global, region)) = self.partition.global_sts()
            && host == global
        {
            return Some(region);
        }
        let (rest, is_fips) = match host.strip_prefix("sts.") {
            Some(rest) => (rest, false),
            None => (host.strip_prefix("sts-fips.")?, true),
        };
        let (region, domain) = rest.split_once('.')?;
        let is_domain = domain == self.partition.dns_suffix()
            || !is_fips && self.partition.dual_stack_suffix().is_some_and(|suffix| domain == suffix);
        (is_domain && is_region_label(region) && self.accepts_region(region)).then_some(region)
    }

    /// By the naming rule. A name that no partition's rule knows may be a region yet to come: `aws` takes it, the others
    /// only when it is the verifier's own. A region of another partition is never taken, though two share a domain.
    pub(super) fn accepts_region(&self, region: &str) -> bool {
        match partition_of_region(region) {
            Some(partition) => partition == self.partition,
            None => self.partition == Partition::Aws || region == self.region.as_str(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_self_hosted_sts_is_written_in_one_form() {
        let region = Region::parse("eu-lab-1").unwrap();
        for host in ["sts.lab.example", "localhost:8443", "127.0.0.1:9000", "[::1]:8443", "[2001:db8::1]"] {
            assert_eq!(StsAuthority::new("lab", host, region.clone()).unwrap().host(), host);
        }
        for host in [
            "",
            ".",
            "a.",
            "STS.lab.example",
            "lab.example:",
            "lab.example:0",
            "lab.example:443",
            "lab.example:080",
            "lab.example:+80",
            "lab.example:65536",
            "user@lab.example",
            "lab.example/",
            "lab example",
            "::1",
            "[::1",
            "[nope]",
            "-lab.example",
        ] {
            assert!(
                matches!(StsAuthority::new("lab", host, region.clone()), Err(StsAuthorityError::Host(_))),
                "{host}"
            );
        }
    }

    #[test]
    fn a_self_hosted_sts_cannot_take_a_host_of_aws() {
        let region = Region::parse("us-east-1").unwrap();
        for host in [
            "sts.amazonaws.com",
            "sts.us-west-2.api.aws",
            "x.amazonaws.com.cn",
            "sts.a.c2s.ic.gov",
            "amazonaws.eu:8443",
        ] {
            let refused = StsAuthority::new("lab", host, region.clone());
            assert!(matches!(refused, Err(StsAuthorityError::BelongsToAws(_))), "{host}");
        }
        assert!(StsAuthority::new("lab", "notamazonaws.com", region).is_ok());
    }
}
