//! The verifier's vectors, one table. Their ids are those of the compatibility tables derived from
//! kubernetes-sigs/aws-iam-authenticator; rows on STS's answers are tested where STS is called, rows on identities beside
//! the ARNs. Where upstream is laxer, the stricter answer is the one that counts here.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use super::*;
use crate::id::Region;
use crate::partition::Partition;
use crate::sigv4::AmzDate;

const NOW: OffsetDateTime = datetime!(2026-03-01 12:00:00 UTC);
const SIGNATURE: &str = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";

/// The URL of a token, in parts that a vector can bend.
#[derive(Clone)]
struct Base {
    scheme: &'static str,
    host: String,
    path: &'static str,
    parameters: Vec<(String, String)>,
    tail: &'static str,
}

fn base_at(host: &str, region: &str, date: OffsetDateTime) -> Base {
    let date = AmzDate::of(date);
    let credential = format!("ASIAIOSFODNN7EXAMPLE%2F{}%2F{region}%2Fsts%2Faws4_request", date.day());
    let parameters = [
        ("Action", "GetCallerIdentity"),
        ("Version", "2011-06-15"),
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
        ("X-Amz-Credential", &credential),
        ("X-Amz-Date", date.as_str()),
        ("X-Amz-Expires", "60"),
        ("X-Amz-SignedHeaders", "host%3Bx-k8s-aws-id"),
        ("X-Amz-Security-Token", "FwoGZXIvYXdzE%2Fsession%2B%3D"),
        ("X-Amz-Signature", SIGNATURE),
    ];
    Base {
        scheme: "https",
        host: host.to_owned(),
        path: "/",
        parameters: parameters.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        tail: "",
    }
}

fn base() -> Base {
    base_at("sts.us-west-2.amazonaws.com", "us-west-2", NOW - Duration::MINUTE)
}

impl Base {
    fn url(&self) -> String {
        let query: Vec<String> =
            self.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{}://{}{}?{}{}", self.scheme, self.host, self.path, query.join("&"), self.tail)
    }

    fn token(&self) -> String {
        encode(&self.url())
    }

    fn set(mut self, name: &str, value: &str) -> Self {
        for (key, old) in &mut self.parameters {
            if key == name {
                value.clone_into(old);
            }
        }
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.parameters.retain(|(key, _)| key != name);
        self
    }

    fn plus(mut self, name: &str, value: &str) -> Self {
        self.parameters.push((name.to_owned(), value.to_owned()));
        self
    }
}

fn encode(url: &str) -> String {
    format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(url))
}

fn host(host: &str, region: &str) -> String {
    base_at(host, region, NOW - Duration::MINUTE).token()
}

fn dated(age: Duration) -> String {
    base_at("sts.us-west-2.amazonaws.com", "us-west-2", NOW - age).token()
}

fn with(name: &str, value: &str) -> String {
    base().set(name, value).token()
}

fn rules(partition: Partition, region: &str) -> TokenRules {
    TokenRules {
        partition,
        region: Region::parse(region).unwrap(),
        self_hosted: Vec::new(),
        own_hosts: [].into(),
    }
}

/// A token of this many bytes, padded by its session token.
fn of_length(length: usize) -> String {
    let mut token = String::new();
    for padding in 1.. {
        token = with("X-Amz-Security-Token", &"a".repeat(padding));
        if token.len() >= length {
            break;
        }
    }
    token
}

/// A good token but for its padding.
fn padded() -> String {
    let urls = (1..4).map(|n| base().set("X-Amz-Security-Token", &"a".repeat(n)).url());
    let encoded = urls.map(|url| URL_SAFE.encode(url)).find(|encoded| encoded.ends_with('='));
    format!("{TOKEN_PREFIX}{}", encoded.unwrap())
}

/// A token whose last character has bits beyond the last byte.
fn with_stray_bits() -> String {
    let token = (0..3)
        .map(|n| with("X-Amz-Security-Token", &"a".repeat(n + 1)))
        .find(|token| !(token.len() - TOKEN_PREFIX.len()).is_multiple_of(4));
    let mut token = token.unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = token.pop().unwrap();
    let at = alphabet.find(last).unwrap();
    token.push(alphabet.chars().nth(at + 1).unwrap());
    token
}

const OK: Result<(), &str> = Ok(());

fn refused(reason: &'static str) -> Result<(), &'static str> {
    Err(reason)
}

/// Vectors of a verifier in partition `aws`: encoding and URL.
fn url_vectors() -> Vec<(&'static str, String, Result<(), &'static str>)> {
    let good = base().token();
    let with_slash = STANDARD_NO_PAD.encode(format!("{}ÿÿ??>>", base().url()));
    vec![
        ("V01", good.clone(), OK),
        ("V02", base().without("X-Amz-Security-Token").token(), OK),
        ("V03", host("sts.amazonaws.com", "us-east-1"), OK),
        ("V04", host("sts-fips.us-east-1.amazonaws.com", "us-east-1"), OK),
        ("V05", host("sts-fips.us-west-2.amazonaws.com", "us-west-2"), OK),
        ("V06", host("sts.us-west-2.api.aws", "us-west-2"), OK),
        ("V07", host("sts.not-a-region.amazonaws.com", "not-a-region"), OK),
        // 4096 bytes would be base64 of an impossible length; 4095 is the longest token there can be, and one of 4096
        // fails by its encoding, not by its length.
        ("V08", of_length(4095), OK),
        ("V08 at the limit", format!("{}A", of_length(4095)), refused("token_encoding")),
        ("V09", format!("{}AA", of_length(4095)), refused("token_too_long")),
        ("V10 v2", good.replace("v1", "v2"), refused("token_prefix")),
        ("V10 case", good.replace("k8s-aws-v1", "K8S-AWS-V1"), refused("token_prefix")),
        ("V10 none", good.replace(TOKEN_PREFIX, ""), refused("token_prefix")),
        ("V11", padded(), refused("token_encoding")),
        ("V11 one more", format!("{good}="), refused("token_encoding")),
        ("V12", format!("{TOKEN_PREFIX}{with_slash}"), refused("token_encoding")),
        ("V13", format!("{}\n{}", &good[..40], &good[40..]), refused("token_encoding")),
        ("V14", with_stray_bits(), refused("token_encoding")),
        ("V15", encode("not a url"), refused("token_url")),
        ("V15 no scheme", encode("//sts.amazonaws.com/?Action=GetCallerIdentity"), refused("token_url")),
        ("V16 http", Base { scheme: "http", ..base() }.token(), refused("token_scheme")),
        ("V16 HTTPS", Base { scheme: "HTTPS", ..base() }.token(), OK),
        ("V17", host("google.com", "us-west-2"), refused("token_host")),
        ("V18", host("website.amazonaws.com", "us-west-2"), refused("token_host")),
        ("V19", host("sts.amazonaws.com.cn", "cn-north-1"), refused("token_host")),
        ("V20", host("sts.cn-north-1.api.amazonwebservices.com.cn", "cn-north-1"), refused("token_host")),
        ("V21", host("STS.us-west-2.amazonaws.com", "us-west-2"), refused("token_host")),
        ("V22", host("sts.us-west-2.amazonaws.com:443", "us-west-2"), refused("token_host")),
        ("V23", host("sts.us-west-2.amazonaws.com.evil.example", "us-west-2"), refused("token_host")),
        ("V24", host("sts.-bad.amazonaws.com", "-bad"), refused("token_host")),
        ("V25", host("user@sts.us-west-2.amazonaws.com", "us-west-2"), refused("token_user_info")),
        ("V26", Base { tail: "#x", ..base() }.token(), refused("token_fragment")),
        ("V27", Base { path: "", ..base() }.token(), refused("token_path")),
        ("V28 /x", Base { path: "/x", ..base() }.token(), refused("token_path")),
        ("V28 //", Base { path: "//", ..base() }.token(), refused("token_path")),
        ("V82", host("sts.us-gov-west-1.amazonaws.com", "us-gov-west-1"), refused("token_host")),
        ("V83", String::new(), refused("token_prefix")),
    ]
}

/// Vectors of a verifier in partition `aws`: parameters.
fn parameter_vectors() -> Vec<(&'static str, String, Result<(), &'static str>)> {
    let lower = Base {
        parameters: base().parameters.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect(),
        ..base()
    };
    vec![
        ("V29", with("X-Amz-Security-Token", "%zz"), refused("token_query")),
        ("V30", base().plus("a;b", "c").token(), refused("token_query")),
        ("V31", base().plus("X-Amz-Expires", "60").token(), refused("repeated_parameter")),
        ("V32", base().plus("action", "GetCallerIdentity").token(), refused("duplicate_parameter")),
        ("V33", base().plus("foo", "bar").token(), refused("parameter_not_allowed")),
        ("V34", base().plus("X-Amz-Content-Sha256", "x").token(), refused("parameter_not_allowed")),
        ("V35", lower.token(), OK),
        ("V36", with("Action", "AssumeRole"), refused("action")),
        ("V37", with("Action", "getcalleridentity"), refused("action")),
        ("V38", base().without("Action").token(), refused("action")),
        ("V39", with("Version", "2020-01-01"), OK),
        ("V40", with("X-Amz-SignedHeaders", "host"), refused("cluster_id_not_signed")),
        ("V41", with("X-Amz-SignedHeaders", "host%3BX-K8S-AWS-ID"), OK),
        ("V42", with("X-Amz-SignedHeaders", "x-k8s-aws-id"), refused("host_not_signed")),
        ("V43", with("X-Amz-SignedHeaders", "host%3Bx-k8s-aws-idx"), refused("cluster_id_not_signed")),
        ("V44 missing", base().without("X-Amz-Expires").token(), refused("expires_missing")),
        ("V44 abc", with("X-Amz-Expires", "abc"), refused("expires")),
        ("V44 60.5", with("X-Amz-Expires", "60.5"), refused("expires")),
        ("V45", with("X-Amz-Expires", "-1"), refused("expires")),
        ("V46", with("X-Amz-Expires", "0"), OK),
        ("V47", with("X-Amz-Expires", "900"), OK),
        ("V48", with("X-Amz-Expires", "901"), refused("expires")),
        ("V49 missing", base().without("X-Amz-Date").token(), refused("date_missing")),
        ("V49 empty", with("X-Amz-Date", ""), refused("date_malformed")),
        ("V50", with("X-Amz-Date", "2024-01-01T00:00:00Z"), refused("date_malformed")),
        ("V51", dated(Duration::seconds(14 * 60 + 59)), OK),
        ("V52", dated(Duration::minutes(15)), OK),
        ("V53", dated(Duration::seconds(15 * 60 + 1)), refused("token_expired")),
        ("V54", dated(-Duration::DAY), refused("token_from_future")),
        ("V55", with("X-Amz-Algorithm", "none"), refused("algorithm")),
        ("V56", host("sts.us-west-2.amazonaws.com", "eu-west-1"), refused("scope_region")),
        ("V80", with("X-Amz-Expires", "%2B60"), refused("expires")),
        ("V81", with("X-Amz-Date", "20260301T115900.5Z"), refused("date_malformed")),
    ]
}

#[test]
fn every_vector_gets_its_answer() {
    let aws = rules(Partition::Aws, "us-west-2");
    for (id, token, expected) in url_vectors().into_iter().chain(parameter_vectors()) {
        let verdict = ParsedToken::parse(&token, &aws, NOW);
        assert_eq!(verdict.map(drop).map_err(|error| error.reason_code()), expected, "{id}");
    }
}

#[test]
fn every_vector_of_another_partition_gets_its_answer() {
    let (cn, gov, iso) = (Partition::AwsCn, Partition::AwsUsGov, Partition::AwsIso);
    let refused = refused("token_host");
    let cases = [
        ("V57", cn, "cn-north-1", "sts.cn-north-1.amazonaws.com.cn", "cn-north-1", OK),
        ("V58", cn, "cn-north-1", "sts.cn-northwest-1.amazonaws.com.cn", "cn-northwest-1", OK),
        ("V59", cn, "cn-north-1", "sts.cn-north-1.api.amazonwebservices.com.cn", "cn-north-1", OK),
        ("V60", cn, "cn-north-1", "sts-fips.us-east-1.amazonaws.com", "us-east-1", refused),
        ("V61", cn, "cn-north-1", "sts.us-west-2.amazonaws.com.cn", "us-west-2", refused),
        ("V62", cn, "cn-north-1", "sts.not-a-region1.amazonaws.com.cn", "not-a-region1", refused),
        ("V62 own region", cn, "not-a-region1", "sts.not-a-region1.amazonaws.com.cn", "not-a-region1", OK),
        ("V63", iso, "us-iso-east-1", "sts.us-iso-east-1.c2s.ic.gov", "us-iso-east-1", OK),
        ("V64", gov, "us-gov-west-1", "sts.us-gov-east-1.amazonaws.com", "us-gov-east-1", OK),
        ("V65", gov, "us-gov-west-1", "sts.amazonaws.com", "us-east-1", refused),
        ("gov, commercial host", gov, "us-gov-west-1", "sts.us-west-2.amazonaws.com", "us-west-2", refused),
        (
            "iso has no dual stack",
            iso,
            "us-iso-east-1",
            "sts.us-iso-east-1.api.aws",
            "us-iso-east-1",
            refused,
        ),
        (
            "eusc",
            Partition::AwsEusc,
            "eusc-de-east-1",
            "sts.eusc-de-east-1.amazonaws.eu",
            "eusc-de-east-1",
            OK,
        ),
        (
            "no FIPS dual stack",
            Partition::Aws,
            "us-west-2",
            "sts-fips.us-west-2.api.aws",
            "us-west-2",
            refused,
        ),
        (
            "region in capitals",
            Partition::Aws,
            "us-west-2",
            "sts.US-GOV-WEST-1.amazonaws.com",
            "US-GOV-WEST-1",
            refused,
        ),
    ];
    for (id, partition, own, sts, region, expected) in cases {
        let verdict = ParsedToken::parse(&host(sts, region), &rules(partition, own), NOW);
        assert_eq!(verdict.map(drop).map_err(|error| error.reason_code()), expected, "{id}");
    }
    // V66: a partition that does not exist cannot be given to a verifier.
    assert!("aws-moon".parse::<Partition>().is_err());
}

/// STS hosts of every partition, written out: of a region, of FIPS, of dual stack where the partition has one, and the global one.
const HOSTS: [(Partition, &str, &str); 22] = [
    (Partition::Aws, "eu-west-1", "sts.eu-west-1.amazonaws.com"),
    (Partition::Aws, "eu-west-1", "sts-fips.eu-west-1.amazonaws.com"),
    (Partition::Aws, "eu-west-1", "sts.eu-west-1.api.aws"),
    (Partition::AwsUsGov, "us-gov-east-1", "sts.us-gov-east-1.amazonaws.com"),
    (Partition::AwsUsGov, "us-gov-east-1", "sts-fips.us-gov-east-1.amazonaws.com"),
    (Partition::AwsUsGov, "us-gov-east-1", "sts.us-gov-east-1.api.aws"),
    (Partition::AwsCn, "cn-northwest-1", "sts.cn-northwest-1.amazonaws.com.cn"),
    (Partition::AwsCn, "cn-northwest-1", "sts-fips.cn-northwest-1.amazonaws.com.cn"),
    (Partition::AwsCn, "cn-northwest-1", "sts.cn-northwest-1.api.amazonwebservices.com.cn"),
    (Partition::AwsIso, "us-iso-west-1", "sts.us-iso-west-1.c2s.ic.gov"),
    (Partition::AwsIso, "us-iso-west-1", "sts-fips.us-iso-west-1.c2s.ic.gov"),
    (Partition::AwsIsoB, "us-isob-east-1", "sts.us-isob-east-1.sc2s.sgov.gov"),
    (Partition::AwsIsoB, "us-isob-east-1", "sts-fips.us-isob-east-1.sc2s.sgov.gov"),
    (Partition::AwsIsoE, "eu-isoe-west-1", "sts.eu-isoe-west-1.cloud.adc-e.uk"),
    (Partition::AwsIsoE, "eu-isoe-west-1", "sts-fips.eu-isoe-west-1.cloud.adc-e.uk"),
    (Partition::AwsIsoF, "us-isof-south-1", "sts.us-isof-south-1.csp.hci.ic.gov"),
    (Partition::AwsIsoF, "us-isof-south-1", "sts-fips.us-isof-south-1.csp.hci.ic.gov"),
    (Partition::AwsEusc, "eusc-de-east-1", "sts.eusc-de-east-1.amazonaws.eu"),
    (Partition::AwsEusc, "eusc-de-east-1", "sts-fips.eusc-de-east-1.amazonaws.eu"),
    (Partition::AwsEusc, "eusc-de-east-1", "sts.eusc-de-east-1.api.amazonwebservices.eu"),
    (Partition::Aws, "us-east-1", "sts.us-east-1.amazonaws.com"),
    (Partition::Aws, "us-east-1", "sts.amazonaws.com"),
];

#[test]
fn immunity_02_the_hosts_of_a_partition_are_its_own_and_no_others() {
    for (of, region, sts) in HOSTS {
        for partition in Partition::ALL {
            let own = partition.known_regions()[0];
            let verdict = ParsedToken::parse(&host(sts, region), &rules(partition, own), NOW);
            let expected = if partition == of { OK } else { refused("token_host") };
            assert_eq!(
                verdict.map(drop).map_err(|error| error.reason_code()),
                expected,
                "{sts} in {partition}"
            );
        }
    }
    // The isolated partitions have no dual stack, under nobody's domain.
    for (partition, region, domain) in [
        (Partition::AwsIso, "us-iso-east-1", "api.aws"),
        (Partition::AwsIsoB, "us-isob-east-1", "api.aws"),
        (Partition::AwsIsoE, "eu-isoe-west-1", "api.amazonwebservices.eu"),
        (Partition::AwsIsoF, "us-isof-east-1", "api.aws"),
    ] {
        let token = host(&format!("sts.{region}.{domain}"), region);
        let error = ParsedToken::parse(&token, &rules(partition, region), NOW).unwrap_err();
        assert_eq!(error.reason_code(), "token_host", "{partition}");
    }
}

#[test]
fn what_the_vectors_leave_open_is_refused_too() {
    let long_name = "n".repeat(500);
    let cases = [
        (
            "escaped name",
            base().without("Action").plus("%41ction", "GetCallerIdentity").token(),
            "parameter_not_allowed",
        ),
        ("empty parameter", base().plus("", "").token(), "parameter_not_allowed"),
        ("long name", base().plus(&long_name, "").token(), "parameter_not_allowed"),
        ("no query", encode("https://sts.us-west-2.amazonaws.com/"), "action"),
        ("name that differs by a blank", base().plus("Action+", "x").token(), "parameter_not_allowed"),
        (
            "another signed header",
            with("X-Amz-SignedHeaders", "accept%3Bhost%3Bx-k8s-aws-id"),
            "unknown_signed_header",
        ),
        ("signed twice", with("X-Amz-SignedHeaders", "host%3Bhost%3Bx-k8s-aws-id"), "unknown_signed_header"),
        ("no signed headers", base().without("X-Amz-SignedHeaders").token(), "signed_headers_missing"),
        ("expires with a zero", with("X-Amz-Expires", "060"), "expires"),
        ("expires, huge", with("X-Amz-Expires", "99999999999999999999"), "expires"),
        ("the last second there is", with("X-Amz-Date", "99991231T235959Z"), "token_from_future"),
        ("the first second there is", with("X-Amz-Date", "00000101T000000Z"), "token_expired"),
        ("five minutes ahead and one second", dated(-Duration::seconds(301)), "token_from_future"),
        ("no algorithm", base().without("X-Amz-Algorithm").token(), "algorithm"),
        ("no credential", base().without("X-Amz-Credential").token(), "credential_missing"),
        ("credential", with("X-Amz-Credential", "ASIAIOSFODNN7EXAMPLE"), "credential_malformed"),
        (
            "short key",
            with("X-Amz-Credential", "AKIA/20260301/us-west-2/sts/aws4_request"),
            "credential_malformed",
        ),
        (
            "other service",
            with("X-Amz-Credential", "ASIAIOSFODNN7EXAMPLE/20260301/us-west-2/iam/aws4_request"),
            "scope_service",
        ),
        (
            "other day",
            with("X-Amz-Credential", "ASIAIOSFODNN7EXAMPLE/20260228/us-west-2/sts/aws4_request"),
            "scope_day",
        ),
        ("global host, other region", host("sts.amazonaws.com", "us-west-2"), "scope_region"),
        ("empty session token", with("X-Amz-Security-Token", ""), "session_token_malformed"),
        ("blank in the session token", with("X-Amz-Security-Token", "a+b"), "session_token_malformed"),
        ("newline in the session token", with("X-Amz-Security-Token", "a%0Ab"), "session_token_malformed"),
        ("bytes that are no text", with("X-Amz-Security-Token", "%ff"), "token_query"),
        ("no signature", base().without("X-Amz-Signature").token(), "signature_missing"),
        ("upper-case signature", with("X-Amz-Signature", &SIGNATURE.to_uppercase()), "signature_malformed"),
        ("version", with("Version", "2011%2F06"), "version"),
        ("blank in the URL", encode(&base().url().replace("sts.", "sts .")), "token_url"),
        ("byte beyond ASCII", encode(&base().url().replace("sts.", "stś.")), "token_url"),
        ("backslash", encode(&base().url().replace("com/", "com\\/")), "token_host"),
        ("nothing after the prefix", TOKEN_PREFIX.to_owned(), "token_url"),
    ];
    let aws = rules(Partition::Aws, "us-west-2");
    for (what, token, reason) in cases {
        let error = ParsedToken::parse(&token, &aws, NOW).unwrap_err();
        assert_eq!(error.reason_code(), reason, "{what}");
        assert!(error.to_string().len() < 240, "{what}: {error}");
    }
    assert!(ParsedToken::parse(&dated(-Duration::seconds(300)), &aws, NOW).is_ok());
}
