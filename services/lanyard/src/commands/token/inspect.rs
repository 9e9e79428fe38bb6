//! `lanyard token inspect`: each part of a token, verified as far as it can be without STS. Nothing secret is shown: no
//! signature, no session token, not the token.

use clap::Args;
use lanyard_api::{ClusterId, mapping::BREAK_GLASS_PREFIX};
use lanyard_iam::{
    ParsedToken, Partition, Region, StsAuthority, Token, TokenError, TokenRules,
    token::{TOKEN_BYTES_MAX, TOKEN_PREFIX, TokenDigest},
};
use lanyard_kit::{Clock, SystemClock};
use lanyard_oidc::looks_like_jwt;
use time::OffsetDateTime;

use super::{
    inspect_break_glass, inspect_jwt,
    inspected::{Inspected, Part, State},
    own_credentials, read_token,
};
use crate::{
    cli::Context,
    exit::Ending,
    failure::Failure,
    input::{Source, moment_text},
};

pub(super) const HELP: &str = "\
Examples:
  lanyard token --cluster-name dev | lanyard token inspect - --cluster dev
  aws eks get-token --cluster-name dev | lanyard token inspect -
  lanyard token inspect - < id-token            # an OIDC token: what it says, believed in nothing
  lanyard token inspect - --sts-host sts.lab.example:8443 --region eu-lab-1 < token

It ends with 1 where a verifier would refuse the token whatever STS says. The signature can be verified here only where \
you hold the very key that signed; who it belongs to, STS alone (or a hub, for its own keys) knows. Of a break-glass credential \
(`lbg_…`) it is told that it is one, and no more.";

/// The flags of `lanyard token inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The token, or an ExecCredential with it: a file, or `-` for standard input.
    #[arg(default_value = "-", value_name = "FILE")]
    source: Source,
    /// The cluster that it should be for.
    #[arg(long, value_name = "CLUSTER")]
    cluster: Option<ClusterId>,
    /// A self-hosted STS that is accepted beside AWS's; its region is --region.
    #[arg(long, value_name = "HOST")]
    sts_host: Option<String>,
}

/// The code of a signature that the key did not make for the cluster.
const OTHER_CLUSTER: &str = "signature_or_cluster";

impl InspectArgs {
    /// Looks at it.
    pub(super) fn run(self, context: &Context) -> Result<Ending, Failure> {
        let token = read_token(&self.source)?;
        if token.expose().starts_with(BREAK_GLASS_PREFIX) {
            return inspect_break_glass::show(context, &token);
        }
        if looks_like_jwt(token.expose()) {
            return inspect_jwt::show(context, &token);
        }
        let region = context.hub.region.as_deref().unwrap_or("us-east-1");
        let region = Region::parse(region).map_err(Failure::usage)?;
        let self_hosted = self.sts_host.iter().map(|host| StsAuthority::new("given", host, region.clone()));
        let self_hosted = self_hosted.collect::<Result<Vec<_>, _>>().map_err(Failure::usage)?;
        let now = SystemClock.now();
        let judged = judge(&token, &region, &self_hosted, now);
        let signature = judged.parsed.as_ref().map(|parsed| self.signature(context, parsed));
        let inspected = inspected(&token, judged, self.cluster.as_ref(), signature, now);
        context.show(&inspected)?;
        Ok((inspected.reason.is_none()).into())
    }

    /// Whether the caller's own key signed it, for the cluster given; for others that is STS's to say.
    fn signature(&self, context: &Context, parsed: &ParsedToken) -> Signed {
        let Some(cluster) = &self.cluster else { return Signed::Unknown };
        let Some(own) = own_credentials(context, parsed.access_key_id().as_str()) else {
            return Signed::Unknown;
        };
        match parsed.verify_local(cluster.as_str(), &parsed.signing_key(&own.secret_access_key)) {
            Ok(()) => Signed::ByOwnKey,
            Err(_) => Signed::Otherwise,
        }
    }
}

/// What is known of the signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signed {
    Unknown,
    ByOwnKey,
    Otherwise,
}

/// A token's parts as far as they can be read, and the rule that it breaks.
struct Judged {
    parsed: Option<ParsedToken>,
    partition: Partition,
    error: Option<TokenError>,
}

/// By the rules of the partition whose STS it is for. Of one that is out of its time, the parts are read all the same.
fn judge(token: &Token, region: &Region, self_hosted: &[StsAuthority], now: OffsetDateTime) -> Judged {
    let mut refused = None;
    for partition in Partition::ALL {
        let (region, self_hosted) = (region.clone(), self_hosted.to_vec());
        let rules = TokenRules { partition, region, self_hosted, own_hosts: [].into() };
        match ParsedToken::parse(token.expose(), &rules, now) {
            Ok(parsed) => return Judged { parsed: Some(parsed), partition, error: None },
            // The next partition may know the host.
            Err(error @ TokenError::Host { .. }) => {
                refused.get_or_insert(Judged { parsed: None, partition, error: Some(error) });
            }
            Err(error) => {
                let date = match error {
                    TokenError::TooOld { date, .. } | TokenError::Future { date } => Some(date),
                    _ => None,
                };
                let parsed = date.and_then(|date| ParsedToken::parse(token.expose(), &rules, date).ok());
                return Judged { parsed, partition, error: Some(error) };
            }
        }
    }
    refused.unwrap_or(Judged { parsed: None, partition: Partition::Aws, error: Some(TokenError::Prefix) })
}

fn inspected(
    token: &Token,
    judged: Judged,
    cluster: Option<&ClusterId>,
    signed: Option<Signed>,
    now: OffsetDateTime,
) -> Inspected {
    let mut parts = vec![form(token)];
    if let Some(parsed) = &judged.parsed {
        parts.extend(read_parts(parsed, judged.partition, judged.error.as_ref(), now));
        parts.extend(signed_parts(cluster, signed.unwrap_or(Signed::Unknown)));
    } else if let Some(error) = &judged.error {
        parts.retain(|part| part.state == State::Verified);
        parts.push(Part::new(error.part().as_str(), "", State::Refused, error.to_string()));
    }
    let mismatch = (signed == Some(Signed::Otherwise)).then_some(OTHER_CLUSTER);
    let reason = judged.error.as_ref().map(TokenError::reason_code).or(mismatch);
    Inspected {
        token: TokenDigest::of(token.expose()).to_string(),
        well_formed: judged.error.is_none(),
        reason,
        parts,
        verdict: verdict(reason),
    }
}

fn verdict(reason: Option<&str>) -> String {
    match reason {
        None => "well-formed: what is left is for STS to say".to_owned(),
        // For another cluster's verifier it may be a good one.
        Some(OTHER_CLUSTER) => format!("refused at that cluster ({OTHER_CLUSTER})"),
        // A hub may be an STS itself, or know one that nobody has named here.
        Some(reason @ "token_host") => {
            format!(
                "refused by every verifier that does not know this STS ({reason}); --sts-host takes it as one"
            )
        }
        Some(reason) => format!("refused by every verifier ({reason})"),
    }
}

/// Length and prefix.
fn form(token: &Token) -> Part {
    let length = token.expose().len();
    let fits = length <= TOKEN_BYTES_MAX && token.expose().starts_with(TOKEN_PREFIX);
    let state = if fits { State::Verified } else { State::Refused };
    let note = format!("{TOKEN_PREFIX} and base64url, at most {TOKEN_BYTES_MAX} bytes");
    Part::new("form", format!("{length} bytes"), state, note)
}

fn read_parts(
    parsed: &ParsedToken,
    partition: Partition,
    error: Option<&TokenError>,
    now: OffsetDateTime,
) -> Vec<Part> {
    let verified = |part, value: String, note: String| Part::new(part, value, State::Verified, note);
    let host_note = match parsed.self_hosted() {
        Some(_) => "a self-hosted STS, as you said".to_owned(),
        None => format!("STS of partition {partition}"),
    };
    let key = parsed.access_key_id();
    let key_note = match (key.is_local(), key.is_session()) {
        (true, false) => "a long-term key of a Lanyard hub: never sent to AWS",
        (true, true) => "a role session's key of a Lanyard hub: never sent to AWS",
        (false, true) => "a session's key of AWS",
        (false, false) => "a long-term key of AWS",
    };
    let session = match parsed.session_token() {
        Some(token) => {
            let value = format!("{} bytes, not shown", token.expose().len());
            Part::new("X-Amz-Security-Token", value, State::NeedsSts, "whether the session lives")
        }
        None => verified("X-Amz-Security-Token", "none".to_owned(), String::new()),
    };
    vec![
        verified("host", parsed.host().to_owned(), host_note),
        verified("action", "GetCallerIdentity".to_owned(), "the one action that is allowed".to_owned()),
        verified(
            "X-Amz-SignedHeaders",
            "host;x-k8s-aws-id".to_owned(),
            "the cluster's id is signed".to_owned(),
        ),
        date_part(parsed, error, now),
        verified(
            "X-Amz-Expires",
            format!("{} s", parsed.expires().whole_seconds()),
            "does not end it sooner".to_owned(),
        ),
        verified("region", parsed.region().to_owned(), "of host and credential scope alike".to_owned()),
        Part::new("X-Amz-Credential", key.to_string(), State::NeedsSts, format!("{key_note}; whose it is")),
        session,
    ]
}

fn date_part(parsed: &ParsedToken, error: Option<&TokenError>, now: OffsetDateTime) -> Part {
    let left = (parsed.not_after() - now).whole_seconds();
    let (state, note) = match error {
        Some(error) => (State::Refused, error.to_string()),
        None => (
            State::Verified,
            format!("accepted until {}, for {left} s more", moment_text(parsed.not_after())),
        ),
    };
    Part::new("X-Amz-Date", moment_text(parsed.date().at()), state, note)
}

/// Signature and cluster: one cannot be told without the other.
fn signed_parts(cluster: Option<&ClusterId>, signed: Signed) -> [Part; 2] {
    let (state, note) = match signed {
        Signed::ByOwnKey => (State::Verified, "signed by the key that you hold, for this cluster"),
        Signed::Otherwise => {
            (State::Refused, "you hold this key, and it signed another cluster's id, or not at all")
        }
        Signed::Unknown => {
            (State::NeedsSts, "the cluster's id is signed and not written: only the key tells")
        }
    };
    let cluster = cluster.map_or_else(|| "not given".to_owned(), ToString::to_string);
    [Part::new("X-Amz-Signature", "not shown", state, note), Part::new("cluster", cluster, state, note)]
}

#[cfg(test)]
mod tests {
    use lanyard_iam::{AccessKeyId, Credentials, SecretAccessKey, SessionToken, mint_token};
    use time::{Duration, macros::datetime};

    use super::*;
    use crate::output::Tabular as _;

    const NOW: OffsetDateTime = datetime!(2030-01-31 12:00:00 UTC);
    const SECRET: &str = "s3cret-half-of-the-key";
    const SESSION: &str = "s3cret-session-token";

    fn mint(key: &str, region: &str, session: bool) -> Token {
        let region = Region::parse(region).unwrap();
        mint_at(&super::super::partition(&region).sts_host(&region), key, &region, session)
    }

    fn mint_at(host: &str, key: &str, region: &Region, session: bool) -> Token {
        let credentials = Credentials {
            access_key_id: AccessKeyId::parse(key).unwrap(),
            secret_access_key: SecretAccessKey::new(SECRET.to_owned()),
            session_token: session.then(|| SessionToken::new(SESSION.to_owned())),
        };
        mint_token(&credentials, host, region, "dev", NOW, Duration::seconds(60)).unwrap()
    }

    fn look(token: &Token, now: OffsetDateTime) -> Inspected {
        let judged = judge(token, &Region::parse("us-east-1").unwrap(), &[], now);
        inspected(token, judged, None, None, now)
    }

    #[test]
    fn a_good_token_is_a_table_of_what_is_verified_and_what_is_left() {
        let token = mint("LSIAAAAAAAAAAAAAAAAA", "us-east-1", true);
        let mut shown = look(&token, NOW + Duration::minutes(1));
        shown.token = "0123456789ab".to_owned();
        insta::assert_snapshot!(crate::output::table(&shown));
        insta::assert_snapshot!(serde_json::to_string_pretty(&shown).unwrap());
    }

    #[test]
    fn every_partitions_tokens_are_read() {
        for region in ["us-east-1", "cn-north-1", "us-gov-west-1", "us-iso-east-1", "eusc-de-east-1"] {
            let shown = look(&mint("AKIAIOSFODNN7EXAMPLE", region, false), NOW);
            assert!(shown.well_formed, "{region}: {shown:?}");
        }
    }

    #[test]
    fn a_token_out_of_its_time_shows_its_parts_and_is_refused() {
        let token = mint("LKIAAAAAAAAAAAAAAAAA", "us-east-1", false);
        for (now, reason) in [
            (NOW + Duration::minutes(20), "token_expired"),
            (NOW - Duration::minutes(6), "token_from_future"),
        ] {
            let shown = look(&token, now);
            assert_eq!(shown.reason, Some(reason));
            assert!(shown.parts.iter().any(|part| part.value == "LKIAAAAAAAAAAAAAAAAA"), "{shown:?}");
            assert_eq!(
                shown.parts.iter().filter(|part| part.state == State::Refused).count(),
                1,
                "{shown:?}"
            );
        }
    }

    #[test]
    fn the_caller_own_key_tells_whether_it_signed() {
        let token = mint("LKIAAAAAAAAAAAAAAAAA", "us-east-1", false);
        let judged = || judge(&token, &Region::parse("us-east-1").unwrap(), &[], NOW);
        assert_eq!(inspected(&token, judged(), None, Some(Signed::ByOwnKey), NOW).reason, None);
        let other = inspected(&token, judged(), None, Some(Signed::Otherwise), NOW);
        assert_eq!(other.reason, Some("signature_or_cluster"));
        assert!(other.notes().concat().contains("refused at that cluster"), "{:?}", other.notes());
    }

    #[test]
    fn an_sts_that_nobody_has_named_may_be_one_that_a_verifier_knows() {
        let region = Region::parse("us-east-1").unwrap();
        let token = mint_at("hub.example:8444", "LKIAAAAAAAAAAAAAAAAA", &region, false);
        let shown = look(&token, NOW);
        assert_eq!(shown.reason, Some("token_host"));
        assert!(shown.notes().concat().contains("--sts-host"), "{:?}", shown.notes());
    }

    #[test]
    fn immunity_27_an_inspection_shows_nothing_that_could_be_presented() {
        let token = mint("LSIAAAAAAAAAAAAAAAAA", "us-east-1", true);
        let parsed = judge(&token, &Region::parse("us-east-1").unwrap(), &[], NOW).parsed.unwrap();
        let mut signature = String::new();
        parsed.signature().as_bytes().iter().for_each(|byte| signature.push_str(&format!("{byte:02x}")));
        let spoilt = Token::new(format!("{}%", token.expose()));
        for (token, now) in [(&token, NOW), (&token, NOW + Duration::hours(1)), (&spoilt, NOW)] {
            let shown = look(token, now);
            let text = format!("{}{}", crate::output::table(&shown), serde_json::to_string(&shown).unwrap());
            let encoded = token.expose().strip_prefix(TOKEN_PREFIX).unwrap();
            for secret in [SECRET, SESSION, &signature, encoded, &encoded[..40]] {
                assert!(!text.contains(secret), "{text}");
            }
        }
    }
}
