//! What the claims of an OIDC identity become: username and groups, by the configuration as it is now.
//!
//! Pure. The rules are those of Kubernetes' OIDC authenticator, and refuse rather than leave out: who gets in with half of
//! their groups does not know why.

use lanyard_api::{
    ClaimValue, OidcIdentity,
    aws_auth::RESERVED_USERNAME_PREFIXES,
    grants,
    mapping::{
        AuthenticationMode, CLAIM_NAMES, EMAIL_CLAIM, GROUPS_CLAIM, Grant, GrantKind, HAS_GROUPS_CLAIM,
        IdentityProviderSettings, MatchedBy,
    },
};

use crate::{
    resolution::{Badge, RESERVED_USERNAME, Refused, TEMPLATE_REFUSED, counts_aws_auth, counts_entries},
    rules::{entry::GROUP_BYTES_MAX, identity_provider::RESERVED_GROUP_PREFIXES, shown},
    snapshot::{ClusterSnapshot, LOOKED_AT_MAX, TooMany},
};

/// The configuration that the token was verified by is gone.
pub(crate) const PROVIDER_GONE: &str = "provider_gone";
/// A claim that has to be there is not.
const CLAIM_MISSING: &str = "claim_missing";
/// A claim is of a type that nothing can be made of.
const CLAIM_TYPE: &str = "claim_type";
/// A claim is not in the token, for the issuer keeps it elsewhere: there is too much in it.
const CLAIM_DISTRIBUTED: &str = "claim_distributed";
/// A required claim has another value.
const REQUIRED_CLAIM: &str = "required_claim";
/// The issuer says that the address is not verified.
const EMAIL_NOT_VERIFIED: &str = "email_not_verified";
/// The issuer does not say whether it is.
const EMAIL_VERIFIED_MISSING: &str = "email_verified_missing";
/// A group would be a reserved one, or another issuer's.
const RESERVED_GROUP: &str = "reserved_group";
/// A username or group that Kubernetes could not bear.
const CLAIM_INVALID: &str = "claim_invalid";

/// Longest username, in bytes: the longest prefix by default, and a subject of the longest.
const USERNAME_BYTES_MAX: usize = 1_300;

/// The badge of somebody whom an issuer knows, or why there is none. The cluster's mode says whose usernames are others'.
pub(crate) fn badge(
    mode: AuthenticationMode,
    snapshot: &ClusterSnapshot,
    identity: &OidcIdentity,
) -> Result<Badge, Refused> {
    let found =
        snapshot.identity_providers().iter().find(|config| config.settings.issuer_url == identity.issuer);
    let Some(config) = found.filter(|config| config.id == identity.config) else {
        let message =
            "the configuration that the token was verified by is no longer associated with the cluster";
        return Err(Refused::new(PROVIDER_GONE, message));
    };
    let read = Read { settings: &config.settings, identity, mode, snapshot };
    read.required()?;
    let (username, groups) = (read.username()?, read.groups()?);
    let grant = Grant {
        kind: GrantKind::IdentityProvider,
        id: grants::identity_provider_grant(config),
        revision: snapshot.revision,
        name: format!("identity-provider configuration {}", config.settings.name).into(),
    };
    Ok(Badge { username, groups, grant, matched_by: MatchedBy::Issuer, ends_at: None, by_ec2: false })
}

/// One identity, read by one configuration.
struct Read<'a> {
    settings: &'a IdentityProviderSettings,
    identity: &'a OidcIdentity,
    mode: AuthenticationMode,
    snapshot: &'a ClusterSnapshot,
}

impl Read<'_> {
    fn claim(&self, name: &str) -> Result<&ClaimValue, Refused> {
        self.identity.claims.get(name).ok_or_else(|| {
            Refused::new(CLAIM_MISSING, format!("the token has no claim `{name}`: let the issuer send it"))
        })
    }

    fn text(&self, name: &str) -> Result<&str, Refused> {
        match self.claim(name)? {
            ClaimValue::Text(text) => Ok(text),
            _ => Err(Refused::new(CLAIM_TYPE, format!("the claim `{name}` is not text"))),
        }
    }

    /// Each required claim is text, and equal.
    fn required(&self) -> Result<(), Refused> {
        for (name, value) in &self.settings.required_claims {
            if self.text(name)? != value {
                let message = format!("the claim `{name}` does not have the required value");
                return Err(Refused::new(REQUIRED_CLAIM, message));
            }
        }
        Ok(())
    }

    fn username(&self) -> Result<String, Refused> {
        let claim = self.settings.username_claim();
        let text = self.text(claim)?;
        if claim == EMAIL_CLAIM {
            self.email_is_verified()?;
        }
        if text.is_empty() {
            return Err(Refused::new(CLAIM_MISSING, format!("the claim `{claim}` is empty")));
        }
        let prefix = self.settings.username_prefix();
        let name = [&prefix, text].concat();
        if name.len() > USERNAME_BYTES_MAX || name.trim() != name || name.chars().any(char::is_control) {
            let message = format!(
                "the username `{}` is longer than {USERNAME_BYTES_MAX} bytes, or has blanks around it or a control character",
                shown(&name)
            );
            return Err(Refused::new(CLAIM_INVALID, message));
        }
        if let Some(own) =
            RESERVED_USERNAME_PREFIXES.into_iter().chain(["arn:"]).find(|own| name.starts_with(own))
        {
            let message =
                format!("the username becomes `{}`: `{own}` is reserved, use a prefix", shown(&name));
            return Err(Refused::new(RESERVED_USERNAME, message));
        }
        // RFC 5322 section 3.4.1. Without a prefix nothing else keeps it apart from what templates become.
        if claim == EMAIL_CLAIM && prefix.is_empty() && !text.contains('@') {
            let message =
                format!("the claim `email` is `{}`, which is no address: it has no `@`", shown(text));
            return Err(Refused::new(CLAIM_INVALID, message));
        }
        if self.others().any(|other| falls_under(&name, &other.username_prefix(), &prefix)) {
            let message = format!("the username becomes `{}`, which is one of another issuer", shown(&name));
            return Err(Refused::new(RESERVED_USERNAME, message));
        }
        if (counts_entries(self.mode) && self.snapshot.is_entry_name_of_another(&name, ""))
            || (counts_aws_auth(self.mode) && self.snapshot.is_aws_auth_name_of_another(&name, ""))
        {
            let message = format!(
                "the username becomes `{}`, which an access entry or aws-auth gives to a principal: use a prefix",
                shown(&name)
            );
            return Err(Refused::new(TEMPLATE_REFUSED, message));
        }
        // Under a prefix nobody logs in by a template.
        let can_be_a_principals = if prefix.is_empty() { self.can_be_a_principals(&name) } else { Ok(false) };
        let message = match can_be_a_principals {
            Ok(false) => return Ok(name),
            Ok(true) => format!(
                "the username becomes `{}`, which a template of an access entry or of aws-auth can become for a principal: use a prefix",
                shown(&name)
            ),
            Err(TooMany) => format!(
                "the username becomes `{}`, and more than {LOOKED_AT_MAX} templates of access entries or of aws-auth begin as it does, \
                 more than are looked at to see whether one can become it: use a prefix, or give fewer principals templates that begin alike",
                shown(&name)
            ),
        };
        Err(Refused::new(TEMPLATE_REFUSED, message))
    }

    /// Whether a username with placeholders that counts can become this one. Those are left out that may become anybody's: while this issuer
    /// is there, nobody logs in by one.
    fn can_be_a_principals(&self, name: &str) -> Result<bool, TooMany> {
        Ok((counts_entries(self.mode) && self.snapshot.is_name_of_an_entrys_template(name)?)
            || (counts_aws_auth(self.mode) && self.snapshot.is_name_of_a_lines_template(name)?))
    }

    /// OpenID Connect Core section 5.1; where the issuer says nothing, only if that is allowed.
    fn email_is_verified(&self) -> Result<(), Refused> {
        match self.identity.claims.get("email_verified") {
            Some(ClaimValue::Flag(true)) => Ok(()),
            None if self.settings.email_verified_may_be_absent => Ok(()),
            Some(ClaimValue::Flag(false)) => {
                Err(Refused::new(EMAIL_NOT_VERIFIED, "the issuer says that `email` is not verified"))
            }
            None => {
                let message = "the token has `email` without `email_verified`: use another claim, or allow it in the configuration";
                Err(Refused::new(EMAIL_VERIFIED_MISSING, message))
            }
            Some(_) => Err(Refused::new(CLAIM_TYPE, "the claim `email_verified` is not true or false")),
        }
    }

    fn groups(&self) -> Result<Vec<String>, Refused> {
        let Some(claim) = &self.settings.groups_claim else { return Ok(Vec::new()) };
        let prefix = self.settings.groups_prefix();
        let given = match self.identity.claims.get(claim) {
            None if self.is_elsewhere(claim) => {
                let message = format!(
                    "the token has no claim `{claim}`, for it would hold too much: the issuer says that it is elsewhere, where nobody asks. \
                     Let it send fewer groups, in Entra ID those alone that are assigned to the application, or take app roles in their \
                     place (claim `roles`)"
                );
                return Err(Refused::new(CLAIM_DISTRIBUTED, message));
            }
            // An issuer leaves the claim out for who is in no group.
            None => return Ok(Vec::new()),
            Some(ClaimValue::Text(one)) => std::slice::from_ref(one),
            Some(ClaimValue::Texts(all)) => all,
            Some(_) => {
                return Err(Refused::new(
                    CLAIM_TYPE,
                    format!("the claim `{claim}` is not text or a list of texts"),
                ));
            }
        };
        let mut groups = Vec::with_capacity(given.len());
        for text in given {
            groups.push(self.group(prefix, text)?);
        }
        Ok(groups)
    }

    /// Whether the issuer says of a claim that is not there that there is one. Kubernetes asks for it, and refuses the login where it cannot.
    fn is_elsewhere(&self, claim: &str) -> bool {
        let of = |name: &str| self.identity.claims.get(name);
        let is_among = |names: &[String]| names.iter().any(|name| name == claim);
        matches!(of(CLAIM_NAMES), Some(ClaimValue::Texts(names)) if is_among(names))
            || (claim == GROUPS_CLAIM && of(HAS_GROUPS_CLAIM) == Some(&ClaimValue::Flag(true)))
    }

    fn group(&self, prefix: &str, text: &str) -> Result<String, Refused> {
        let name = [prefix, text].concat();
        if text.is_empty()
            || name.len() > GROUP_BYTES_MAX
            || name.trim() != name
            || name.chars().any(char::is_control)
        {
            let message = format!(
                "the group `{}` is empty, longer than {GROUP_BYTES_MAX} bytes, or has blanks around it or a control character",
                shown(&name)
            );
            return Err(Refused::new(CLAIM_INVALID, message));
        }
        if let Some(own) = RESERVED_GROUP_PREFIXES.into_iter().find(|own| name.starts_with(own)) {
            let message = format!("the group becomes `{}`: `{own}` is reserved, use a prefix", shown(&name));
            return Err(Refused::new(RESERVED_GROUP, message));
        }
        if self.others().any(|other| falls_under(&name, other.groups_prefix(), prefix)) {
            let message = format!("the group becomes `{}`, which is one of another issuer", shown(&name));
            return Err(Refused::new(RESERVED_GROUP, message));
        }
        Ok(name)
    }

    /// The cluster's other configurations.
    fn others(&self) -> impl Iterator<Item = &IdentityProviderSettings> {
        let own = &self.settings.issuer_url;
        let all = self.snapshot.identity_providers().iter().map(|config| &config.settings);
        all.filter(move |settings| settings.issuer_url != *own)
    }
}

/// Whether a name is one of those that another prefix is for.
fn falls_under(name: &str, theirs: &str, own: &str) -> bool {
    !theirs.is_empty() && theirs != own && name.starts_with(theirs)
}

#[cfg(test)]
mod tests;
