//! The rules of identity-provider configurations (EKS user guide, "authenticate OIDC"; Kubernetes, "OpenID Connect tokens").

use std::collections::BTreeMap;

use lanyard_api::{
    aws_auth::RESERVED_USERNAME_PREFIXES,
    mapping::{EMAIL_CLAIM, IdentityProviderConfig, IdentityProviderSettings, NO_PREFIX},
};
use lanyard_oidc::{Issuer, IssuerError, IssuerOptions};

use super::{Broken, Rule, entry, shown};

/// Longest name of a configuration, in characters (as those of clusters).
const NAME_CHARS_MAX: usize = 100;
/// Longest client id, in characters.
const CLIENT_ID_CHARS_MAX: usize = 256;
/// Longest name of a claim, in characters (EKS, of required claims).
const CLAIM_CHARS_MAX: usize = 63;
/// Longest value of a required claim, in characters (EKS).
const CLAIM_VALUE_CHARS_MAX: usize = 253;
/// Most required claims.
const REQUIRED_CLAIMS_MAX: usize = 20;
/// Longest prefix, in characters: an issuer's URL and a `#` is the longest that one has by default.
const PREFIX_CHARS_MAX: usize = 1_025;
/// Longest CA bundle, in bytes: some ten certificates.
const CA_BUNDLE_BYTES_MAX: usize = 32 * 1024;
/// How groups must not begin, whoever gives them.
pub(crate) const RESERVED_GROUP_PREFIXES: [&str; 2] = ["system:", "lanyard:"];

/// Holds a new configuration against every rule that it can break by itself.
pub(crate) fn settings(settings: &IdentityProviderSettings) -> Result<(), Broken> {
    name(&settings.name)?;
    issuer(settings)?;
    client_id(&settings.client_id)?;
    let claims = [("username_claim", &settings.username_claim), ("groups_claim", &settings.groups_claim)];
    for (field, claim) in claims {
        if let Some(claim) = claim {
            self::claim(field, claim)?;
        }
    }
    prefix("username_prefix", settings.username_prefix.as_deref(), &RESERVED_USERNAME_PREFIXES)?;
    prefix("groups_prefix", settings.groups_prefix.as_deref(), &RESERVED_GROUP_PREFIXES)?;
    required_claims(&settings.required_claims)?;
    if settings.email_verified_may_be_absent && settings.username_claim() != EMAIL_CLAIM {
        let message = "email_verified_may_be_absent is about the claim `email`: name it as username_claim";
        return Err(Broken::new("email_verified_may_be_absent", Rule::ClaimName, message));
    }
    entry::tags(&settings.tags)
}

/// Holds it against the others of its cluster: each issuer has its usernames for itself, and its groups.
///
/// Groups are refused as usernames are, for RBAC knows nothing of them but the name: whoever one issuer calls one of `admins` would have
/// what was bound to the other's. EKS takes one issuer for a cluster, so that nothing that works there is refused here.
pub(crate) fn beside<'a>(
    settings: &IdentityProviderSettings,
    others: impl IntoIterator<Item = &'a IdentityProviderConfig>,
) -> Result<(), Broken> {
    for other in others {
        let (theirs, name) = (&other.settings, &*other.settings.name);
        USERNAMES.apart(&settings.username_prefix(), &theirs.username_prefix(), name)?;
        if settings.groups_claim.is_some() && theirs.groups_claim.is_some() {
            GROUPS.apart(settings.groups_prefix(), theirs.groups_prefix(), name)?;
        }
    }
    Ok(())
}

const USERNAMES: Names = Names {
    field: "username_prefix",
    what: "usernames",
    taken: "nobody of one issuer is taken for somebody of the other",
};

const GROUPS: Names = Names {
    field: "groups_prefix",
    what: "groups",
    taken: "nobody of one issuer is in a group of the other",
};

/// What issuers of one cluster keep apart by a prefix.
struct Names {
    field: &'static str,
    what: &'static str,
    /// What is so where they are apart.
    taken: &'static str,
}

impl Names {
    fn apart(&self, own: &str, theirs: &str, other: &str) -> Result<(), Broken> {
        let Self { field, what, taken } = self;
        let nested = own.starts_with(theirs) || theirs.starts_with(own);
        // Where one of two has no prefix, whom its names fall to is looked at in each login.
        if !nested || own.is_empty() != theirs.is_empty() {
            return Ok(());
        }
        let message = match own.is_empty() {
            true => format!(
                "configuration `{other}` gives {what} without a prefix already: give {field}, so that {taken}"
            ),
            false => format!(
                "the prefix `{}` and `{}` of configuration `{other}`, before {what}, begin alike: choose another, so that {taken}",
                shown(own),
                shown(theirs)
            ),
        };
        Err(Broken::new(field, Rule::ProviderPrefix, message))
    }
}

fn name(name: &str) -> Result<(), Broken> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if first && name.len() <= NAME_CHARS_MAX && name.bytes().all(good) {
        return Ok(());
    }
    let message = format!(
        "`{}` is not a name: 1 to {NAME_CHARS_MAX} letters, digits, `-` and `_`, the first a letter or digit",
        shown(name)
    );
    Err(Broken::new("name", Rule::ProviderName, message))
}

/// Whatever could not be asked for its keys is not written.
fn issuer(settings: &IdentityProviderSettings) -> Result<(), Broken> {
    let bundle = settings.ca_bundle_pem.clone();
    if bundle.as_ref().is_some_and(|pem| pem.len() > CA_BUNDLE_BYTES_MAX) {
        let message =
            format!("the CA bundle is longer than {CA_BUNDLE_BYTES_MAX} bytes: leave out what did not sign");
        return Err(Broken::new("ca_bundle_pem", Rule::CaBundle, message));
    }
    let options = IssuerOptions { ca_bundle_pem: bundle, ..IssuerOptions::new(&settings.issuer_url) };
    match Issuer::new(options) {
        Ok(_) => Ok(()),
        Err(error @ IssuerError::CaBundle) => {
            Err(Broken::new("ca_bundle_pem", Rule::CaBundle, error.to_string()))
        }
        Err(error) => {
            let message = format!("`{}`: {error}", shown(&settings.issuer_url));
            Err(Broken::new("issuer_url", Rule::IssuerUrl, message))
        }
    }
}

fn client_id(id: &str) -> Result<(), Broken> {
    let length = id.chars().count();
    if (1..=CLIENT_ID_CHARS_MAX).contains(&length) && !id.chars().any(|c| c.is_control() || c.is_whitespace())
    {
        return Ok(());
    }
    let message =
        format!("`{}` is not a client id: 1 to {CLIENT_ID_CHARS_MAX} characters without blanks", shown(id));
    Err(Broken::new("client_id", Rule::ClientId, message))
}

fn claim(field: &'static str, name: &str) -> Result<(), Broken> {
    let length = name.chars().count();
    if (1..=CLAIM_CHARS_MAX).contains(&length) && !name.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Ok(());
    }
    let message =
        format!("`{}` is not a claim's name: 1 to {CLAIM_CHARS_MAX} characters without blanks", shown(name));
    Err(Broken::new(field, Rule::ClaimName, message))
}

/// A prefix of one's own choice holds no reserved one, nor the beginning of an ARN, for those are principals' names.
fn prefix(field: &'static str, prefix: Option<&str>, reserved: &[&str]) -> Result<(), Broken> {
    let Some(prefix) = prefix.filter(|prefix| !prefix.is_empty() && *prefix != NO_PREFIX) else {
        return Ok(());
    };
    let broken =
        |why: String| Err(Broken::new(field, Rule::ProviderPrefix, format!("`{}` {why}", shown(prefix))));
    if prefix.contains("system:") {
        return broken("must not contain `system:`, which is Kubernetes' own: choose another".to_owned());
    }
    if let Some(own) =
        reserved.iter().chain(&["arn:"]).find(|own| prefix.starts_with(*own) || own.starts_with(prefix))
    {
        return broken(format!("begins as `{own}`, which is reserved: choose another"));
    }
    if prefix.chars().count() > PREFIX_CHARS_MAX {
        return broken(format!("is longer than {PREFIX_CHARS_MAX} characters"));
    }
    if prefix.trim_start() != prefix || prefix.chars().any(char::is_control) {
        return broken("begins with a blank, or holds a control character".to_owned());
    }
    Ok(())
}

fn required_claims(required: &BTreeMap<String, String>) -> Result<(), Broken> {
    let broken = |message: String| Err(Broken::new("required_claims", Rule::RequiredClaims, message));
    if required.len() > REQUIRED_CLAIMS_MAX {
        return broken(format!(
            "at most {REQUIRED_CLAIMS_MAX} claims can be required, these are {}",
            required.len()
        ));
    }
    for (name, value) in required {
        if claim("required_claims", name).is_err() {
            return broken(format!(
                "`{}` is not a claim's name: 1 to {CLAIM_CHARS_MAX} characters without blanks",
                shown(name)
            ));
        }
        if !(1..=CLAIM_VALUE_CHARS_MAX).contains(&value.chars().count()) {
            return broken(format!(
                "the value of the required claim `{name}` is not 1 to {CLAIM_VALUE_CHARS_MAX} characters long"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
