//! Signing gRPC calls: AWS Signature Version 4, as service `lanyard`.
//!
//! Signed are `POST`, the method's path, and the headers `host` (the authority), `x-amz-date`, `x-lanyard-hub-id`,
//! `x-lanyard-nonce`, `x-amz-content-sha256` (of the message as sent, uncompressed, without its frame), and
//! `x-amz-security-token` where the key has one. So a signature is good for one message to one method of one hub. Calls that
//! send a stream of messages cannot be signed, and the API has none. Who has a certificate of a principal signs the same by its
//! key, with the certificate in headers that are signed too, on a connection that shows it.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use lanyard_iam::sigv4::CertificateSigner;
use lanyard_iam::{Credentials, HttpRequest, PayloadHash, Region, SigV4Error, Signer};
use tonic::{
    Status,
    body::Body,
    codegen::http::{HeaderName, HeaderValue, Request, header::AUTHORIZATION},
};
use uuid::Uuid;

use crate::{
    grpc::{MESSAGE_BYTES_MAX, Prepare, Prepared, Wire, frame},
    ids::HubId,
    voucher::Now,
};

/// The service in credential scopes.
pub const SERVICE: &str = "lanyard";

/// The header that names the hub: a signature for one hub is none for another.
pub const HUB_ID_HEADER: &str = lanyard_iam::token::HUB_ID_HEADER;

/// The header that makes two calls of one second differ.
pub const NONCE_HEADER: &str = "x-lanyard-nonce";

/// A channel whose calls are signed.
pub type SignedChannel<C> = Prepared<C, Signing>;

/// Who signs.
#[derive(Clone)]
pub enum Signatory {
    /// The holder of an access key.
    Key(Arc<Credentials>),
    /// The principal of a certificate.
    Certificate(Arc<CertificateSigner>),
}

impl std::fmt::Debug for Signatory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(credentials) => f.debug_tuple("Key").field(&credentials.access_key_id).finish(),
            Self::Certificate(signer) => f.debug_tuple("Certificate").field(signer).finish(),
        }
    }
}

impl Signatory {
    /// The headers that sign a request.
    fn headers(
        &self,
        region: &str,
        request: &HttpRequest<'_>,
        payload: &PayloadHash,
        now: time::OffsetDateTime,
    ) -> Result<Vec<(&'static str, String)>, SigV4Error> {
        match self {
            Self::Key(credentials) => {
                let mut signer = Signer::new(credentials, region, SERVICE);
                signer.style.content_sha256_header = true;
                let signed = signer.sign_headers(request, payload, now)?;
                Ok(signed.iter().map(|(name, value)| (name, value.to_owned())).collect())
            }
            Self::Certificate(signer) => signer.sign_headers(region, SERVICE, request, payload, now),
        }
    }
}

/// Who signs, and what for.
#[derive(Clone)]
pub struct Signing {
    /// Who signs.
    pub by: Signatory,
    /// The hub's region.
    pub region: Region,
    /// The hub.
    pub hub_id: HubId,
    /// The authority that the channel addresses: host and port of its URL, as they stand there.
    pub authority: String,
    /// The clock.
    pub now: Now,
}

impl std::fmt::Debug for Signing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = f.debug_struct("Signing");
        debug.field("by", &self.by).field("region", &self.region);
        debug.field("hub_id", &self.hub_id).field("authority", &self.authority).finish_non_exhaustive()
    }
}

impl Signing {
    /// Signs every call of a channel.
    pub fn over<C: Wire>(self, channel: C) -> SignedChannel<C> {
        Prepared::new(channel, self)
    }

    /// The headers that sign a message to a method, given by its path and the message's bytes as they will be sent.
    ///
    /// # Errors
    /// INVALID_ARGUMENT where a part of the call cannot stand in a header.
    pub fn headers(&self, path: &str, message: &[u8]) -> Result<Vec<(HeaderName, HeaderValue)>, Status> {
        let (hub, nonce) = (self.hub_id.to_string(), Uuid::new_v4().to_string());
        let own = [(HUB_ID_HEADER, &*hub), (NONCE_HEADER, &*nonce)];
        let [first, second] = own;
        let headers = [("host", &*self.authority), first, second];
        let request = HttpRequest { method: "POST", path, query: "", headers: &headers };
        let signed = self
            .by
            .headers(self.region.as_str(), &request, &PayloadHash::of(message), (self.now)())
            .map_err(|error| Status::invalid_argument(format!("the call cannot be signed: {error}")))?;
        let signed = signed.iter().map(|(name, value)| (*name, value.as_str()));
        own.into_iter().chain(signed).map(|(name, value)| header(name, value)).collect()
    }
}

fn header(name: &'static str, value: &str) -> Result<(HeaderName, HeaderValue), Status> {
    let name = HeaderName::from_static(name);
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        Status::invalid_argument(format!("the value of header `{name}` is not one that HTTP allows"))
    })?;
    value.set_sensitive(name == AUTHORIZATION || name == "x-amz-security-token");
    Ok((name, value))
}

impl Prepare for Signing {
    async fn prepare(&self, request: Request<Body>) -> Result<Request<Body>, Status> {
        let (mut parts, body) = request.into_parts();
        let (framed, message): (Bytes, Bytes) = frame::one_message(body, MESSAGE_BYTES_MAX).await?;
        parts.headers.extend(self.headers(parts.uri.path(), &message)?);
        Ok(Request::from_parts(parts, Body::new(Full::new(framed))))
    }
}

#[cfg(test)]
mod tests;
