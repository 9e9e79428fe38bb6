//! Management calls, signed by the key of a certificate.

use std::net::IpAddr;

use bytes::Bytes;
use lanyard_api::authn::AdmitQuery;
use lanyard_api::authn::accounts::User;
use lanyard_iam::sigv4::CertificateSigner;
use lanyard_iam::{HttpRequest, PayloadHash};
use lanyard_kit::tls::{CertificateFacts, KeyedCertificate, PeerIdentity, fingerprint};
use time::Duration;

use super::World;
use super::call::{AUTHORITY, Signing};

impl World {
    /// The certificate of a user, good for a day.
    pub(crate) fn certificate(&self, user: &User) -> KeyedCertificate {
        let (account, id) = (user.account.to_string(), &user.principal_id);
        self.ca.issue_principal("local", &account, id, Duration::DAY, self.now()).unwrap()
    }
}

/// What signs by a certificate's key.
pub(crate) fn signer(certificate: &KeyedCertificate) -> CertificateSigner {
    let chain = certificate.chain().unwrap();
    let serial = CertificateFacts::of(&chain[0]).unwrap().serial;
    CertificateSigner::new(&chain, &serial, certificate.key().unwrap().secret_der()).unwrap()
}

/// What a door tells of a connection that shows a certificate: whom it names, and which it is.
pub(crate) fn shown(certificate: &KeyedCertificate) -> (Option<String>, Option<String>) {
    let chain = certificate.chain().unwrap();
    let principal = PeerIdentity::from_chain(&chain).unwrap().to_string();
    let sha256 = fingerprint(&chain[0]).iter().map(|byte| format!("{byte:02x}")).collect();
    (Some(principal), Some(sha256))
}

/// A call signed by one certificate's key, on a connection that shows a certificate.
pub(crate) fn sign_by(
    signer: &CertificateSigner,
    shown: (Option<String>, Option<String>),
    method: &str,
    body: &[u8],
    how: &Signing<'_>,
) -> AdmitQuery {
    let hub = how.hub.to_string();
    let mut headers = vec![("host", AUTHORITY), ("x-lanyard-hub-id", &*hub), ("x-lanyard-nonce", how.nonce)];
    headers.extend(how.extra);
    let request = HttpRequest { method: "POST", path: method, query: "", headers: &headers };
    let payload = PayloadHash::of(body);
    let added = signer.sign_headers(how.region, how.service, &request, &payload, how.at).unwrap();
    let own = headers[1..].iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let (certificate_principal, certificate_sha256) = shown;
    AdmitQuery {
        method: method.to_owned(),
        authority: AUTHORITY.to_owned(),
        headers: own.chain(added.into_iter().map(|(name, value)| (name.to_owned(), value))).collect(),
        body: Bytes::copy_from_slice(body),
        source_ip: Some(IpAddr::from([10, 1, 2, 3])),
        certificate_principal,
        certificate_sha256,
        beside: None,
    }
}
