//! The `Host` header: a page in somebody's browser that has its name resolve to the agent's address gets nothing.

use std::net::IpAddr;

use http::{HeaderMap, Uri, header};

/// The addresses that a request may name.
#[derive(Debug, Clone)]
pub struct Hosts(Vec<IpAddr>);

impl Hosts {
    /// These.
    #[must_use]
    pub fn of(addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        let mut addresses: Vec<IpAddr> = addresses.into_iter().collect();
        addresses.sort_unstable();
        addresses.dedup();
        Self(addresses)
    }

    /// Whether the request names one of them, as an address, with or without a port and brackets: in one header at most, and in its target,
    /// where that is a whole URL, which goes before the header (RFC 9112 section 3.2.2).
    #[must_use]
    pub fn admit(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let mut named = headers.get_all(header::HOST).iter();
        let (host, surplus) = (named.next(), named.next());
        let host = host.map(|host| host.to_str().unwrap_or_default());
        let target = uri.authority().map(|authority| authority.as_str());
        let is_one = |name: &str| address_of(name).is_some_and(|address| self.0.contains(&address));
        let is_named = host.is_some() || target.is_some();
        surplus.is_none() && is_named && host.into_iter().chain(target).all(is_one)
    }
}

fn address_of(host: &str) -> Option<IpAddr> {
    if let Some(rest) = host.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return address.parse().ok().filter(|_| is_port);
    }
    if let Ok(address) = host.parse() {
        return Some(address);
    }
    let (address, port) = host.rsplit_once(':')?;
    address.parse().ok().filter(|_| is_port(port))
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_one_of_the_addresses_or_refused() {
        let hosts = Hosts::of(["169.254.170.23", "fd00:ec2::23"].map(|address| address.parse().unwrap()));
        let cases = [
            ("169.254.170.23", true),
            ("169.254.170.23:80", true),
            ("[fd00:ec2::23]", true),
            ("[fd00:ec2::23]:80", true),
            ("[FD00:EC2:0::23]:80", true),
            ("fd00:ec2::23", true),
            ("169.254.170.2", false),
            ("169.254.170.23:http", false),
            ("169.254.170.23.example", false),
            ("[fd00:ec2::23", false),
            ("[fd00:ec2::23]80", false),
            ("evil.example", false),
            ("localhost", false),
            ("", false),
        ];
        for (host, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            assert_eq!(hosts.admit(&Uri::from_static("/v1/credentials"), &headers), expected, "{host}");
        }
    }

    #[test]
    fn a_host_stands_once_or_is_the_authority() {
        let hosts = Hosts::of(["169.254.170.23".parse().unwrap()]);
        let mut twice = HeaderMap::new();
        twice.append(header::HOST, "169.254.170.23".parse().unwrap());
        twice.append(header::HOST, "evil.example".parse().unwrap());
        assert!(!hosts.admit(&Uri::from_static("/"), &twice));
        assert!(!hosts.admit(&Uri::from_static("/"), &HeaderMap::new()));
        assert!(hosts.admit(&Uri::from_static("http://169.254.170.23/v1"), &HeaderMap::new()));
        let mut once = HeaderMap::new();
        once.insert(header::HOST, "169.254.170.23".parse().unwrap());
        for (target, expected) in [
            ("/v1", true),
            ("http://169.254.170.23:80/v1", true),
            ("http://evil.example/v1", false),
            ("http://evil@169.254.170.23/v1", false),
        ] {
            assert_eq!(hosts.admit(&Uri::from_static(target), &once), expected, "{target}");
        }
    }
}
