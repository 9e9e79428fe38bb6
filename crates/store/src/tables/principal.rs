//! A principal as the guard compares it.

use lanyard_iam::{CanonicalArn, FoldedArn, PrincipalArn, PrincipalKind};

/// A principal's ARN in the parts and the letter case by which the guard compares it: lower case, as IAM tells names apart, and
/// without path for roles.
pub(super) struct FoldedPrincipal {
    pub(super) partition: String,
    pub(super) kind: &'static str,
    pub(super) path: String,
    pub(super) name: String,
    pub(super) arn: String,
}

impl FoldedPrincipal {
    pub(super) fn of(arn: &CanonicalArn) -> Self {
        match PrincipalArn::parse(arn.as_str()) {
            Ok(principal) => Self::of_parts(&principal),
            // A canonical ARN always parses; if that rule ever widens, the guard takes such a principal for a dead one.
            Err(_) => Self {
                partition: String::new(),
                kind: "other",
                path: String::new(),
                name: String::new(),
                arn: arn.folded().as_str().to_owned(),
            },
        }
    }

    fn of_parts(principal: &PrincipalArn) -> Self {
        let kind = match principal.kind {
            PrincipalKind::User { .. } => "user",
            PrincipalKind::Role { .. } | PrincipalKind::AssumedRole { .. } => "role",
            PrincipalKind::Root | PrincipalKind::FederatedUser { .. } => "other",
        };
        let path = if kind == "user" { principal.path().unwrap_or_default() } else { "/" };
        Self {
            partition: principal.partition.to_string(),
            kind,
            path: path.to_ascii_lowercase(),
            name: principal.name().unwrap_or_default().to_ascii_lowercase(),
            arn: FoldedArn::of(known_as(principal).as_str()).as_str().to_owned(),
        }
    }
}

/// The canonical ARN by which a principal is known once it logs in: a role's path is left out there.
pub(crate) fn known_as(principal: &PrincipalArn) -> CanonicalArn {
    match principal.kind {
        PrincipalKind::Role { .. } => principal.without_path().canonical(),
        _ => principal.canonical(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_known_without_its_path_and_everybody_in_lower_case() {
        let cases = [
            (
                "arn:aws:iam::111122223333:role/team/Dev",
                "arn:aws:iam::111122223333:role/dev",
                "role",
                "/",
                "dev",
            ),
            (
                "arn:aws:sts::111122223333:assumed-role/Dev/ana",
                "arn:aws:iam::111122223333:role/dev",
                "role",
                "/",
                "dev",
            ),
            (
                "arn:aws:iam::111122223333:user/Team/Ana",
                "arn:aws:iam::111122223333:user/team/ana",
                "user",
                "/team/",
                "ana",
            ),
            ("arn:aws:iam::111122223333:root", "arn:aws:iam::111122223333:root", "other", "/", ""),
        ];
        for (arn, folded, kind, path, name) in cases {
            let principal = FoldedPrincipal::of(&CanonicalArn::parse(arn).unwrap());
            assert_eq!(principal.arn, folded, "{arn}");
            assert_eq!((principal.kind, &*principal.path, &*principal.name), (kind, path, name), "{arn}");
            assert_eq!(principal.partition, "aws", "{arn}");
        }
    }
}
