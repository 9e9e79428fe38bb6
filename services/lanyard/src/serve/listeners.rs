//! The listeners of `serve`: Kubernetes' HTTP, gRPC, and the AWS wire.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

use lanyard_iam::StsHost;
use lanyard_kit::{
    serve::{Options, ServeError, Server},
    tls::{LiveAuthority, Names},
};

use super::config::ServeConfig;

/// Most bytes of a request's head: an API server passes on up to 1 MiB of its client's headers as a body, none as a head.
const HEAD_BYTES_MAX: u32 = 64 * 1024;

/// The port that clients leave out of the host that they sign.
const HTTPS_PORT: u16 = 443;

/// Bound, not yet serving.
pub struct Listeners {
    /// Kubernetes' HTTP.
    pub gateway: Server,
    /// gRPC.
    pub grpc: Server,
    /// The AWS wire.
    pub aws: Server,
}

/// Under which names they are reached: loopback's, and those that were configured.
pub fn names(config: &ServeConfig) -> Names {
    let external = config.external_url.as_deref().and_then(|url| url::Url::parse(url).ok());
    let external = external.and_then(|url| url.host_str().map(str::to_owned));
    Names::loopback().and(config.tls_san.iter().cloned()).and(external)
}

/// Under which hosts clients of AWS reach the hub, as they sign them: the names of its certificate at the port of the AWS wire; and
/// the host of the URL that it is known by, for something in front of it that has that wire too.
pub fn sts_hosts(config: &ServeConfig, aws_port: u16) -> Vec<String> {
    let with_port = |host: &str, port: Option<u16>| match port {
        Some(port) if port != HTTPS_PORT => format!("{host}:{port}"),
        _ => host.to_owned(),
    };
    let external = config.external_url.as_deref().and_then(|url| url::Url::parse(url).ok());
    let known_by = external.and_then(|url| Some(with_port(url.host_str()?, url.port())));
    let Names { dns, ip } = names(config);
    let addresses = ip.iter().map(|address| match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    });
    let names = dns.iter().map(|name| name.to_ascii_lowercase());
    let at_listener = addresses.chain(names).map(|host| with_port(&host, Some(aws_port)));
    // A name such as `*.hub.example` is a certificate's and no host.
    let all = at_listener.chain(known_by).filter(|host| StsHost::parse(host).is_ok());
    all.collect::<BTreeSet<_>>().into_iter().collect()
}

/// The URL of Kubernetes' HTTP: the one by which the hub is known; else where it listens. Where that is every address, the first name of
/// its own that its certificate holds, or loopback.
pub fn gateway_url(config: &ServeConfig, bound: SocketAddr, reached_at: SocketAddr) -> String {
    if let Some(url) = &config.external_url {
        return url.clone();
    }
    let named = config.tls_san.iter().find(|name| bound.ip().is_unspecified() && !name.contains('*'));
    match named.map(|name| (name, name.parse())) {
        Some((_, Ok(ip))) => format!("https://{}", SocketAddr::new(ip, bound.port())),
        Some((name, Err(_))) => format!("https://{name}:{}", bound.port()),
        None => format!("https://{reached_at}"),
    }
}

/// Binds all. API servers may show a spoke's certificate; nobody has to show one.
///
/// # Errors
/// [`ServeError`] names the address.
pub async fn bind(config: &ServeConfig, certificate: &LiveAuthority) -> Result<Listeners, ServeError> {
    let listen = |address, numbered_by| {
        let mut options = Options::at(address).with_live_tls(certificate.server());
        options.numbered_by = numbered_by;
        options.limits.head_bytes_max = HEAD_BYTES_MAX;
        Server::bind(options)
    };
    Ok(Listeners {
        gateway: listen(config.listen, None).await?,
        grpc: listen(config.grpc_listen, None).await?,
        aws: listen(config.aws_listen, Some(lanyard_awsapi::REQUEST_ID)).await?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hub_is_an_sts_under_the_names_that_its_certificate_has() {
        let config = ServeConfig {
            tls_san: vec!["Hub.lan".to_owned(), "*.lab.example".to_owned(), "10.0.0.7".to_owned()],
            external_url: Some("https://hub.example:8443".to_owned()),
            ..ServeConfig::default()
        };
        let hosts = [
            "10.0.0.7:8445",
            "127.0.0.1:8445",
            "[::1]:8445",
            "hub.example:8443",
            "hub.example:8445",
            "hub.lan:8445",
            "localhost:8445",
        ];
        assert_eq!(sts_hosts(&config, 8445), hosts);
        let known =
            ServeConfig { external_url: Some("https://hub.example/".to_owned()), ..ServeConfig::default() };
        let hosts = ["127.0.0.1", "[::1]", "hub.example", "localhost"];
        assert_eq!(sts_hosts(&known, 443), hosts, "clients leave the default port out");
    }

    #[test]
    fn who_listens_at_every_address_is_told_by_a_name_that_a_certificate_holds() {
        let san = |names: &[&str]| ServeConfig {
            tls_san: names.iter().map(|name| (*name).to_owned()).collect(),
            ..ServeConfig::default()
        };
        let known = ServeConfig { external_url: Some("https://hub.example".to_owned()), ..san(&["hub.lan"]) };
        let (v4, v6) = (("0.0.0.0:8443", "127.0.0.1:8443"), ("[::]:8443", "[::1]:8443"));
        for (config, (bound, reached_at), expected) in [
            (&san(&[]), v4, "https://127.0.0.1:8443"),
            (&san(&[]), v6, "https://[::1]:8443"),
            (&san(&["*.lab.example", "hub.lan"]), v4, "https://hub.lan:8443"),
            (&san(&["10.0.0.7"]), v4, "https://10.0.0.7:8443"),
            (&san(&["fd00::7"]), v6, "https://[fd00::7]:8443"),
            (&san(&["hub.lan"]), ("10.0.0.7:8443", "10.0.0.7:8443"), "https://10.0.0.7:8443"),
            (&known, v4, "https://hub.example"),
        ] {
            let url = gateway_url(config, bound.parse().unwrap(), reached_at.parse().unwrap());
            assert_eq!(url, expected, "{bound} {:?}", config.tls_san);
        }
    }
}
