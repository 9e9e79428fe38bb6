//! Whom a verified certificate names.

use std::fmt;
use std::str::FromStr;

use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// The scheme of our URIs; no other scheme names anybody here.
const SCHEME: &str = "lanyard://hub/";
/// Hub ids, service names and cluster uids are far shorter.
const SEGMENT_BYTES_MAX: usize = 128;

/// A peer that showed a certificate of this hub's authority.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PeerIdentity {
    /// One of the hub's own services: `lanyard://hub/<hub>/service/<name>`.
    Service {
        /// The hub's id.
        hub: String,
        /// The service, such as `gateway`.
        name: String,
    },
    /// Something in one spoke cluster, such as its API server: `lanyard://hub/<hub>/spoke/<cluster uid>`.
    Spoke {
        /// The hub's id.
        hub: String,
        /// The cluster's uid, never used again for another cluster.
        cluster_uid: String,
    },
    /// A person or program of an account: `lanyard://hub/<hub>/principal/<authority>/<account>/<principal id>`.
    Principal {
        /// The hub's id.
        hub: String,
        /// Who vouches for the account, such as `local`.
        authority: String,
        /// The account's number.
        account: String,
        /// The principal's unique id: one that is made anew under the same name is another.
        principal_id: String,
    },
}

/// Why a certificate names nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// It is not a certificate that we can read.
    #[error("the client certificate cannot be read; issue another one")]
    Unreadable,
    /// It carries no URI of ours.
    #[error(
        "the client certificate has no `lanyard://` URI; use one issued by this hub for a service, a spoke or a principal"
    )]
    NoUri,
    /// It carries more than one.
    #[error("the client certificate has several `lanyard://` URIs; one certificate names one peer")]
    SeveralUris,
    /// The URI is not of a known form.
    #[error(
        "`{0}` names no peer; expected lanyard://hub/<hub>/service/<name>, …/spoke/<cluster uid> or \
         …/principal/<authority>/<account>/<principal id>"
    )]
    Uri(String),
    /// The issuing key may not say this.
    #[error(
        "`{uri}` was issued by `{issuer}`, which may not name such a peer; the certificate is forged or misissued"
    )]
    Issuer {
        /// What the certificate claims.
        uri: String,
        /// Who signed it.
        issuer: String,
    },
}

impl PeerIdentity {
    /// Whom the first certificate of a chain names. The chain must have been verified up to the hub's root: this reads
    /// it, and compares the issuing key with what the certificate claims.
    ///
    /// # Errors
    /// [`PeerError`] where it names nobody, or somebody whom its issuer may not name.
    pub fn from_chain(chain: &[CertificateDer<'_>]) -> Result<Self, PeerError> {
        let der = chain.first().ok_or(PeerError::Unreadable)?;
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_| PeerError::Unreadable)?;
        let identity: Self = uri_of(&certificate)?.parse()?;
        let mut names = certificate.issuer().iter_common_name();
        let issuer = match (names.next().and_then(|name| name.as_str().ok()), names.next()) {
            (Some(name), None) => name,
            _ => return Err(PeerError::Unreadable),
        };
        // An issuing certificate may not sign further authorities, so this name is that of the key which signed.
        if issuer != identity.issuer() {
            return Err(PeerError::Issuer { uri: identity.to_string(), issuer: issuer.to_owned() });
        }
        Ok(identity)
    }

    /// The hub it belongs to.
    #[must_use]
    pub fn hub(&self) -> &str {
        match self {
            Self::Service { hub, .. } | Self::Spoke { hub, .. } | Self::Principal { hub, .. } => hub,
        }
    }

    /// The common name of the authority that may issue this identity.
    pub(super) fn issuer(&self) -> String {
        match self {
            Self::Service { hub, .. } => issuer_name("services", hub),
            Self::Spoke { hub, .. } => issuer_name("spokes", hub),
            Self::Principal { hub, .. } => issuer_name("principals", hub),
        }
    }

    /// A service's identity, when both parts are plain names.
    ///
    /// # Errors
    /// [`PeerError::Uri`] when they are not.
    pub fn service(hub: &str, name: &str) -> Result<Self, PeerError> {
        Self::Service { hub: hub.to_owned(), name: name.to_owned() }.to_string().parse()
    }

    /// A spoke's identity, when both parts are plain names.
    ///
    /// # Errors
    /// [`PeerError::Uri`] when they are not.
    pub fn spoke(hub: &str, cluster_uid: &str) -> Result<Self, PeerError> {
        Self::Spoke { hub: hub.to_owned(), cluster_uid: cluster_uid.to_owned() }.to_string().parse()
    }

    /// A principal's identity, when all parts are plain names.
    ///
    /// # Errors
    /// [`PeerError::Uri`] when they are not.
    pub fn principal(
        hub: &str,
        authority: &str,
        account: &str,
        principal_id: &str,
    ) -> Result<Self, PeerError> {
        let [hub, authority, account, principal_id] =
            [hub, authority, account, principal_id].map(str::to_owned);
        Self::Principal { hub, authority, account, principal_id }.to_string().parse()
    }
}

/// The common name of one of a hub's authorities: `root`, `services`, `spokes` or `principals`.
pub(super) fn issuer_name(which: &str, hub: &str) -> String {
    format!("Lanyard {which} of {hub}")
}

/// Whether `text` may stand as one segment of our URIs, and in a common name.
pub(super) fn is_segment(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !text.is_empty() && text.len() <= SEGMENT_BYTES_MAX && text.bytes().all(plain)
}

fn uri_of<'a>(certificate: &'a X509Certificate<'_>) -> Result<&'a str, PeerError> {
    let names = certificate.subject_alternative_name().map_err(|_| PeerError::Unreadable)?;
    let mut uris =
        names.iter().flat_map(|extension| &extension.value.general_names).filter_map(|name| match name {
            GeneralName::URI(uri) if uri.starts_with("lanyard:") => Some(*uri),
            _ => None,
        });
    let uri = uris.next().ok_or(PeerError::NoUri)?;
    if uris.next().is_some() { Err(PeerError::SeveralUris) } else { Ok(uri) }
}

impl fmt::Display for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service { hub, name } => write!(f, "{SCHEME}{hub}/service/{name}"),
            Self::Spoke { hub, cluster_uid } => write!(f, "{SCHEME}{hub}/spoke/{cluster_uid}"),
            Self::Principal { hub, authority, account, principal_id } => {
                write!(f, "{SCHEME}{hub}/principal/{authority}/{account}/{principal_id}")
            }
        }
    }
}

impl FromStr for PeerIdentity {
    type Err = PeerError;

    fn from_str(uri: &str) -> Result<Self, PeerError> {
        let refused = || PeerError::Uri(uri.chars().take(2 * SEGMENT_BYTES_MAX).collect());
        let segments = uri.strip_prefix(SCHEME).ok_or_else(refused)?.split('/');
        // One more than the longest form has, to see that nothing follows.
        let segments: Vec<&str> = segments.take(6).collect();
        if !segments.iter().all(|segment| is_segment(segment)) {
            return Err(refused());
        }
        let own = |text: &str| text.to_owned();
        match *segments.as_slice() {
            [hub, "service", name] => Ok(Self::Service { hub: own(hub), name: own(name) }),
            [hub, "spoke", uid] => Ok(Self::Spoke { hub: own(hub), cluster_uid: own(uid) }),
            [hub, "principal", authority, account, id] => Ok(Self::Principal {
                hub: own(hub),
                authority: own(authority),
                account: own(account),
                principal_id: own(id),
            }),
            _ => Err(refused()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_peer_uri_has_exactly_the_known_form() {
        let cases = [
            ("lanyard://hub/h1/service/gateway", Some(PeerIdentity::service("h1", "gateway").unwrap())),
            ("lanyard://hub/h1/spoke/9f-0", Some(PeerIdentity::spoke("h1", "9f-0").unwrap())),
            (
                "lanyard://hub/h1/principal/local/111122223333/AIDAX",
                Some(PeerIdentity::principal("h1", "local", "111122223333", "AIDAX").unwrap()),
            ),
            ("lanyard://hub/h1/principal/local/111122223333", None),
            ("lanyard://hub/h1/principal/local/111122223333/AIDAX/x", None),
            ("lanyard://hub/h1/principal//111122223333/AIDAX", None),
            ("lanyard://hub/h1/service/", None),
            ("lanyard://hub//service/gateway", None),
            ("lanyard://hub/h1/service/gateway/", None),
            ("lanyard://hub/h1/service/gateway/x", None),
            ("lanyard://hub/h1/node/gateway", None),
            ("lanyard://hub/h1/Service/gateway", None),
            ("lanyard://hub/h1/service/gate%2Fway", None),
            ("lanyard://hub/h1/service/gate way", None),
            ("lanyard://hub/h1/service/gäteway", None),
            ("LANYARD://hub/h1/service/gateway", None),
            ("lanyard://other/h1/service/gateway", None),
            ("spiffe://hub/h1/service/gateway", None),
            ("lanyard:", None),
            ("", None),
        ];
        for (uri, expected) in cases {
            assert_eq!(uri.parse::<PeerIdentity>().ok(), expected, "{uri}");
        }
    }

    #[test]
    fn an_overlong_segment_is_refused_and_not_repeated_at_length() {
        let uri = format!("lanyard://hub/h1/service/{}", "a".repeat(10_000));
        let refused = uri.parse::<PeerIdentity>().unwrap_err();
        assert!(refused.to_string().len() < 600, "{refused}");
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_back(hub in "[A-Za-z0-9._-]{1,128}", name in "[A-Za-z0-9._-]{1,128}") {
            let principal = PeerIdentity::principal(&hub, &name, &hub, &name);
            for identity in [PeerIdentity::service(&hub, &name), PeerIdentity::spoke(&hub, &name), principal] {
                let identity = identity.unwrap();
                prop_assert_eq!(identity.to_string().parse::<PeerIdentity>().unwrap(), identity);
            }
        }

        #[test]
        fn any_text_parses_or_is_refused_without_panic(text in ".*") {
            if let Ok(identity) = text.parse::<PeerIdentity>() {
                prop_assert_eq!(identity.to_string(), text);
            }
        }

        #[test]
        fn any_bytes_as_certificate_name_nobody(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(PeerIdentity::from_chain(&[CertificateDer::from(bytes)]).is_err());
        }
    }
}
