//! What a certificate says, for people.

use rustls_pki_types::CertificateDer;
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate, X509Name};

use super::config::TlsError;

/// The parts of a certificate that people ask about. Nothing of it is verified here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Its own common name.
    pub subject: String,
    /// The common name of who signed it.
    pub issuer: String,
    /// The URIs that it names, such as `lanyard://hub/<hub>/service/authn`.
    pub uris: Vec<String>,
    /// DNS names and addresses, for servers.
    pub names: Vec<String>,
    /// From when it is good.
    pub not_before: OffsetDateTime,
    /// Until when.
    pub not_after: OffsetDateTime,
    /// Whether it may sign others.
    pub is_authority: bool,
    /// Its serial number, in decimal.
    pub serial: String,
    /// Its public key, without what says of which kind it is; of P-256 an uncompressed point.
    pub public_key: Vec<u8>,
}

impl CertificateFacts {
    /// Reads them.
    ///
    /// # Errors
    /// [`TlsError::Pem`] where it is no certificate.
    pub fn of(der: &CertificateDer<'_>) -> Result<Self, TlsError> {
        let unreadable = || TlsError::Pem { what: "certificate" };
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_| unreadable())?;
        let (mut uris, mut names) = (Vec::new(), Vec::new());
        let alternative = certificate.subject_alternative_name().map_err(|_| unreadable())?;
        for name in alternative.iter().flat_map(|extension| &extension.value.general_names) {
            match name {
                GeneralName::URI(uri) => uris.push((*uri).to_owned()),
                GeneralName::DNSName(name) => names.push((*name).to_owned()),
                GeneralName::IPAddress(bytes) => names.extend(address(bytes)),
                _ => {}
            }
        }
        let validity = certificate.validity();
        let moment = |seconds| OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| unreadable());
        Ok(Self {
            subject: common_name(certificate.subject()),
            issuer: common_name(certificate.issuer()),
            uris,
            names,
            not_before: moment(validity.not_before.timestamp())?,
            not_after: moment(validity.not_after.timestamp())?,
            is_authority: certificate.is_ca(),
            serial: certificate.serial.to_string(),
            public_key: certificate.public_key().subject_public_key.data.to_vec(),
        })
    }
}

fn common_name(name: &X509Name<'_>) -> String {
    name.iter_common_name().next().and_then(|name| name.as_str().ok()).unwrap_or_default().to_owned()
}

fn address(bytes: &[u8]) -> Option<String> {
    match (<[u8; 4]>::try_from(bytes), <[u8; 16]>::try_from(bytes)) {
        (Ok(four), _) => Some(std::net::Ipv4Addr::from(four).to_string()),
        (_, Ok(sixteen)) => Some(std::net::Ipv6Addr::from(sixteen).to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use time::{Duration, macros::datetime};

    use super::*;
    use crate::tls::{Authority, Names};

    #[test]
    fn a_certificate_says_who_signed_it_whom_it_names_and_how_long() {
        let folder = tempfile::tempdir().unwrap();
        let noon = datetime!(2026-11-24 12:00 UTC);
        let authority = Authority::create(&folder.path().join("pki"), "hub-1", noon).unwrap();
        let names = Names::loopback().and(["authn-0".to_owned()]);
        let issued = authority.issue_service("authn", &names, Duration::DAY, noon).unwrap();
        let chain = issued.chain().unwrap();
        let facts: Vec<_> = chain.iter().map(|der| CertificateFacts::of(der).unwrap()).collect();
        assert_eq!(
            (facts[0].subject.as_str(), facts[0].issuer.as_str()),
            ("authn", "Lanyard services of hub-1")
        );
        assert_eq!(facts[0].uris, ["lanyard://hub/hub-1/service/authn"]);
        assert_eq!(facts[0].names, ["localhost", "authn-0", "127.0.0.1", "::1"]);
        assert_eq!(
            (facts[0].not_before, facts[0].not_after),
            (noon - Duration::minutes(5), noon + Duration::DAY)
        );
        assert_eq!((facts[0].is_authority, facts[1].is_authority), (false, true));
        assert_eq!(facts[1].issuer, "Lanyard root of hub-1");
        assert!(CertificateFacts::of(&CertificateDer::from(vec![1, 2, 3])).is_err());
    }
}
