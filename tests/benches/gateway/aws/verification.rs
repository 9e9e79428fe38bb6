//! What it costs to verify a signature of the AWS wire.

use std::hint::black_box;

use anyhow::Result;
use lanyard_iam::sigv4::Expected;
use lanyard_iam::{
    AccessKeyId, Credentials, HttpRequest, PayloadHash, SecretAccessKey, SignedRequest, Signer, SigningKey,
};
use time::OffsetDateTime;

use super::WIRE;
use crate::figure::say;
use crate::turn::nanoseconds;
use crate::world::REGION;

/// Rounds that are measured; each is some microseconds.
const ROUNDS: u32 = 100_000;
/// The day of a date: `YYYYMMDD`.
const DAY: usize = 8;

/// Verifies one call over and over: read, hashed and compared, with the day's key kept and with it derived each time.
pub(super) fn measure() -> Result<()> {
    let credentials = Credentials {
        access_key_id: AccessKeyId::parse("LKIAIOSFODNN7EXAMPLE")?,
        secret_access_key: SecretAccessKey::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned()),
        session_token: None,
    };
    let now = OffsetDateTime::now_utc();
    let path = "/clusters/prod/access-entries/arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Fteam%2FDev";
    let own = [("host", "hub.example:8445"), ("accept-encoding", "identity")];
    let request = HttpRequest { method: "GET", path, query: "", headers: &own };
    let payload = PayloadHash::of(b"");
    let signed = Signer::new(&credentials, REGION, "eks").sign_headers(&request, &payload, now)?;
    let headers: Vec<_> = own.into_iter().chain(signed.iter()).collect();
    let request = HttpRequest { headers: &headers, ..request };
    let date = headers.iter().find(|(name, _)| *name == "x-amz-date").map_or("", |(_, date)| *date);
    let day = date.get(..DAY).unwrap_or_default();
    let derive = || SigningKey::derive(&credentials.secret_access_key, day, REGION, "eks");
    let kept = derive();
    let verify = |key: &SigningKey| {
        let expected = Expected::new(REGION, "eks", now);
        let parsed = SignedRequest::parse(black_box(&request), &expected)?;
        parsed.verify(black_box(&request), &PayloadHash::of(b""), key)?;
        Ok::<_, anyhow::Error>(())
    };
    let (with_kept, with_derived) =
        (nanoseconds(ROUNDS, || verify(&kept))?, nanoseconds(ROUNDS, || verify(&derive()))?);
    say(WIRE, "SigV4 verification, the day's key kept", with_kept, "ns", None);
    say(WIRE, "SigV4 verification, the key derived", with_derived, "ns", None);
    Ok(())
}
