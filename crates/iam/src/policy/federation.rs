//! Trust policies that let in more of an OIDC issuer's people than anybody can have meant.
//!
//! A CI issuer signs for all of its customers. A role that trusts one has to say by `<issuer>:sub` whose jobs it means (IAM:
//! "Configuring a role for GitHub OIDC identity provider"); a pattern has to fix at least whose they are, which is the part
//! behind the label: `repo:octo-org/*`, `project_path:group/*`, `system:serviceaccount:ns:*`, `organization:acme:*`, `sc://acme/*`.
//! Bitbucket's subjects have no label: they begin with the repository's UUID in braces.

use super::document::TrustPolicy;
use super::statement::{Effect, Statement};

/// What a web identity assumes a role by.
const ACTION: &str = "sts:AssumeRoleWithWebIdentity";
/// What comes before an issuer in the ARN of an OIDC provider.
const PROVIDER: &str = ":oidc-provider/";
/// The labels that are more than one word: of subjects that are ServiceAccounts, and of those that are service connections of Azure DevOps
/// (`sc://<organization>/<project>/<connection>`).
const LABELS: [&str; 2] = ["system:serviceaccount:", "sc://"];

/// A statement that trusts an OIDC provider without saying whom of its people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("statement {} trusts `{provider}` {gap}", .index + 1)]
pub struct OpenFederation {
    /// The statement's place, from 0.
    pub index: usize,
    /// The provider, as the statement names it.
    pub provider: String,
    /// What is wrong with it.
    pub gap: SubjectGap,
}

/// What lacks for saying whom.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubjectGap {
    /// No condition demands a subject.
    #[error(
        "without a StringEquals or StringLike condition on `{0}:sub`, so that whomever the issuer knows may assume the role"
    )]
    Missing(String),
    /// A pattern leaves open whose subjects they are.
    #[error(
        "for subjects that begin with `{0}` and may go on with anybody's name: write whose they are before the wildcard"
    )]
    Wildcard(String),
}

impl TrustPolicy {
    /// The statements that let in whomever an OIDC issuer knows.
    #[must_use]
    pub fn open_federations(&self) -> Vec<OpenFederation> {
        let mut open = Vec::new();
        for (index, statement) in self.statements.iter().enumerate() {
            if statement.effect != Effect::Allow || !statement.actions.fits(ACTION) {
                continue;
            }
            for provider in statement.principals.iter().flat_map(|element| element.federated()) {
                let Some((_, issuer)) = provider.split_once(PROVIDER) else { continue };
                if let Some(gap) = subject_gap(statement, issuer) {
                    open.push(OpenFederation { index, provider: provider.to_owned(), gap });
                }
            }
        }
        open
    }
}

/// All conditions of a statement have to hold, so one that is narrow is enough.
fn subject_gap(statement: &Statement, issuer: &str) -> Option<SubjectGap> {
    let key = format!("{issuer}:sub");
    let mut gap = SubjectGap::Missing(issuer.to_owned());
    for wanted in statement.conditions.iter().filter_map(|condition| condition.wanted_texts(&key)) {
        let wide = wanted.into_iter().find(|(fixed, is_whole)| !is_whole && !names_whose(fixed));
        match wide {
            None => return None,
            Some((fixed, _)) => gap = SubjectGap::Wildcard(fixed),
        }
    }
    Some(gap)
}

/// Whether the fixed beginning of a pattern goes past the label and one whole part behind it.
fn names_whose(fixed: &str) -> bool {
    if begins_with_uuid(fixed) {
        return true;
    }
    let behind_label = match LABELS.into_iter().find_map(|label| fixed.strip_prefix(label)) {
        Some(rest) => Some(rest),
        None => fixed.split_once([':', '/']).map(|(_, rest)| rest),
    };
    let whose = behind_label.and_then(|rest| rest.split_once([':', '/']));
    whose.is_some_and(|(whose, _)| !whose.is_empty())
}

/// Whether a subject begins as Bitbucket's do, `{REPOSITORY}:{STEP}` or `{REPOSITORY}:{ENVIRONMENT}:{STEP}`, with a whole UUID: what closes
/// the braces ends it.
fn begins_with_uuid(fixed: &str) -> bool {
    let id = fixed.strip_prefix('{').and_then(|rest| rest.split_once('}')).map(|(id, _)| id);
    id.is_some_and(|id| {
        let groups = id.split('-').map(str::len);
        groups.eq([8, 4, 4, 4, 12]) && id.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GITHUB: &str = "token.actions.githubusercontent.com";

    fn gaps(conditions: &str, issuer: &str) -> Vec<SubjectGap> {
        let text = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"sts:AssumeRoleWithWebIdentity",
               "Principal":{{"Federated":"arn:aws:iam::111122223333:oidc-provider/{issuer}"}},"Condition":{conditions}}}]}}"#
        );
        let open = TrustPolicy::parse(&text).unwrap().open_federations();
        open.into_iter().map(|one| one.gap).collect()
    }

    fn like(issuer: &str, subjects: &str) -> String {
        format!(
            r#"{{"StringLike":{{"{issuer}:sub":{subjects}}},"StringEquals":{{"{issuer}:aud":"sts.amazonaws.com"}}}}"#
        )
    }

    #[test]
    fn immunity_11_a_trust_policy_says_whose_subjects_it_means() {
        let (gitlab, eks) = ("gitlab.com", "oidc.eks.eu-west-1.amazonaws.com/id/AB12");
        let bitbucket = "api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc";
        let azure = "vstoken.dev.azure.com/61c028b9-510c-4f84-bfb2-f48d33b6b542";
        let narrow = [
            (GITHUB, r#""repo:octo-org/octo-repo:ref:refs/heads/main""#),
            (GITHUB, r#""repo:octo-org/octo-repo:*""#),
            (GITHUB, r#""repo:octo-org/*""#),
            (GITHUB, r#"["repo:octo-org/a:*","repo:octo-org/b:environment:live"]"#),
            (gitlab, r#""project_path:mygroup/*:ref_type:branch:ref:main""#),
            (eks, r#""system:serviceaccount:kube-system:*""#),
            ("app.terraform.io", r#""organization:acme:project:*""#),
            ("oidc.circleci.com/org/1", r#""org/1f2e/project/*""#),
            (bitbucket, r#""{f1a8c0d2-9b3e-4a51-8c77-0d2e6b9f4a10}:*""#),
            (
                bitbucket,
                r#""{f1a8c0d2-9b3e-4a51-8c77-0d2e6b9f4a10}*:{0D2E6B9F-4A10-8C77-4A51-F1A8C0D29B3E}""#,
            ),
            (azure, r#""sc://acme/*""#),
            (azure, r#""sc://acme/shop/*""#),
        ];
        for (issuer, subjects) in narrow {
            assert_eq!(gaps(&like(issuer, subjects), issuer), [], "{subjects}");
        }
        let wide = [
            (GITHUB, r#""*""#, ""),
            (GITHUB, r#""repo:*""#, "repo:"),
            (GITHUB, r#""repo:octo-org*""#, "repo:octo-org"),
            (GITHUB, r#""repo:?cto-org/*""#, "repo:"),
            (GITHUB, r#"["repo:octo-org/a:*","repo:*/a:*"]"#, "repo:"),
            (GITHUB, r#""repo:${aws:PrincipalTag/org}/*""#, "repo:"),
            (gitlab, r#""project_path:*""#, "project_path:"),
            (eks, r#""system:serviceaccount:*""#, "system:serviceaccount:"),
            ("auth.example", r#""user-*""#, "user-"),
            (bitbucket, r#""{*}:*""#, "{"),
            (bitbucket, r#""{f1a8c0d2-*""#, "{f1a8c0d2-"),
            (
                bitbucket,
                r#""{f1a8c0d2-9b3e-4a51-8c77-0d2e6b9f4a10*""#,
                "{f1a8c0d2-9b3e-4a51-8c77-0d2e6b9f4a10",
            ),
            (bitbucket, r#""{}:*""#, "{}:"),
            (bitbucket, r#""{repository}:*""#, "{repository}:"),
            (azure, r#""sc://*""#, "sc://"),
            (azure, r#""sc://acm*""#, "sc://acm"),
            (azure, r#""sc:///shop/*""#, "sc:///shop/"),
            ("auth.example", r#""https://auth.example/*""#, "https://auth.example/"),
        ];
        for (issuer, subjects, fixed) in wide {
            assert_eq!(
                gaps(&like(issuer, subjects), issuer),
                [SubjectGap::Wildcard(fixed.to_owned())],
                "{subjects}"
            );
        }
    }

    #[test]
    fn immunity_11_what_demands_no_subject_is_no_condition_on_it() {
        let missing = [SubjectGap::Missing(GITHUB.to_owned())];
        for conditions in [
            r#"{"StringEquals":{"token.actions.githubusercontent.com:aud":"sts.amazonaws.com"}}"#,
            r#"{"StringEqualsIfExists":{"token.actions.githubusercontent.com:sub":"repo:a/b:*"}}"#,
            r#"{"StringNotEquals":{"token.actions.githubusercontent.com:sub":"repo:a/b:pull_request"}}"#,
            r#"{"ForAllValues:StringLike":{"token.actions.githubusercontent.com:sub":"repo:a/b:*"}}"#,
            r#"{"Null":{"token.actions.githubusercontent.com:sub":"false"}}"#,
            r#"{"StringEquals":{"gitlab.com:sub":"repo:a/b:ref:refs/heads/main"}}"#,
        ] {
            assert_eq!(gaps(conditions, GITHUB), missing, "{conditions}");
        }
        let exact = r#"{"StringEquals":{"Token.Actions.githubusercontent.com:SUB":"anybody"}}"#;
        assert_eq!(gaps(exact, GITHUB), [], "keys ignore letter case, and one subject is one");
    }

    #[test]
    fn only_allows_of_web_identities_by_oidc_providers_are_looked_at() {
        let open = |effect: &str, action: &str, principal: &str| {
            let text = format!(
                r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"{effect}","Action":"{action}","Principal":{principal}}}]}}"#
            );
            TrustPolicy::parse(&text).unwrap().open_federations().len()
        };
        let github =
            r#"{"Federated":"arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"}"#;
        assert_eq!(open("Allow", "sts:AssumeRoleWithWebIdentity", github), 1);
        assert_eq!(open("Allow", "sts:*", github), 1);
        assert_eq!(open("Deny", "sts:AssumeRoleWithWebIdentity", github), 0);
        assert_eq!(open("Allow", "sts:AssumeRole", github), 0);
        assert_eq!(open("Allow", "sts:AssumeRole", r#"{"AWS":"111122223333"}"#), 0);
        let saml = r#"{"Federated":"arn:aws:iam::111122223333:saml-provider/okta"}"#;
        assert_eq!(open("Allow", "sts:AssumeRoleWithWebIdentity", saml), 0);
    }
}
