//! A token whose parts have been judged.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use time::{Duration, OffsetDateTime};

use super::{CLUSTER_ID_HEADER, TOKEN_SERVICE, TokenLife};
use crate::id::{AccessKeyId, SecretAccessKey, SessionToken};
use crate::sigv4::{
    ALGORITHM, AmzDate, EMPTY_BODY_SHA256, Signature, SignatureMismatch, SigningKey, StringToSign,
    encode_into,
};

/// A token of which every part has been judged, except the signature: that is STS's to verify
/// ([`Self::rebuild_url`]), or ours for local keys ([`Self::verify_local`]).
#[derive(Clone)]
pub struct ParsedToken {
    pub(super) host: Box<str>,
    pub(super) region: Box<str>,
    pub(super) self_hosted: Option<Box<str>>,
    pub(super) access_key_id: AccessKeyId,
    pub(super) date: AmzDate,
    pub(super) life: TokenLife,
    pub(super) expires: u16,
    pub(super) session_token: Option<SessionToken>,
    pub(super) version: Option<Box<str>>,
    pub(super) credential: Box<str>,
    pub(super) signed_headers: Box<str>,
    pub(super) signature: Signature,
}

impl ParsedToken {
    /// The STS host that the token is addressed to, with the port if a self-hosted one has any.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The name of the self-hosted STS that the host belongs to; `None` for AWS's.
    #[must_use]
    pub fn self_hosted(&self) -> Option<&str> {
        self.self_hosted.as_deref()
    }

    /// The region of host and credential scope, which are the same.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The key that claims to have signed.
    #[must_use]
    pub fn access_key_id(&self) -> &AccessKeyId {
        &self.access_key_id
    }

    /// When the token was made; its day is the signing key's.
    #[must_use]
    pub fn date(&self) -> AmzDate {
        self.date
    }

    /// The lifetime that the token gives itself. It does not shorten [`Self::not_after`].
    #[must_use]
    pub fn expires(&self) -> Duration {
        Duration::seconds(self.expires.into())
    }

    /// When the token stops being accepted: 15 minutes after its date.
    #[must_use]
    pub fn not_after(&self) -> OffsetDateTime {
        self.life.not_after()
    }

    /// When the token counts.
    #[must_use]
    pub fn life(&self) -> TokenLife {
        self.life
    }

    /// The session token that came along.
    #[must_use]
    pub fn session_token(&self) -> Option<&SessionToken> {
        self.session_token.as_ref()
    }

    /// The signature, still to be verified.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The URL to call STS with, made of the judged fields alone, in canonical order. A bearer value.
    #[must_use]
    pub fn rebuild_url(&self) -> SecretString {
        let query = self.canonical_query();
        let query = query.expose_secret();
        let mut url = String::with_capacity(self.host.len() + query.len() + 96);
        for part in ["https://", &self.host, "/?", query, "&X-Amz-Signature="] {
            url.push_str(part);
        }
        self.signature.push_hex(&mut url);
        SecretString::from(url)
    }

    /// The query that was signed, in canonical order and spelling. Made when it is needed: who is found in a cache is spared it.
    fn canonical_query(&self) -> SecretString {
        let security_token = self.session_token.as_ref().map(SessionToken::expose);
        let token_bytes = security_token.map_or(0, str::len);
        // Room for every third character of a session token to be escaped: more would grow once.
        let mut out = String::with_capacity(320 + token_bytes + token_bytes * 2 / 3);
        out.push_str("Action=GetCallerIdentity");
        let mut push = |name: &str, value: &str| {
            out.push('&');
            out.push_str(name);
            out.push('=');
            encode_into(value, &mut out);
        };
        if let Some(version) = &self.version {
            push("Version", version);
        }
        push("X-Amz-Algorithm", ALGORITHM);
        push("X-Amz-Credential", &self.credential);
        push("X-Amz-Date", self.date.as_str());
        push("X-Amz-Expires", &self.expires.to_string());
        if let Some(token) = security_token {
            push("X-Amz-Security-Token", token);
        }
        push("X-Amz-SignedHeaders", &self.signed_headers);
        SecretString::from(out)
    }

    /// The headers to send with [`Self::rebuild_url`]: the cluster that the token has to be for, and the answer's form.
    #[must_use]
    pub fn headers(cluster_id: &str) -> [(&'static str, &str); 2] {
        [(CLUSTER_ID_HEADER, cluster_id), ("accept", "application/json")]
    }

    /// Derives the key that a secret would have signed this token with.
    #[must_use]
    pub fn signing_key(&self, secret: &SecretAccessKey) -> SigningKey {
        SigningKey::derive(secret, self.date.day(), &self.region, TOKEN_SERVICE)
    }

    /// Verifies the signature for this cluster, with the key of [`Self::signing_key`].
    ///
    /// # Errors
    /// When another key, another cluster id or another request was signed; which of them cannot be told.
    pub fn verify_local(&self, cluster_id: &str, key: &SigningKey) -> Result<(), SignatureMismatch> {
        let query = self.canonical_query();
        let mut hash = Sha256::new();
        for part in [
            "GET\n/\n",
            query.expose_secret(),
            "\nhost:",
            &self.host,
            "\nx-k8s-aws-id:",
            cluster_id,
            "\n\nhost;x-k8s-aws-id\n",
            EMPTY_BODY_SHA256,
        ] {
            hash.update(part.as_bytes());
        }
        let signature = key.sign(&StringToSign {
            date: self.date,
            region: &self.region,
            service: TOKEN_SERVICE,
            canonical_request_sha256: hash.finalize().into(),
        });
        if signature.matches(&self.signature) { Ok(()) } else { Err(SignatureMismatch::Signature) }
    }
}

impl fmt::Debug for ParsedToken {
    /// Host, key id and date: nothing that could be presented.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParsedToken")
            .field("host", &self.host)
            .field("region", &self.region)
            .field("access_key_id", &self.access_key_id)
            .field("date", &self.date)
            .finish_non_exhaustive()
    }
}
