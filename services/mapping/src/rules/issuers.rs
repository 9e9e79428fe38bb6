//! The usernames that a cluster's issuers give, and whose others would be taken for them.

use lanyard_api::mapping::{EMAIL_CLAIM, IdentityProviderSettings};

use super::sure;

/// The issuers of a cluster. There are ten at most.
#[derive(Debug, Default)]
pub(crate) struct Issuers(Vec<Issuer>);

/// An issuer: which usernames are its people's.
#[derive(Debug)]
pub(crate) struct Issuer {
    /// The name of its configuration.
    config: Box<str>,
    /// What stands before each username; it may be nothing, and then they may have any that is nobody else's.
    prefix: Box<str>,
    /// Whether they are called by their email addresses, each of which has an `@`.
    by_email: bool,
}

impl Issuers {
    pub(crate) fn of<'a>(all: impl IntoIterator<Item = &'a IdentityProviderSettings>) -> Self {
        Self(all.into_iter().map(Issuer::of).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The one by whose prefix a username begins.
    pub(crate) fn of_name(&self, username: &str) -> Option<&Issuer> {
        self.0.iter().find(|issuer| issuer.has_prefix() && username.starts_with(&*issuer.prefix))
    }

    /// Those that give usernames without a prefix.
    pub(crate) fn without_prefix(&self) -> impl Iterator<Item = &Issuer> {
        self.0.iter().filter(|issuer| !issuer.has_prefix())
    }

    /// The one that takes a username, as [`Issuer::takes`] has it.
    pub(crate) fn taking(&self, filled: &str) -> Option<&Issuer> {
        self.0.iter().find(|issuer| issuer.takes(filled))
    }
}

impl Issuer {
    pub(crate) fn of(settings: &IdentityProviderSettings) -> Self {
        Self {
            config: settings.name.as_str().into(),
            prefix: settings.username_prefix().into(),
            by_email: settings.username_claim() == EMAIL_CLAIM,
        }
    }

    /// What a username is that this issuer takes, and what to do about it: what follows on the username or on what it becomes.
    pub(crate) fn why(&self) -> String {
        let Self { config, prefix, .. } = self;
        match self.has_prefix() {
            true => format!(
                "is under the prefix `{prefix}` of identity-provider configuration `{config}`: choose another username"
            ),
            false => format!(
                "may be the name of somebody of identity-provider configuration `{config}`, which gives usernames without a prefix: \
                 begin it with a text of its own and a `:`"
            ),
        }
    }

    fn has_prefix(&self) -> bool {
        !self.prefix.is_empty()
    }

    /// Whether what comes of a username that is [`sure::filled`] is one of the issuer's people, or where it gives no prefix, may be. A
    /// name that stands as it is is then let be, for each login of the issuer looks at those.
    pub(crate) fn takes(&self, filled: &str) -> bool {
        match self.has_prefix() {
            true => sure::start_of(filled).starts_with(&*self.prefix),
            false => sure::may_be_anybodys(filled) && (!self.by_email || sure::may_hold_an_at(filled)),
        }
    }
}
