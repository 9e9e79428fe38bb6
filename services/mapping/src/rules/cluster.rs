//! The rules of clusters, nodes and blocks.

use std::collections::{BTreeMap, BTreeSet};

use lanyard_api::{
    ClusterId, TrustedAccount,
    mapping::{AGENT_ADDRESS_TAG, AgentAddress, AuthenticationMode, BlockTarget},
    template::is_node_name,
};
use lanyard_iam::{Partition, PrincipalArn, PrincipalKind, Region, is_session_name, partition_of_region};
use lanyard_oidc::{Issuer, IssuerOptions, SUBJECT_BYTES_MAX};

use super::{Broken, Rule, entry, shown};

/// Longest time that an API server may cache an answer: what kube-apiserver takes by default for tokens is 2 minutes.
pub(crate) const TOKEN_CACHE_SECONDS_MAX: u32 = 3_600;
/// Most audiences of one cluster.
const AUDIENCES_MAX: usize = 16;
/// Longest audience and URL, in bytes.
const URL_BYTES_MAX: usize = 512;
/// Longest CA bundle, in bytes.
const PEM_BYTES_MAX: usize = 64 * 1024;
/// Longest reason of a block, in characters.
const REASON_CHARS_MAX: usize = 1_024;

/// A cluster's name.
pub(crate) fn name(text: &str) -> Result<ClusterId, Broken> {
    ClusterId::of_name(text).map_err(|error| {
        let is_id = text.parse::<ClusterId>().is_ok();
        let next = if is_id { "; it can be the cluster's id, beside a name without dots" } else { "" };
        Broken::new(
            "name",
            Rule::ClusterName,
            format!("the cluster name `{}` is not valid: {}{next}", shown(text), error.rule),
        )
    })
}

/// An id that the caller chose.
pub(crate) fn id(text: &str) -> Result<ClusterId, Broken> {
    text.parse().map_err(|error: lanyard_api::InvalidName| {
        Broken::new("id", Rule::ClusterIdInvalid, error.to_string())
    })
}

/// A region of the account's partition. Names that follow no partition's rule are the site's own.
pub(crate) fn region(text: &str, partition: Partition) -> Result<(), Broken> {
    let broken = |message: String| Err(Broken::new("region", Rule::Region, message));
    match (Region::parse(text), partition_of_region(text)) {
        (Err(error), _) => broken(error.to_string()),
        (Ok(_), Some(other)) if other != partition => {
            broken(format!("region `{text}` is of partition {other}, the account is of {partition}"))
        }
        (Ok(_), _) => Ok(()),
    }
}

/// An API server's URL: `https`, host and perhaps port, nothing else.
pub(crate) fn endpoint(text: &str) -> Result<(), Broken> {
    let authority = text.strip_prefix("https://").map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    let good = |host: &str| {
        !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b))
    };
    if text.len() <= URL_BYTES_MAX && authority.is_some_and(good) {
        return Ok(());
    }
    let message =
        format!("`{}` is not an API server's URL: write https://host or https://host:port", shown(text));
    Err(Broken::new("endpoint", Rule::Endpoint, message))
}

/// An API server's CA: certificates as PEM, and no key.
pub(crate) fn certificate_authority(text: &str) -> Result<(), Broken> {
    let trimmed = text.trim();
    let good = text.len() <= PEM_BYTES_MAX
        && trimmed.starts_with("-----BEGIN CERTIFICATE-----")
        && trimmed.ends_with("-----END CERTIFICATE-----")
        && !text.contains("PRIVATE KEY");
    if good {
        return Ok(());
    }
    let message =
        "give certificates as PEM, from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----, and no key";
    Err(Broken::new("certificate_authority", Rule::CertificateAuthority, message))
}

/// The audiences of a cluster's tokens: at least one, or no token would ever be for it.
pub(crate) fn audiences(audiences: &[String]) -> Result<(), Broken> {
    let broken = |message: String| Err(Broken::new("audiences", Rule::Audiences, message));
    if audiences.is_empty() || audiences.len() > AUDIENCES_MAX {
        return broken(format!(
            "a cluster has 1 to {AUDIENCES_MAX} audiences, these are {}",
            audiences.len()
        ));
    }
    let mut seen = BTreeSet::new();
    for audience in audiences {
        let good = (1..=URL_BYTES_MAX).contains(&audience.len())
            && !audience.chars().any(|c| c.is_whitespace() || c.is_control());
        if !good {
            return broken(format!(
                "`{}` is not an audience: it is empty, too long or holds blanks",
                shown(audience)
            ));
        }
        if !seen.insert(audience) {
            return broken(format!("the audience `{}` stands here twice", shown(audience)));
        }
    }
    Ok(())
}

/// A cluster's tags: as all are, and one that says how the hub works is one that the hub knows.
pub(crate) fn tags(tags: &BTreeMap<String, String>) -> Result<(), Broken> {
    entry::tags(tags)?;
    match tags.get(AGENT_ADDRESS_TAG).filter(|value| AgentAddress::of_tag(value).is_none()) {
        None => Ok(()),
        Some(value) => {
            let message = format!(
                "the tag `{AGENT_ADDRESS_TAG}` is `{}`: write `ipv4`, or `ipv6` where pods have no IPv4",
                shown(value)
            );
            Err(Broken::new("tags", Rule::Tags, message))
        }
    }
}

/// How long an API server may cache an answer, in seconds.
pub(crate) fn token_cache_seconds(seconds: u32) -> Result<(), Broken> {
    if seconds <= TOKEN_CACHE_SECONDS_MAX {
        return Ok(());
    }
    let message =
        format!("an answer may be cached for at most {TOKEN_CACHE_SECONDS_MAX} seconds, not {seconds}");
    Err(Broken::new("token_cache_seconds", Rule::TokenCacheSeconds, message))
}

/// Trusted pairs: its own account's among them, each account once.
pub(crate) fn trusted_accounts(
    pairs: &[TrustedAccount],
    own: &TrustedAccount,
    most: usize,
) -> Result<(), Broken> {
    let broken = |message: String| Err(Broken::new("trusted_accounts", Rule::TrustedAccounts, message));
    if pairs.len() > most {
        return broken(format!("a cluster trusts at most {most} accounts, these are {}", pairs.len()));
    }
    if !pairs.contains(own) {
        let message = format!(
            "the cluster's own account, {} of {}, has to stay among them",
            own.account, own.authority
        );
        return broken(message);
    }
    let mut seen = BTreeSet::new();
    match pairs.iter().find(|pair| !seen.insert(pair.account)) {
        Some(twice) => broken(format!("account {} stands here twice: it has one authority", twice.account)),
        None => Ok(()),
    }
}

/// Modes go one way, step by step.
pub(crate) fn transition(from: AuthenticationMode, to: AuthenticationMode) -> Result<(), Broken> {
    use AuthenticationMode::{Api, ApiAndConfigMap, ConfigMap};
    match (from, to) {
        (ConfigMap, ApiAndConfigMap) | (ApiAndConfigMap, Api) => Ok(()),
        _ => {
            let message = format!(
                "unsupported authentication mode update from {} to {}: it goes from CONFIG_MAP to API_AND_CONFIG_MAP to API",
                mode_name(from),
                mode_name(to)
            );
            Err(Broken::new("authentication_mode", Rule::ModeTransition, message))
        }
    }
}

/// EKS's spelling.
pub(crate) fn mode_name(mode: AuthenticationMode) -> &'static str {
    match mode {
        AuthenticationMode::ConfigMap => "CONFIG_MAP",
        AuthenticationMode::ApiAndConfigMap => "API_AND_CONFIG_MAP",
        AuthenticationMode::Api => "API",
    }
}

/// In mode CONFIG_MAP the creator's entry waits for the day on which entries count; it cannot be left out.
pub(crate) fn bootstrap(mode: AuthenticationMode, bootstrap_creator_admin: bool) -> Result<(), Broken> {
    if mode == AuthenticationMode::ConfigMap && !bootstrap_creator_admin {
        let message =
            "a cluster in mode CONFIG_MAP has its creator's entry: leave it, or choose another mode";
        return Err(Broken::new("bootstrap_creator_admin", Rule::BootstrapRequired, message));
    }
    Ok(())
}

/// A node as it knocks: the name of its session, and the name it is to have.
pub(crate) fn node(instance_id: &str, private_dns_name: &str) -> Result<(), Broken> {
    if !is_session_name(instance_id) {
        let message = format!(
            "`{}` cannot be the name of a session: it is 2 to 64 letters, digits and `_+=,.@-`, such as i-0123456789abcdef0",
            shown(instance_id)
        );
        return Err(Broken::new("instance_id", Rule::NodeInstance, message));
    }
    if !is_node_name(private_dns_name) {
        let message =
            format!("`{}` is not a node's name: it is a DNS name in lower case", shown(private_dns_name));
        return Err(Broken::new("private_dns_name", Rule::NodeName, message));
    }
    Ok(())
}

/// A node's role, as STS shows it.
pub(crate) fn node_role(text: &str) -> Result<PrincipalArn, Broken> {
    match PrincipalArn::parse(text) {
        Ok(arn) if matches!(arn.kind, PrincipalKind::Role { .. }) => Ok(arn.without_path()),
        _ => {
            let message = format!("`{}` is not a role's ARN", shown(text));
            Err(Broken::new("role_arn", Rule::NodeRole, message))
        }
    }
}

/// Whether a session of this name is an EC2 instance's: its id (aws-iam-authenticator's rule).
pub(crate) fn is_instance_id(session_name: &str) -> bool {
    session_name.strip_prefix("i-").is_some_and(|id| {
        matches!(id.len(), 8 | 17) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    })
}

/// A block says why, and blocks something that can be met.
pub(crate) fn block(reason: &str, target: &BlockTarget) -> Result<(), Broken> {
    let length = reason.chars().count();
    if reason.trim().is_empty() || length > REASON_CHARS_MAX || reason.chars().any(char::is_control) {
        let message =
            format!("a block says why it stands, in 1 to {REASON_CHARS_MAX} characters on one line");
        return Err(Broken::new("reason", Rule::BlockReason, message));
    }
    let (canonical_arn, session_name) = match target {
        BlockTarget::Session { canonical_arn, session_name, .. } => (canonical_arn, session_name),
        BlockTarget::OidcSubject { issuer, subject } => return oidc(issuer, Some(subject)),
        BlockTarget::OidcIssuer { issuer } => return oidc(issuer, None),
        BlockTarget::Principal { .. }
        | BlockTarget::Account { .. }
        | BlockTarget::AccessKey { .. }
        | BlockTarget::Certificate { .. } => return Ok(()),
    };
    let is_role = PrincipalArn::parse(canonical_arn.as_str())
        .is_ok_and(|arn| matches!(arn.kind, PrincipalKind::Role { .. }));
    if is_role && is_session_name(session_name) {
        return Ok(());
    }
    let message = format!("`{canonical_arn}` with session `{}` is no role session", shown(session_name));
    Err(Broken::new("target", Rule::BlockSession, message))
}

/// An issuer and a subject that tokens could write.
fn oidc(issuer: &str, subject: Option<&str>) -> Result<(), Broken> {
    let broken = |message: String| Err(Broken::new("target", Rule::BlockIssuer, message));
    if let Err(error) = Issuer::new(IssuerOptions::new(issuer)) {
        return broken(format!("`{}`: {error}", shown(issuer)));
    }
    let printable = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    match subject {
        Some(subject)
            if !(1..=SUBJECT_BYTES_MAX).contains(&subject.len()) || !subject.bytes().all(printable) =>
        {
            broken(format!(
                "`{}` is no subject: 1 to {SUBJECT_BYTES_MAX} printable ASCII characters",
                shown(subject)
            ))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
