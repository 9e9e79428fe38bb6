//! Whose usernames a new issuer would take.

use lanyard_api::{
    CallError, Scope,
    mapping::{AccessEntry, Cluster, IdentityProviderSettings},
    template::Placeholder,
};
use lanyard_iam::{CanonicalArn, PatternSubject};
use lanyard_store::Transaction;

use crate::{
    administrators, key,
    resolution::counts_aws_auth,
    rules::{self, Broken, Rule},
};

/// Refuses an issuer of whose people's usernames the prefix is one by which a username of an access entry or of a line of aws-auth
/// begins. Whoever has such a template is refused at login as long as the issuer is there, and that may be everybody who administers
/// the cluster; a name that stands as it is would be one of the issuer's people to whatever knows names alone. The transaction has
/// the cluster's scope, so that no entry or line comes in between.
///
/// A username that only some sessions' names make one of the issuer's is let be: each login looks at that.
pub(super) async fn usernames(
    tx: &mut Transaction,
    cluster: &Cluster,
    settings: &IdentityProviderSettings,
) -> Result<(), CallError> {
    let prefix = settings.username_prefix();
    if prefix.is_empty() {
        return Ok(());
    }
    // Also where the mode is not yet one in which entries count: modes go one way, to where they do.
    let entries: Vec<AccessEntry> = tx.list(Scope::Cluster(cluster.uid)).await?;
    for entry in &entries {
        let known = entry.principal_arn.one().map(key::known_as);
        let name = known.as_ref().map(CanonicalArn::as_str).and_then(PatternSubject::of);
        let account = entry.principal_arn.account();
        if start(&entry.username, account.as_str(), name.map(|subject| subject.name)).starts_with(&*prefix) {
            return Err(taken(
                &prefix,
                &entry.username,
                &format!("the access entry for `{}`", entry.principal_arn),
            ));
        }
    }
    if !counts_aws_auth(cluster.authentication_mode) {
        return Ok(());
    }
    for line in administrators::in_force(tx, cluster).await?.lines {
        let arn = line.arn.as_str();
        let account = arn.split(':').nth(4).unwrap_or_default();
        let name = PatternSubject::of(arn).map(|subject| subject.name);
        if start(line.username.as_str(), account, name).starts_with(&*prefix) {
            return Err(taken(
                &prefix,
                line.username.as_str(),
                &format!("{} of aws-auth, for `{arn}`", line.path()),
            ));
        }
    }
    Ok(())
}

fn taken(prefix: &str, username: &str, whose: &str) -> CallError {
    let message = format!(
        "`{}` begins the username `{}` of {whose}, which would be one of the issuer's people: choose another prefix, or change that \
         username first",
        rules::shown(prefix),
        rules::shown(username)
    );
    Broken::new("username_prefix", Rule::ProviderPrefix, message).into()
}

/// What of a username is sure before anybody knocks: all up to the first placeholder whose value is a session's, a key's or a node's.
fn start(username: &str, account: &str, name: Option<&str>) -> String {
    let written = |placeholder: Placeholder| format!("{{{{{}}}}}", placeholder.name());
    let mut known = username.replace(&written(Placeholder::AccountId), account);
    if let Some(name) = name {
        known = known.replace(&written(Placeholder::PrincipalName), name);
    }
    // Of a template that was taken, this opens a placeholder and nothing else.
    known.split("{{").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sure_of_a_username_ends_where_a_session_begins() {
        for (username, name, sure) in [
            ("okta:ana", Some("dev"), "okta:ana"),
            ("okta:{{SessionName}}", Some("dev"), "okta:"),
            ("{{AccountID}}:{{SessionName}}", Some("dev"), "111122223333:"),
            ("{{PrincipalName}}:{{SessionNameRaw}}", Some("dev"), "dev:"),
            // Whoever of several knocks, nobody knows.
            ("{{PrincipalName}}:{{SessionName}}", None, ""),
            ("a:{{AccessKeyID}}:{{AccountID}}", Some("dev"), "a:"),
            ("{ordinary} braces}}", None, "{ordinary} braces}}"),
        ] {
            assert_eq!(start(username, "111122223333", name), sure, "{username}");
        }
    }
}
