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
    rules::{self, Broken, Rule, issuers::Issuer, sure},
};

/// Refuses an issuer of whose people's usernames the prefix is one by which a username of an access entry or of a line of aws-auth
/// begins, or that has none, where one of these may become anybody's. Whoever has such a template is refused at login as long as the
/// issuer is there, and that may be everybody who administers the cluster; a name that stands as it is would be one of the issuer's
/// people to whatever knows names alone. The transaction has the cluster's scope, so that no entry or line comes in between.
///
/// A username that only some sessions' names make one of the issuer's is let be: each login looks at that.
pub(super) async fn usernames(
    tx: &mut Transaction,
    cluster: &Cluster,
    settings: &IdentityProviderSettings,
) -> Result<(), CallError> {
    let issuer = Issuer::of(settings);
    // Also where the mode is not yet one in which entries count: modes go one way, to where they do.
    let entries: Vec<AccessEntry> = tx.list(Scope::Cluster(cluster.uid)).await?;
    for entry in &entries {
        let known = key::one_of(&entry.principal_arn);
        let (account, canonical) = (entry.principal_arn.account(), known.as_ref().map(CanonicalArn::as_str));
        if issuer.takes(&sure::filled(&entry.username, account, canonical)) {
            let whose = format!("the access entry for `{}`", entry.principal_arn);
            return Err(taken(settings, &entry.username, &whose));
        }
    }
    if !counts_aws_auth(cluster.authentication_mode) {
        return Ok(());
    }
    for line in administrators::in_force(tx, cluster).await?.lines {
        let arn = line.arn.as_str();
        let Ok(principal) = PrincipalArn::parse(arn) else { continue };
        if issuer.takes(&sure::filled(line.username.as_str(), principal.account, Some(arn))) {
            let whose = format!("{} of aws-auth, for `{arn}`", line.path());
            return Err(taken(settings, line.username.as_str(), &whose));
        }
    }
    Ok(())
}

fn taken(settings: &IdentityProviderSettings, username: &str, whose: &str) -> CallError {
    let (prefix, username) = (settings.username_prefix(), rules::shown(username));
    let message = match prefix.is_empty() {
        true => format!(
            "without a prefix the issuer's people may have any username, and `{username}` of {whose} may become one of theirs: give \
             username_prefix, or change that username first, so that it begins with a text of its own and a `:`"
        ),
        false => format!(
            "`{}` begins the username `{username}` of {whose}, which would be one of the issuer's people: choose another prefix, or \
             change that username first",
            rules::shown(&prefix)
        ),
    };
    Broken::new("username_prefix", Rule::ProviderPrefix, message).into()
}
