//! Where AWS's tools would find credentials, and why there: botocore's order (`botocore.credentials.create_credential_resolver`), which
//! the AWS CLI and boto3 have. Pure: what is there is told, and nothing is opened.

use std::collections::BTreeMap;

use serde::Serialize;

/// A place where credentials come from, in the order in which they are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// `AWS_ACCESS_KEY_ID` and its fellows.
    Environment,
    /// A profile with `role_arn` and a source, whose role is assumed.
    AssumeRole,
    /// A token in a file: IRSA.
    WebIdentity,
    /// AWS IAM Identity Center.
    Sso,
    /// Keys in the shared credentials file.
    CredentialsFile,
    /// A login of the AWS CLI (`aws login`).
    Login,
    /// A command that prints them.
    CredentialProcess,
    /// Keys in the config file.
    ConfigFile,
    /// A container's endpoint: Pod Identity, ECS.
    Container,
    /// The instance's metadata service.
    InstanceMetadata,
}

impl Source {
    /// All of them, in order.
    pub const ALL: [Self; 10] = [
        Self::Environment,
        Self::AssumeRole,
        Self::WebIdentity,
        Self::Sso,
        Self::CredentialsFile,
        Self::Login,
        Self::CredentialProcess,
        Self::ConfigFile,
        Self::Container,
        Self::InstanceMetadata,
    ];

    /// What botocore calls it (`Credentials.method`).
    #[cfg(test)]
    fn method(self) -> &'static str {
        match self {
            Self::Environment => "env",
            Self::AssumeRole => "assume-role",
            Self::WebIdentity => "assume-role-with-web-identity",
            Self::Sso => "sso",
            Self::CredentialsFile => "shared-credentials-file",
            Self::Login => "login",
            Self::CredentialProcess => "custom-process",
            Self::ConfigFile => "config-file",
            Self::Container => "container-role",
            Self::InstanceMetadata => "iam-role",
        }
    }
}

/// What there is to look at. Of secrets only that they are there.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// Variables that are set and not empty, by name.
    pub environment: BTreeMap<String, String>,
    /// The profile in force.
    pub profile: String,
    /// Whether a flag names it, so that the environment's keys and web identity do not count.
    pub by_flag: bool,
    /// What the credentials file says of it.
    pub credentials_file: BTreeMap<String, String>,
    /// What the config file says of it.
    pub config_file: BTreeMap<String, String>,
}

/// One place, and whether it has something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// The place.
    pub source: Source,
    /// What was found there, or what would have to be.
    pub standing: Standing,
    /// In words.
    pub why: String,
}

/// What a place is to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Its credentials are used.
    Used,
    /// It has some, but another comes before it.
    PassedOver,
    /// It has none.
    Empty,
}

/// All places in order, of which at most one is used. The metadata service is asked where nothing else has any, unless that is off: whether
/// it has any is known only then.
#[must_use]
pub fn resolve(seen: &Surroundings) -> Vec<Candidate> {
    let mut used = None;
    Source::ALL
        .into_iter()
        .map(|source| {
            let (standing, why) = match seen.look(source) {
                Err(lack) => (Standing::Empty, lack),
                Ok(found) => match used {
                    None => {
                        used = Some(source);
                        (Standing::Used, found)
                    }
                    Some(_) => (Standing::PassedOver, found),
                },
            };
            Candidate { source, standing, why }
        })
        .collect()
}

impl Surroundings {
    fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str)
    }

    /// A setting of the profile: botocore reads both files as one, the credentials file over the config file.
    fn setting(&self, key: &str) -> Option<&str> {
        self.credentials_file.get(key).or_else(|| self.config_file.get(key)).map(String::as_str)
    }

    /// A variable, unless a flag names a profile.
    fn free(&self, name: &str) -> Option<&str> {
        self.variable(name).filter(|_| !self.by_flag)
    }

    /// What a place has, or what it lacks.
    fn look(&self, source: Source) -> Result<String, String> {
        let profile = &self.profile;
        let of = |found: Option<&str>, key: &str| match found {
            Some(_) => Ok(format!("profile `{profile}` has `{key}`")),
            None => Err(format!("profile `{profile}` has no `{key}`")),
        };
        match source {
            Source::Environment => match (self.variable("AWS_ACCESS_KEY_ID"), self.by_flag) {
                (Some(_), false) => Ok("AWS_ACCESS_KEY_ID is set".to_owned()),
                (Some(_), true) => {
                    Err("AWS_ACCESS_KEY_ID is set, but a profile is named by a flag".to_owned())
                }
                (None, _) => Err("AWS_ACCESS_KEY_ID is not set".to_owned()),
            },
            Source::AssumeRole if self.setting("web_identity_token_file").is_some() => {
                Err(format!("profile `{profile}` has a web identity, which is another place"))
            }
            Source::AssumeRole => of(self.setting("role_arn"), "role_arn"),
            Source::WebIdentity => {
                if self.free("AWS_WEB_IDENTITY_TOKEN_FILE").is_some() {
                    let role = self.free("AWS_ROLE_ARN").or_else(|| self.setting("role_arn"));
                    return match role {
                        Some(role) => {
                            Ok(format!("AWS_WEB_IDENTITY_TOKEN_FILE is set, for the role `{role}`"))
                        }
                        None => {
                            Ok("AWS_WEB_IDENTITY_TOKEN_FILE is set, but no role: set AWS_ROLE_ARN".to_owned())
                        }
                    };
                }
                match self.setting("web_identity_token_file") {
                    Some(_) => Ok(format!("profile `{profile}` has `web_identity_token_file`")),
                    None => Err("AWS_WEB_IDENTITY_TOKEN_FILE is not set".to_owned()),
                }
            }
            Source::Sso => {
                of(self.setting("sso_account_id").or(self.setting("sso_role_name")), "sso_account_id")
            }
            Source::Login => of(self.setting("login_session"), "login_session"),
            Source::CredentialsFile => match self.credentials_file.contains_key("aws_access_key_id") {
                true => Ok(format!("the credentials file has keys of profile `{profile}`")),
                false => Err(format!("the credentials file has no keys of profile `{profile}`")),
            },
            Source::CredentialProcess => of(self.setting("credential_process"), "credential_process"),
            Source::ConfigFile => match self.config_file.contains_key("aws_access_key_id") {
                true => Ok(format!("the config file has keys of profile `{profile}`")),
                false => Err(format!("the config file has no keys of profile `{profile}`")),
            },
            Source::Container => {
                let names = ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];
                match names.into_iter().find(|name| self.variable(name).is_some()) {
                    Some(name) => Ok(format!("{name} is set")),
                    None => {
                        Err("AWS_CONTAINER_CREDENTIALS_FULL_URI is not set: this is no pod with Pod Identity"
                            .to_owned())
                    }
                }
            }
            Source::InstanceMetadata => {
                let off = self
                    .variable("AWS_EC2_METADATA_DISABLED")
                    .is_some_and(|value| value.eq_ignore_ascii_case("true"));
                match off {
                    true => Err("AWS_EC2_METADATA_DISABLED is true".to_owned()),
                    false => Ok("nothing forbids to ask the metadata service".to_owned()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pairs<'a> = &'a [(&'a str, &'a str)];

    fn map(pairs: Pairs<'_>) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn used(
        environment: Pairs<'_>,
        by_flag: bool,
        credentials: Pairs<'_>,
        config: Pairs<'_>,
    ) -> Option<&'static str> {
        let seen = Surroundings {
            environment: map(environment),
            profile: "p".to_owned(),
            by_flag,
            credentials_file: map(credentials),
            config_file: map(config),
        };
        let found = resolve(&seen);
        assert_eq!(found.len(), Source::ALL.len());
        let mut of_use = found.iter().filter(|candidate| candidate.standing == Standing::Used);
        let first = of_use.next().map(|candidate| candidate.source.method());
        assert!(of_use.next().is_none(), "{found:?}");
        first
    }

    const KEYS: (&str, &str) = ("AWS_ACCESS_KEY_ID", "x");
    const WEB: (&str, &str) = ("AWS_WEB_IDENTITY_TOKEN_FILE", "/t");
    const POD: (&str, &str) = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials");
    const OFF: (&str, &str) = ("AWS_EC2_METADATA_DISABLED", "TRUE");
    const PAIR: (&str, &str) = ("aws_access_key_id", "x");
    const ROLE: (&str, &str) = ("role_arn", "r");

    /// The conformance suite holds the same against botocore itself (`test_whoami.py`).
    #[test]
    fn the_order_is_botocores() {
        let cases: [(Pairs<'_>, bool, Pairs<'_>, Pairs<'_>, Option<&str>); 21] = [
            (&[OFF], false, &[], &[], None),
            (&[], false, &[], &[], Some("iam-role")),
            (&[POD], false, &[], &[], Some("container-role")),
            (&[WEB, POD], false, &[], &[], Some("assume-role-with-web-identity")),
            (&[KEYS, WEB, POD], false, &[PAIR], &[ROLE], Some("env")),
            // A flag's profile: neither the environment's keys nor its web identity, but a container's.
            (&[KEYS, WEB, POD], true, &[PAIR], &[], Some("shared-credentials-file")),
            (&[KEYS, WEB, POD], true, &[], &[], Some("container-role")),
            (&[KEYS, WEB, OFF], true, &[], &[], None),
            // A role of a profile comes before a web identity and before keys of the same profile.
            (&[WEB], false, &[PAIR], &[ROLE], Some("assume-role")),
            (&[], false, &[PAIR, ROLE], &[], Some("assume-role")),
            // But not where the profile's role is for a web identity.
            (
                &[],
                false,
                &[PAIR],
                &[ROLE, ("web_identity_token_file", "/t")],
                Some("assume-role-with-web-identity"),
            ),
            (&[WEB], false, &[PAIR], &[], Some("assume-role-with-web-identity")),
            (&[], false, &[PAIR], &[("sso_account_id", "s")], Some("sso")),
            (&[], false, &[PAIR], &[("sso_role_name", "s"), ("credential_process", "c")], Some("sso")),
            (&[], false, &[PAIR], &[("credential_process", "c")], Some("shared-credentials-file")),
            (&[], false, &[], &[("credential_process", "c"), ("login_session", "l")], Some("login")),
            (&[], false, &[], &[("credential_process", "c"), PAIR], Some("custom-process")),
            (&[POD], false, &[], &[PAIR], Some("config-file")),
            (&[POD], false, &[("credential_process", "c")], &[], Some("custom-process")),
            (
                &[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x"), OFF],
                false,
                &[],
                &[],
                Some("container-role"),
            ),
            (&[("AWS_EC2_METADATA_DISABLED", "no")], false, &[], &[], Some("iam-role")),
        ];
        for (environment, by_flag, credentials, config, expected) in cases {
            let words = format!("{environment:?} {by_flag} {credentials:?} {config:?}");
            assert_eq!(used(environment, by_flag, credentials, config), expected, "{words}");
        }
    }

    #[test]
    fn what_is_passed_over_and_what_is_empty_is_told_with_its_reason() {
        let seen = Surroundings {
            environment: map(&[KEYS, POD]),
            profile: "default".to_owned(),
            ..Surroundings::default()
        };
        let found = resolve(&seen);
        let of = |source: Source| found.iter().find(|candidate| candidate.source == source).unwrap();
        assert_eq!(of(Source::Environment).standing, Standing::Used);
        assert_eq!(of(Source::Container).standing, Standing::PassedOver);
        assert_eq!(of(Source::ConfigFile).standing, Standing::Empty);
        assert!(of(Source::CredentialProcess).why.contains("no `credential_process`"));
        assert!(found.iter().all(|candidate| !candidate.why.contains("169.254")), "values are not repeated");
    }
}
