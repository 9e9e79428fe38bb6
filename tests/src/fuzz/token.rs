use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lanyard_iam::token::TOKEN_BYTES_MAX;
use lanyard_iam::token::TOKEN_PREFIX;
use lanyard_iam::{ParsedToken, Partition, Region, StsAuthority, StsHost, TokenRules, looks_like_token};
use secrecy::ExposeSecret as _;

use super::{NOW, promise};

/// A cluster of each partition family, and a self-hosted STS at the first.
static RULES: LazyLock<Vec<TokenRules>> = LazyLock::new(|| {
    let region = |name| Region::parse(name).ok();
    let lab =
        region("eu-lab-1").and_then(|region| StsAuthority::new("lab", "sts.lab.example:8443", region).ok());
    let rules = [
        (Partition::Aws, "us-west-2", lab),
        (Partition::AwsCn, "cn-north-1", None),
        (Partition::AwsUsGov, "us-gov-west-1", None),
    ];
    let rules = rules.into_iter().filter_map(|(partition, own, lab)| {
        let own_hosts = StsHost::parse("127.0.0.1:8445").into_iter().collect();
        Some(TokenRules {
            partition,
            region: region(own)?,
            self_hosted: lab.into_iter().collect(),
            own_hosts,
        })
    });
    rules.collect()
});

/// A client token, and the URL that one would be made of, which is easier to mutate to some effect.
pub fn token(input: &[u8]) -> bool {
    assert_eq!(RULES.len(), 3, "the rules of the three partitions");
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let of_url = format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(text));
    let mut accepted = false;
    for rules in RULES.iter() {
        accepted |= judge(text, text, rules);
        accepted |= judge(&of_url, text, rules);
    }
    accepted
}

fn judge(token: &str, secret: &str, rules: &TokenRules) -> bool {
    let parsed = match ParsedToken::parse(token, rules, NOW) {
        Ok(parsed) => parsed,
        Err(error) => {
            let message = error.to_string();
            promise::is_one_bounded_line(&message);
            promise::is_reason_code(error.reason_code());
            promise::gives_nothing_away(&message, secret);
            promise::gives_nothing_away(&format!("{error:?}"), secret);
            assert!(!error.part().as_str().is_empty());
            return false;
        }
    };
    assert!(looks_like_token(token) && token.len() <= TOKEN_BYTES_MAX);
    // The key's id may be long and is no secret; it is how people find out whose token it was.
    let shown = format!("{parsed:?}").replace(parsed.access_key_id().as_str(), "");
    promise::gives_nothing_away(&shown, secret);
    goes_only_to_the_host_it_was_judged_for(&parsed, rules);
    reads_back(&parsed, rules);
    true
}

fn goes_only_to_the_host_it_was_judged_for(parsed: &ParsedToken, rules: &TokenRules) {
    let url = parsed.rebuild_url();
    let url = url.expose_secret();
    let rest = url.strip_prefix("https://").and_then(|rest| rest.strip_prefix(parsed.host()));
    assert!(rest.is_some_and(|rest| rest.starts_with("/?Action=GetCallerIdentity&")), "another call: {url}");
    assert!(url.bytes().all(|byte| byte.is_ascii_graphic()), "not a URL: {url}");
    let own = rules.self_hosted.iter().any(|authority| authority.host() == parsed.host());
    let suffixes = [Some(rules.partition.dns_suffix()), rules.partition.dual_stack_suffix()];
    let aws = suffixes.into_iter().flatten().any(|suffix| {
        parsed.host().strip_suffix(suffix).is_some_and(|rest| rest.starts_with("sts") && rest.ends_with('.'))
    });
    assert!(own != aws && own == parsed.self_hosted().is_some(), "a host of nobody's: {}", parsed.host());
}

/// What is sent to STS is itself the URL of a token, and of the same one.
fn reads_back(parsed: &ParsedToken, rules: &TokenRules) {
    let url = parsed.rebuild_url();
    let encoded = format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(url.expose_secret()));
    // The canonical form may encode what the client did not, and so be longer than a token may.
    if encoded.len() > TOKEN_BYTES_MAX {
        return;
    }
    let Ok(again) = ParsedToken::parse(&encoded, rules, NOW) else {
        panic!("the rebuilt URL is refused: {}", url.expose_secret());
    };
    assert_eq!(again.rebuild_url().expose_secret(), url.expose_secret());
    assert_eq!(
        (again.access_key_id(), again.region(), again.date(), again.not_after(), again.expires()),
        (parsed.access_key_id(), parsed.region(), parsed.date(), parsed.not_after(), parsed.expires())
    );
}
