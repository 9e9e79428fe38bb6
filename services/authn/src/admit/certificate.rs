//! Calls that are signed by the key of a certificate.
//!
//! A door tells which certificate its connection showed, and a door might make that up; so each call is signed by the
//! certificate's key too, in the form of AWS IAM Roles Anywhere, and what counts is verified here: the chain up to the hub's root,
//! which issuing key made it, the signature over the message's bytes. Then the caller is a spoke, or the principal of that unique
//! id as it is now, weighed by its own policies; or nobody.

use std::sync::Arc;

use lanyard_api::authn::{Admission, AdmitQuery};
use lanyard_api::signing::SERVICE;
use lanyard_api::{Authority, CertificateSha256, Denial, Fault, SignatureUse};
use lanyard_iam::sigv4::{CERTIFICATE_HEADER, CertificateSignedRequest, Expected};
use lanyard_iam::{AccountId, PayloadHash, PrincipalId};
use lanyard_kit::clock::moment_text;
use lanyard_kit::tls::{CertificateDer, CertificateFacts, PeerIdentity, fingerprint};

use super::denial::denial;
use super::signature;
use crate::cache::SharedCache;
use crate::engine::Engine;
use crate::local_keys::Holder;
use crate::snapshot::{HubSnapshot, Principal};

/// What to do where something is wrong with a signature.
const CERTIFICATE_NEEDED: &str =
    "sign the call by the key of the certificate that the connection shows, AWS4-X509-ECDSA-SHA256";

/// Whether a call is signed by a certificate's key.
fn is_signed(query: &AdmitQuery) -> bool {
    query.headers.iter().any(|(name, value)| {
        name.eq_ignore_ascii_case("authorization") && CertificateSignedRequest::is_claimed_by(value)
    })
}

/// Whether a call comes by the certificate of a caller of the door, or claims to: not by a service's own.
pub(super) fn is_callers(query: &AdmitQuery) -> bool {
    let named = query.certificate_principal.as_deref().map(str::parse::<PeerIdentity>);
    let is_services = matches!(named, Some(Ok(PeerIdentity::Service { .. })));
    is_signed(query) || named.is_some() && !is_services
}

/// Who has signed a call.
pub(super) struct Proven {
    pub(super) identity: PeerIdentity,
    /// The certificate.
    pub(super) sha256: CertificateSha256,
    /// This one call.
    pub(super) used: SignatureUse,
}

impl<S: SharedCache> Engine<S> {
    /// Verifies the call, and judges it as its caller's.
    pub(super) async fn judge_certificate(&self, query: &AdmitQuery) -> Result<Admission, Fault> {
        let proven = match self.prove_certificate(query) {
            Ok(proven) => proven,
            Err(denial) => return Ok(Admission::Unauthenticated(denial)),
        };
        let hub = self.directory.hub().await?;
        let PeerIdentity::Principal { authority, account, principal_id, .. } = &proven.identity else {
            return Ok(self.judge_spoke(&hub, query, &proven));
        };
        let Some(holder) = self.holder(&hub, authority, account, principal_id, proven.sha256).await? else {
            let message = "the principal of this certificate is gone, or was made anew under its name: issue another one with \
                           `lanyard pki issue --principal`";
            return Ok(Admission::Unauthenticated(denial("certificate_principal_gone", message)));
        };
        self.admit_holder(&hub, &holder, &[], &self.asked(query), proven.used).await
    }

    fn prove_certificate(&self, query: &AdmitQuery) -> Result<Proven, Denial> {
        let Some(verifier) = &self.certificates else {
            let message = "certificates are not accepted here; sign the call with an access key";
            return Err(denial("certificate_principal", message));
        };
        if !is_signed(query) {
            return Err(denial(
                "certificate_unsigned",
                format!("the certificate alone proves nothing: {CERTIFICATE_NEEDED}"),
            ));
        }
        let now = self.clock.now();
        let headers = signature::headers(query, self.hub.id)?;
        let request = signature::request(query, &headers);
        let mut required = signature::REQUIRED.to_vec();
        required.push(CERTIFICATE_HEADER);
        let expected =
            Expected { required_headers: &required, ..Expected::new(self.hub.region.as_str(), SERVICE, now) };
        let signed = CertificateSignedRequest::parse(&request, &expected)
            .map_err(|error| denial(error.reason_code(), format!("{error}; {CERTIFICATE_NEEDED}")))?;
        let chain: Vec<CertificateDer<'_>> =
            signed.chain().iter().map(|der| CertificateDer::from(der.as_slice())).collect();
        let (leaf, facts) = chain
            .first()
            .and_then(|leaf| Some((leaf, CertificateFacts::of(leaf).ok()?)))
            .ok_or_else(|| denial("malformed_certificate", "what is sent as certificate is none"))?;
        if now > facts.not_after {
            let end = moment_text(&facts.not_after);
            let message = format!("the certificate was good until {end}: issue another one");
            return Err(denial("certificate_ended", message));
        }
        let verifier = Arc::clone(&verifier.borrow());
        verifier.verify(&chain, now).map_err(|error| {
            denial(
                "certificate_untrusted",
                format!("the certificate is not one that counts on this hub: {error}"),
            )
        })?;
        let identity = PeerIdentity::from_chain(&chain)
            .map_err(|error| denial("certificate_principal", error.to_string()))?;
        if matches!(identity, PeerIdentity::Service { .. }) {
            let message = format!("`{identity}` is a service, and signs no management calls");
            return Err(denial("certificate_principal", message));
        }
        if identity.hub() != self.hub.id.to_string() {
            return Err(denial("wrong_hub", "the certificate is of another hub; use one of this hub"));
        }
        let mismatch = |code, message: String| denial(code, format!("{message}; {CERTIFICATE_NEEDED}"));
        if facts.serial != signed.serial() {
            return Err(mismatch(
                "certificate_serial",
                "the credential names another certificate".to_owned(),
            ));
        }
        let signed_sha256 = signed
            .verify(&request, &PayloadHash::of(&query.body), &facts.public_key)
            .map_err(|error| mismatch(error.reason_code(), error.to_string()))?;
        let sha256 = CertificateSha256::from_bytes(fingerprint(leaf));
        let by = sha256.to_string();
        let is_shown = query.certificate_sha256.as_deref() == Some(by.as_str())
            && query.certificate_principal.as_deref() == Some(identity.to_string().as_str());
        if !is_shown {
            let message = "the connection does not show the certificate that signed the call".to_owned();
            return Err(mismatch("certificate_connection", message));
        }
        let used = signature::use_of(&by, &signed_sha256, signed.not_after(), self.hub.id);
        Ok(Proven { identity, sha256, used })
    }

    /// The principal as it is now. Only users have certificates: a role is assumed, by a principal who may.
    async fn holder(
        &self,
        hub: &HubSnapshot,
        authority: &str,
        account: &str,
        principal_id: &str,
        sha256: CertificateSha256,
    ) -> Result<Option<Holder>, Fault> {
        let (Ok(account), Ok(id)) = (AccountId::parse(account), PrincipalId::parse(principal_id)) else {
            return Ok(None);
        };
        if authority != Authority::Local.to_string() {
            return Ok(None);
        }
        let Some(account) = self.directory.local_account(hub, account).await? else { return Ok(None) };
        let owner = account.snapshot.principal(&id).cloned();
        let user = owner.filter(|owner| matches!(owner.principal, Principal::User(_)));
        let certificate = Some(sha256);
        Ok(user.map(|owner| Holder { account, owner, session: None, access_key_id: None, certificate }))
    }
}
