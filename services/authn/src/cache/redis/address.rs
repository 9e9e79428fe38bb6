//! Where a Redis is: one server, what Sentinels name, or a cluster.

use std::net::Ipv6Addr;
use std::str::FromStr;

/// A parsed `url`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) place: Place,
    pub(super) tls: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Server {
        host: Host,
        database: u16,
    },
    /// The Sentinels are asked one after the other where the master is.
    Sentinel {
        sentinels: Vec<Host>,
        master: String,
        database: u16,
    },
    /// These nodes are asked for the others.
    Cluster {
        nodes: Vec<Host>,
    },
}

/// A name or an address, without brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) port: u16,
}

/// The port of a Redis that names none.
const PORT: u16 = 6379;
/// That of a Sentinel.
const SENTINEL_PORT: u16 = 26379;
/// More are never needed to find the others.
const HOSTS_MAX: usize = 32;
/// The longest DNS name.
const NAME_BYTES_MAX: usize = 253;

impl FromStr for Address {
    type Err = &'static str;

    /// What is wrong never repeats the text, where a password may stand.
    fn from_str(url: &str) -> Result<Self, Self::Err> {
        if url.is_empty() {
            return Err("is missing");
        }
        let (scheme, rest) = url.split_once("://").ok_or("has no scheme")?;
        let (redis, form) = scheme.split_once('-').unwrap_or((scheme, ""));
        let tls = match redis {
            "redis" => false,
            "rediss" => true,
            _ => return Err("has another scheme"),
        };
        if rest.contains('@') {
            return Err(
                "holds a user or a password, which belong into `username`, `password` or `password_file`",
            );
        }
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let port = if form == "sentinel" { SENTINEL_PORT } else { PORT };
        let hosts: Vec<Host> = hosts.split(',').map(|text| host(text, port)).collect::<Result<_, _>>()?;
        if hosts.len() > HOSTS_MAX {
            return Err("names more than 32 hosts");
        }
        let place = match form {
            "" => match <[Host; 1]>::try_from(hosts) {
                Ok([host]) => Place::Server { host, database: database(path)? },
                Err(_) => return Err("names several hosts, which are Sentinels or a cluster"),
            },
            "sentinel" => {
                let (master, path) = path.split_once('/').unwrap_or((path, ""));
                if !is_master(master) {
                    return Err(
                        "has no name of a master after the Sentinels, of letters, digits, `.`, `-` and `_`",
                    );
                }
                Place::Sentinel { sentinels: hosts, master: master.to_owned(), database: database(path)? }
            }
            "cluster" if path.is_empty() => Place::Cluster { nodes: hosts },
            "cluster" => return Err("has a path, and a cluster has one database alone"),
            _ => return Err("has another scheme"),
        };
        Ok(Self { place, tls })
    }
}

fn host(text: &str, port: u16) -> Result<Host, &'static str> {
    const BAD: &str = "names a host that is none";
    let (name, port_text) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, rest) = rest.split_once(']').ok_or(BAD)?;
            let address: Ipv6Addr = address.parse().map_err(|_| BAD)?;
            (address.to_string(), rest.strip_prefix(':').or(rest.is_empty().then_some("")).ok_or(BAD)?)
        }
        None => {
            let (name, port) = text.split_once(':').unwrap_or((text, ""));
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
            if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(plain) {
                return Err(BAD);
            }
            (name.to_owned(), port)
        }
    };
    if text.ends_with(':') {
        return Err("names a port that is none");
    }
    let port = match port_text {
        "" => port,
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().ok().filter(|port| *port != 0).ok_or("names a port that is none")?
        }
        _ => return Err("names a port that is none"),
    };
    Ok(Host { name, port })
}

fn database(path: &str) -> Result<u16, &'static str> {
    match path {
        "" => Ok(0),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().map_err(|_| "names a database that is no number up to 65535")
        }
        _ => Err("names a database that is no number up to 65535"),
    }
}

/// The names that Sentinel itself takes.
fn is_master(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, port: u16) -> Host {
        Host { name: name.to_owned(), port }
    }

    #[test]
    fn a_url_says_which_kind_where_and_whether_by_tls() {
        let server = |name, port, database| Place::Server { host: host(name, port), database };
        let main = |sentinels, database| Place::Sentinel { sentinels, master: "main-1".to_owned(), database };
        let cluster = |nodes| Place::Cluster { nodes };
        let three = vec![host("a", 1), host("::1", 2), host("c", 26379)];
        let cases = [
            ("redis://localhost", false, server("localhost", 6379, 0)),
            ("redis://10.0.0.1:7000/", false, server("10.0.0.1", 7000, 0)),
            ("rediss://redis.example:6380/3", true, server("redis.example", 6380, 3)),
            ("redis://[::1]", false, server("::1", 6379, 0)),
            ("redis://[2001:db8::1]:7000/65535", false, server("2001:db8::1", 7000, 65535)),
            ("redis-sentinel://a/main-1", false, main(vec![host("a", 26379)], 0)),
            ("rediss-sentinel://a:1,[::1]:2,c/main-1/9", true, main(three, 9)),
            ("redis-cluster://a:7000,b:7001", false, cluster(vec![host("a", 7000), host("b", 7001)])),
            ("rediss-cluster://a/", true, cluster(vec![host("a", 6379)])),
        ];
        for (url, tls, place) in cases {
            assert_eq!(url.parse(), Ok(Address { place, tls }), "{url}");
        }
    }

    #[test]
    fn what_is_none_is_refused_with_what_is_wrong() {
        let many = format!("redis-cluster://{}", ["a"; 33].join(","));
        let cases = [
            ("", "is missing"),
            ("localhost:6379", "has no scheme"),
            ("http://localhost", "another scheme"),
            ("redis-ring://localhost", "another scheme"),
            ("redis+unix:///run/redis", "another scheme"),
            ("Redis://localhost", "another scheme"),
            ("redis://", "a host that is none"),
            ("redis:///0", "a host that is none"),
            ("redis://a b", "a host that is none"),
            ("redis://localhost?protocol=resp3", "a host that is none"),
            ("rediss://localhost#insecure", "a host that is none"),
            ("rediss://localhost:6379#insecure", "a port that is none"),
            ("redis://[::1", "a host that is none"),
            ("redis://[::1]x", "a host that is none"),
            ("redis://[localhost]", "a host that is none"),
            ("redis://::1", "a host that is none"),
            ("redis://a:0", "a port that is none"),
            ("redis://a:", "a port that is none"),
            ("redis://[::1]:", "a port that is none"),
            ("redis://a:+1", "a port that is none"),
            ("redis://a:65536", "a port that is none"),
            ("redis://a,b", "names several hosts"),
            ("redis://a/x", "a database that is no number"),
            ("redis://a/-1", "a database that is no number"),
            ("redis://a/65536", "a database that is no number"),
            ("redis://user@a", "holds a user or a password"),
            ("redis-sentinel://a,:secret@b/main", "holds a user or a password"),
            ("redis-sentinel://a", "no name of a master"),
            ("redis-sentinel://a/", "no name of a master"),
            ("redis-sentinel://a/ma in", "no name of a master"),
            ("redis-sentinel://a/main/x", "a database that is no number"),
            ("redis-sentinel://a,/main", "a host that is none"),
            ("redis-cluster://a,b/0", "one database alone"),
            (many.as_str(), "more than 32 hosts"),
        ];
        for (url, words) in cases {
            let error = url.parse::<Address>().err().unwrap_or_else(|| panic!("{url}"));
            assert!(error.contains(words), "{url}: {error}");
        }
    }
}
