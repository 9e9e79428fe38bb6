//! The parts of an identity, and what each of them is worth.

use std::fmt;

use lanyard_iam::PrincipalKind;

use super::{AwsIdentity, ClaimValue, Identity, OidcIdentity};

/// What a part of an identity is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Whoever vouches for the identity says so.
    Verified,
    /// Whoever made the session chose it, or something in it; of an issuer's person, they themselves. It lets nobody in.
    CallerChosen,
    /// Taken as if it were proven, which it is not.
    Assumed,
}

impl Standing {
    /// Stable, in snake case.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::CallerChosen => "caller_chosen",
            Self::Assumed => "assumed",
        }
    }
}

impl fmt::Display for Standing {
    /// For people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Verified => "verified",
            Self::CallerChosen => "caller-chosen",
            Self::Assumed => "assumed, not proven",
        })
    }
}

/// A part of an identity, as explanations show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityPart {
    /// What it is: `arn`, `session name`, `claim groups`.
    pub name: String,
    /// Its value, as whoever wrote it did; displayed, the part is one line, whatever that is.
    pub value: String,
    /// What it is worth.
    pub standing: Standing,
}

impl IdentityPart {
    /// One part.
    pub fn new(name: impl Into<String>, value: impl ToString, standing: Standing) -> Self {
        Self { name: name.into(), value: value.to_string(), standing }
    }
}

impl fmt::Display for IdentityPart {
    /// `name: value (what it is worth)`, in one line whatever somebody has written into it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, value, standing } = self;
        write!(f, "{}: {} ({standing})", name.escape_debug(), value.escape_debug())
    }
}

impl Identity {
    /// All parts that people are shown, each with what it is worth. Of what is mapped by templates, the rule is by the template
    /// ([`crate::template::Placeholder::is_caller_chosen`]).
    #[must_use]
    pub fn parts(&self) -> Vec<IdentityPart> {
        match self {
            Self::Aws(aws) => aws.parts(),
            Self::Oidc(oidc) => oidc.parts(),
        }
    }
}

/// What holds a part that the caller chose is not verified as a whole.
const fn unless_chosen(is_chosen: bool) -> Standing {
    if is_chosen { Standing::CallerChosen } else { Standing::Verified }
}

impl AwsIdentity {
    fn parts(&self) -> Vec<IdentityPart> {
        use Standing::{CallerChosen, Verified};
        // The ARN ends with the session's name; of a federated user that name is all there is, in the unique id too.
        let is_federated = matches!(self.arn.kind, PrincipalKind::FederatedUser { .. });
        let is_session = is_federated || matches!(self.arn.kind, PrincipalKind::AssumedRole { .. });
        let mut parts = vec![
            IdentityPart::new("arn", &self.arn, unless_chosen(is_session)),
            IdentityPart::new("canonical arn", &self.canonical_arn, unless_chosen(is_federated)),
        ];
        let with_path = self.principal_arn.as_ref();
        parts.extend(with_path.map(|arn| IdentityPart::new("arn with path", arn, Verified)));
        parts.extend([
            IdentityPart::new("principal id", &self.principal_id, unless_chosen(is_federated)),
            IdentityPart::new("account", self.account, Verified),
            IdentityPart::new("authority", &self.authority, Verified),
            IdentityPart::new("access key", &self.access_key_id, Verified),
        ]);
        parts.extend(
            self.session_name.iter().map(|name| IdentityPart::new("session name", name, CallerChosen)),
        );
        let tags = self.tags.iter();
        parts.extend(
            tags.map(|(key, value)| IdentityPart::new(format!("session tag {key}"), value, CallerChosen)),
        );
        parts
    }
}

/// The claim that an issuer's people often choose themselves, and the one by which the issuer says that it has looked.
const EMAIL: &str = "email";
const EMAIL_VERIFIED: &str = "email_verified";

impl OidcIdentity {
    fn parts(&self) -> Vec<IdentityPart> {
        let has_looked = self.claims.get(EMAIL_VERIFIED) == Some(&ClaimValue::Flag(true));
        let mut parts = vec![
            IdentityPart::new("issuer", &self.issuer, Standing::Verified),
            IdentityPart::new("subject", &self.subject, Standing::Verified),
        ];
        parts.extend(self.claims.iter().map(|(name, value)| {
            let value = match value {
                ClaimValue::Text(text) => text.clone(),
                ClaimValue::Texts(texts) => texts.join(", "),
                ClaimValue::Flag(flag) => flag.to_string(),
                ClaimValue::Other => "neither text nor a list of texts".to_owned(),
            };
            let standing = unless_chosen(name == EMAIL && !has_looked);
            IdentityPart::new(format!("claim {name}"), value, standing)
        }));
        parts
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use lanyard_iam::PrincipalArn;

    use super::*;
    use crate::identity::{Authority, IdentityKind};
    use crate::ids::IdentityProviderConfigId;

    /// `name standing` of each part.
    fn worth(identity: impl Into<Identity>) -> Vec<String> {
        let parts = identity.into().parts();
        parts.iter().map(|part| format!("{} {}", part.name, part.standing.code())).collect()
    }

    fn aws(arn: &str, principal_id: &str, tags: &[(&str, &str)]) -> AwsIdentity {
        let arn = PrincipalArn::parse(arn).unwrap();
        AwsIdentity {
            authority: Authority::Local,
            account: arn.account,
            partition: arn.partition,
            principal_id: principal_id.to_owned(),
            canonical_arn: arn.canonical(),
            principal_arn: None,
            session_name: arn.session_name().map(str::to_owned),
            arn,
            tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            access_key_id: "LKIAAAAAAAAAAAAAAAAA".parse().unwrap(),
            kind: IdentityKind::Ordinary,
            ancestors: Vec::new(),
            kin: Vec::new(),
        }
    }

    #[test]
    fn each_part_of_a_principal_is_verified_or_chosen_by_who_made_the_session() {
        let user = aws("arn:aws:iam::111122223333:user/team/ana", "AIDAX", &[]);
        let with_path = Some(PrincipalArn::parse("arn:aws:iam::111122223333:user/team/ana").unwrap());
        let cases: [(&str, AwsIdentity, &[&str]); 4] = [
            (
                "a user",
                AwsIdentity { principal_arn: with_path, ..user },
                &[
                    "arn verified",
                    "canonical arn verified",
                    "arn with path verified",
                    "principal id verified",
                    "account verified",
                    "authority verified",
                    "access key verified",
                ],
            ),
            (
                "a role session",
                aws("arn:aws:sts::111122223333:assumed-role/Dev/ana", "AROAX", &[("team", "a")]),
                &[
                    "arn caller_chosen",
                    "canonical arn verified",
                    "principal id verified",
                    "account verified",
                    "authority verified",
                    "access key verified",
                    "session name caller_chosen",
                    "session tag team caller_chosen",
                ],
            ),
            (
                "a federated user",
                aws("arn:aws:sts::111122223333:federated-user/ana", "111122223333:ana", &[]),
                &[
                    "arn caller_chosen",
                    "canonical arn caller_chosen",
                    "principal id caller_chosen",
                    "account verified",
                    "authority verified",
                    "access key verified",
                ],
            ),
            (
                "root",
                aws("arn:aws:iam::111122223333:root", "111122223333", &[]),
                &[
                    "arn verified",
                    "canonical arn verified",
                    "principal id verified",
                    "account verified",
                    "authority verified",
                    "access key verified",
                ],
            ),
        ];
        for (who, identity, expected) in cases {
            assert_eq!(worth(identity), expected, "{who}");
        }
    }

    #[test]
    fn a_claim_is_the_issuers_word_but_for_an_address_that_it_has_not_looked_at() {
        let of = |claims: &[(&str, ClaimValue)]| OidcIdentity {
            config: IdentityProviderConfigId::random(),
            issuer: "https://issuer.example".to_owned(),
            subject: "ana".to_owned(),
            claims: claims.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        };
        let email = ("email", ClaimValue::Text("ana@example.com".to_owned()));
        let groups = ("groups", ClaimValue::Texts(vec!["a".to_owned(), "b".to_owned()]));
        let looked = |flag| ("email_verified", ClaimValue::Flag(flag));
        let text = ("email_verified", ClaimValue::Text("true".to_owned()));
        let cases = [
            (vec![groups.clone()], vec!["claim groups verified"]),
            (vec![email.clone()], vec!["claim email caller_chosen"]),
            (
                vec![email.clone(), looked(true)],
                vec!["claim email verified", "claim email_verified verified"],
            ),
            (
                vec![email.clone(), looked(false)],
                vec!["claim email caller_chosen", "claim email_verified verified"],
            ),
            (vec![email.clone(), text], vec!["claim email caller_chosen", "claim email_verified verified"]),
        ];
        for (claims, expected) in cases {
            let all = worth(of(&claims));
            assert_eq!(all[..2], ["issuer verified", "subject verified"]);
            assert_eq!(all[2..], expected, "{claims:?}");
        }
        let shown: BTreeMap<String, String> =
            Identity::from(of(&[groups])).parts().into_iter().map(|part| (part.name, part.value)).collect();
        assert_eq!(shown["claim groups"], "a, b");
    }

    #[test]
    fn a_part_is_one_line_for_people_whatever_stands_in_it() {
        let cases = [
            (IdentityPart::new("account", "1", Standing::Verified), "account: 1 (verified)"),
            (
                IdentityPart::new("session name", "a", Standing::CallerChosen),
                "session name: a (caller-chosen)",
            ),
            (IdentityPart::new("arn", "x", Standing::Assumed), "arn: x (assumed, not proven)"),
            (
                IdentityPart::new("subject", "\u{1b}[2Ja\nverdict: allowed", Standing::Verified),
                "subject: \\u{1b}[2Ja\\nverdict: allowed (verified)",
            ),
        ];
        for (part, line) in cases {
            assert_eq!(part.to_string(), line);
        }
    }
}
