//! Whose usernames a new issuer would take.

use lanyard_api::{
    CallError, Scope,
    mapping::{AccessEntry, Cluster, IdentityProviderSettings},
};
use lanyard_iam::{CanonicalArn, PrincipalArn};
use lanyard_store::Transaction;

use crate::{
    administrators, key,
    resolution::counts_aws_auth,
    rules::{self, Broken, Rule, sure},
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
        let (account, canonical) = (entry.principal_arn.account(), known.as_ref().map(CanonicalArn::as_str));
        if sure::start(&entry.username, account, canonical).starts_with(&*prefix) {
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
        let Ok(principal) = PrincipalArn::parse(arn) else { continue };
        if sure::start(line.username.as_str(), principal.account, Some(arn)).starts_with(&*prefix) {
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
