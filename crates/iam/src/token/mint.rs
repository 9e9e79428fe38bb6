//! Minting tokens, as the stock clients do.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::ExposeSecret as _;
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use super::{CLUSTER_ID_HEADER, TOKEN_AGE_MAX, TOKEN_BYTES_MAX, TOKEN_PREFIX, TOKEN_SERVICE, Token};
use crate::id::{Credentials, Region};
use crate::shown::shown;
use crate::sigv4::{HttpRequest, PayloadHash, SigV4Error, Signer};

/// The lifetime that stock clients put into their tokens.
pub const TOKEN_EXPIRES: Duration = Duration::seconds(60);

/// Longest cluster id that is signed, in bytes.
const CLUSTER_ID_BYTES_MAX: usize = 256;

/// Why no token could be minted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    /// The lifetime is out of range.
    #[error("a token lives from 0 to {max} s", max = TOKEN_AGE_MAX.whole_seconds())]
    Expires,
    /// The cluster id cannot be a header's value.
    #[error("`{}` cannot be a cluster id: use 1 to {max} visible ASCII characters", shown(.0), max = CLUSTER_ID_BYTES_MAX)]
    ClusterId(String),
    /// The host cannot be one.
    #[error("`{}` is not a host", shown(.0))]
    Host(String),
    /// Too long, by the session token.
    #[error("the token would have {0} bytes, at most {max} are accepted: use a session with fewer tags", max = TOKEN_BYTES_MAX)]
    TooLong(usize),
    /// The request could not be signed.
    #[error(transparent)]
    Sign(#[from] SigV4Error),
}

fn is_visible(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Presigns `GetCallerIdentity` at an STS host and its region; signed are `host` and one more header, whose value is of visible ASCII
/// characters.
pub(super) fn presign(
    credentials: &Credentials,
    (host, region): (&str, &Region),
    header: (&str, &str),
    now: OffsetDateTime,
    expires: Duration,
) -> Result<Zeroizing<String>, MintError> {
    if !is_visible(host) || host.contains(['/', '?', '#', '@']) {
        return Err(MintError::Host(host.to_owned()));
    }
    let request = HttpRequest {
        method: "GET",
        path: "/",
        query: "Action=GetCallerIdentity&Version=2011-06-15",
        headers: &[("host", host), header],
    };
    let signer = Signer::new(credentials, region.as_str(), TOKEN_SERVICE);
    let query = signer.presign(&request, &PayloadHash::of(b""), now, expires)?;
    let mut url = Zeroizing::new(String::with_capacity(host.len() + query.expose_secret().len() + 10));
    for part in ["https://", host, "/?", query.expose_secret()] {
        url.push_str(part);
    }
    Ok(url)
}

/// Presigns `GetCallerIdentity` at an STS host for a cluster: parameters in the order of botocore, `host` and
/// `x-k8s-aws-id` signed.
///
/// # Errors
/// When the lifetime is above 15 minutes, a part cannot be sent, or the token would be too long.
pub fn mint_token(
    credentials: &Credentials,
    host: &str,
    region: &Region,
    cluster_id: &str,
    now: OffsetDateTime,
    expires: Duration,
) -> Result<Token, MintError> {
    if expires.is_negative() || expires > TOKEN_AGE_MAX {
        return Err(MintError::Expires);
    }
    if !is_visible(cluster_id) || cluster_id.len() > CLUSTER_ID_BYTES_MAX {
        return Err(MintError::ClusterId(cluster_id.to_owned()));
    }
    let url = presign(credentials, (host, region), (CLUSTER_ID_HEADER, cluster_id), now, expires)?;
    let mut token = String::with_capacity(TOKEN_PREFIX.len() + url.len() / 3 * 4 + 4);
    token.push_str(TOKEN_PREFIX);
    URL_SAFE_NO_PAD.encode_string(url.as_bytes(), &mut token);
    if token.len() > TOKEN_BYTES_MAX { Err(MintError::TooLong(token.len())) } else { Ok(Token::new(token)) }
}
