//! The OIDC issuers that the roles of an account may trust, with IAM's rules (IAM API reference, OpenID Connect providers).

use std::{collections::BTreeSet, net::IpAddr};

use lanyard_api::authn::oidc_providers::{
    CreateOidcProvider, OidcProvider, OidcProviderRef, OidcProviders, UpdateOidcProvider,
};
use lanyard_api::credentials::IrsaObstacle;
use lanyard_api::mapping::{Rule, SHARED_AUDIENCE_TAG};
use lanyard_api::{Actor, CallError, Mutated, Mutation, OidcProviderId, Page, PageQuery, Scope, Vouched};
use lanyard_iam::AccountId;
use lanyard_kit::http_client::is_public;
use lanyard_oidc::{Issuer, IssuerError, OidcConfig};
use lanyard_store::Transaction;

use super::{begin, below, rules};
use crate::cache::SharedCache;
use crate::engine::Engine;

/// Longest URL of an issuer, in characters.
const URL_CHARS_MAX: usize = 255;
/// Most client ids of one provider.
const CLIENT_IDS_MAX: u64 = 100;
/// Longest client id, in characters.
const CLIENT_ID_CHARS_MAX: usize = 255;
/// Most thumbprints of one provider.
const THUMBPRINTS_MAX: u64 = 5;
/// Hex digits of a thumbprint: a SHA-1.
const THUMBPRINT_CHARS: usize = 40;

impl<S: SharedCache> OidcProviders for Engine<S> {
    async fn create_oidc_provider(
        &self,
        by: Mutation,
        provider: CreateOidcProvider,
    ) -> Result<Mutated<OidcProvider>, CallError> {
        let (account, scope) = self.local_scope(&by.actor.value, provider.account).await?;
        let limits = &self.config.limits;
        let CreateOidcProvider { account: _, issuer_url, client_ids, thumbprints, ca_bundle_pem, tags } =
            provider;
        issuer(&self.config.oidc, &issuer_url, ca_bundle_pem.as_deref())?;
        spelling(&issuer_url)?;
        let client_ids = each_once(client_ids);
        client_ids.iter().try_for_each(|id| client_id(id))?;
        if client_ids.len() as u64 > CLIENT_IDS_MAX {
            let what = "client ids of one OIDC provider".into();
            return Err(CallError::LimitExceeded { what, limit: CLIENT_IDS_MAX });
        }
        judge_thumbprints(&thumbprints)?;
        rules::tags(&tags, limits.tags_max)?;
        // The hub's scope too, as whoever associates an issuer with a cluster has it: of two who take one client id at the same time, the
        // second sees the first. The account's comes first, for its revision is the answer's.
        let mut transaction = begin!(self, "create_oidc_provider", &by, all & [scope, Scope::Hub]);
        let count = transaction.count::<OidcProvider>(scope).await?;
        below(limits.oidc_providers_max, count, "OIDC providers of one account")?;
        // One issuer, whose tokens bear the one spelling or the other: what trusts it by name would mean two.
        let other = other_spelling(&issuer_url);
        if transaction.get::<OidcProvider>(scope, &other).await?.is_some() {
            let name = rules::shown(&other);
            return Err(CallError::AlreadyExists { kind: "OIDC provider".into(), name });
        }
        let provider = OidcProvider {
            id: OidcProviderId::random(),
            account,
            issuer_url,
            client_ids,
            thumbprints,
            ca_bundle_pem,
            tags,
            created_at: transaction.now(),
        };
        transaction.insert(&provider).await?;
        let notices = beside_logins(&mut transaction, &provider.issuer_url, &provider.client_ids).await?;
        self.commit_with(transaction, scope, provider, notices).await
    }

    async fn get_oidc_provider(
        &self,
        by: Vouched<Actor>,
        provider: OidcProviderRef,
    ) -> Result<OidcProvider, CallError> {
        let (_, scope) = self.local_scope(&by.value, provider.account).await?;
        let found = self.store.get::<OidcProvider>(scope, &provider.issuer_url).await?;
        found.ok_or_else(|| not_found(&provider.issuer_url))
    }

    async fn list_oidc_providers(
        &self,
        by: Vouched<Actor>,
        account: Option<AccountId>,
        page: PageQuery,
    ) -> Result<Page<OidcProvider>, CallError> {
        let (_, scope) = self.local_scope(&by.value, account).await?;
        self.stored_page(scope, &page, |_: &OidcProvider| true).await
    }

    async fn update_oidc_provider(
        &self,
        by: Mutation,
        provider: OidcProviderRef,
        update: UpdateOidcProvider,
    ) -> Result<Mutated<OidcProvider>, CallError> {
        let (_, scope) = self.local_scope(&by.actor.value, provider.account).await?;
        let mut scopes = vec![scope];
        if matches!(update, UpdateOidcProvider::AddClientId(_)) {
            scopes.push(Scope::Hub);
        }
        let mut transaction = begin!(self, "update_oidc_provider", &by, all & scopes);
        let mut provider = stored(&mut transaction, scope, &provider.issuer_url).await?;
        let known = provider.client_ids.clone();
        self.change(&mut provider, update)?;
        let added: Vec<String> =
            provider.client_ids.iter().filter(|id| !known.contains(id)).cloned().collect();
        let notices = beside_logins(&mut transaction, &provider.issuer_url, &added).await?;
        transaction.put(&provider).await?;
        self.commit_with(transaction, scope, provider, notices).await
    }

    async fn delete_oidc_provider(
        &self,
        by: Mutation,
        provider: OidcProviderRef,
    ) -> Result<Mutated<OidcProvider>, CallError> {
        let (_, scope) = self.local_scope(&by.actor.value, provider.account).await?;
        let mut transaction = begin!(self, "delete_oidc_provider", &by, scope);
        let deleted = transaction.delete::<OidcProvider>(scope, &provider.issuer_url).await?;
        let deleted = deleted.ok_or_else(|| not_found(&provider.issuer_url))?;
        self.commit(transaction, scope, deleted).await
    }
}

impl<S: SharedCache> Engine<S> {
    fn change(&self, provider: &mut OidcProvider, update: UpdateOidcProvider) -> Result<(), CallError> {
        match update {
            UpdateOidcProvider::AddClientId(id) => {
                client_id(&id)?;
                if !provider.client_ids.contains(&id) {
                    let count = provider.client_ids.len() as u64;
                    below(CLIENT_IDS_MAX, count, "client ids of one OIDC provider")?;
                    provider.client_ids.push(id);
                }
            }
            UpdateOidcProvider::RemoveClientId(id) => provider.client_ids.retain(|other| *other != id),
            UpdateOidcProvider::Thumbprints(all) => {
                judge_thumbprints(&all)?;
                provider.thumbprints = all;
            }
            UpdateOidcProvider::CaBundle(pem) => {
                issuer(&self.config.oidc, &provider.issuer_url, pem.as_deref())?;
                provider.ca_bundle_pem = pem;
            }
            UpdateOidcProvider::Tag(tags) => {
                self.change_tags(provider, rules::TagChange::Put(tags))?;
            }
            UpdateOidcProvider::Untag(keys) => {
                self.change_tags(provider, rules::TagChange::Remove(keys))?;
            }
        }
        Ok(())
    }

    fn change_tags(&self, provider: &mut OidcProvider, change: rules::TagChange) -> Result<(), CallError> {
        let tags_max = self.config.limits.tags_max;
        change.judge(tags_max)?;
        change.apply(&mut provider.tags, tags_max)
    }
}

/// Holds client ids against those by which people log in to clusters: whoever sees such a token at a cluster could exchange it for
/// the session of a role. Which clusters take it is not told, for they may be another account's.
async fn beside_logins(
    transaction: &mut Transaction,
    issuer_url: &str,
    client_ids: &[String],
) -> Result<Vec<String>, CallError> {
    let mut notices = Vec::new();
    for id in client_ids {
        let logins = transaction.identity_providers_of_audience(issuer_url, id).await?;
        let (id, issuer) = (rules::shown(id), rules::shown(issuer_url));
        if logins.iter().any(|config| !config.settings.shared_audience) {
            let message = format!(
                "people log in to a cluster by client id `{id}` of `{issuer}`, and whoever sees such a token there could exchange it for \
                 a role's session: give the provider a client id of its own, or associate the issuer anew in each cluster that has this \
                 one with the tag `{SHARED_AUDIENCE_TAG}=true` (over gRPC also by `shared_audience`)"
            );
            return Err(CallError::precondition(Rule::AudienceTaken.code(), message));
        }
        if !logins.is_empty() {
            notices.push(format!(
                "client id `{id}` of `{issuer}` is shared with clusters ({} by now): whoever sees a token by which somebody logs in there \
                 can exchange it for a session of each role whose trust policy lets that person in",
                logins.len()
            ));
        }
    }
    Ok(notices)
}

async fn stored(
    transaction: &mut Transaction,
    scope: Scope,
    issuer_url: &str,
) -> Result<OidcProvider, CallError> {
    let provider = transaction.get::<OidcProvider>(scope, issuer_url).await?;
    provider.ok_or_else(|| not_found(issuer_url))
}

fn not_found(issuer_url: &str) -> CallError {
    CallError::not_found("OIDC provider", rules::shown(issuer_url))
}

/// IAM takes no port ("The URL should not contain a port number"); a host that the operator calls private may have one, for
/// issuers inside are often served so.
fn issuer(config: &OidcConfig, url: &str, ca_bundle_pem: Option<&str>) -> Result<(), CallError> {
    let invalid = |rule: &str| Err(no_issuer(url, rule));
    if url.chars().count() > URL_CHARS_MAX {
        return invalid("is longer than 255 characters");
    }
    // By such a name the tokens of any cluster would be somebody's, and it leads to the hub's own, if anywhere.
    if let Some(obstacle @ IrsaObstacle::InClusterName) = IrsaObstacle::of(url) {
        let message = format!("`{}` is no issuer whom a role may trust: {obstacle}", rules::shown(url));
        return Err(CallError::invalid("issuer_url", "issuer_url", message));
    }
    let issuer = match Issuer::new(config.issuer(url, ca_bundle_pem)) {
        Ok(issuer) => issuer,
        Err(IssuerError::Url(rule)) => return invalid(rule),
        Err(error @ IssuerError::CaBundle) => {
            return Err(CallError::invalid("ca_bundle_pem", "ca_bundle", error.to_string()));
        }
        Err(error) => return invalid(&format!("cannot be called: {error}")),
    };
    let host = issuer.discovery_url().host_str().unwrap_or_default();
    let is_private = config.private_hosts.iter().any(|private| private.eq_ignore_ascii_case(host));
    let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    if address.is_some_and(|address| !is_public(address)) && !is_private {
        return invalid(
            "is at an address that is not public, which is for hosts that the hub's configuration names \
             (authn.oidc.private_hosts)",
        );
    }
    // A port that is the scheme's own is dropped from a parsed URL, and written in the text all the same.
    let authority = url.get(8..).and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let has_port = authority.rsplit_once(']').map_or(authority, |(_, rest)| rest).contains(':');
    if has_port && !is_private {
        return invalid(
            "has a port, which is for hosts that the hub's configuration names (authn.oidc.private_hosts)",
        );
    }
    Ok(())
}

/// Tokens are compared with an issuer letter by letter, and so are the names of providers: scheme and host, which mean the same in
/// any letter case, are written in one.
fn spelling(url: &str) -> Result<(), CallError> {
    let authority_end = url.get(8..).and_then(|rest| rest.find('/')).map_or(url.len(), |end| 8 + end);
    match url.bytes().take(authority_end).any(|byte| byte.is_ascii_uppercase()) {
        true => Err(no_issuer(
            url,
            "has capital letters in scheme or host, where there is one spelling: small ones",
        )),
        false => Ok(()),
    }
}

fn no_issuer(url: &str, rule: &str) -> CallError {
    let message = format!("`{}` is no issuer's URL: it {rule}", rules::shown(url));
    CallError::invalid("issuer_url", "issuer_url", message)
}

/// An issuer's URL without its last slash, or with one.
fn other_spelling(issuer_url: &str) -> String {
    issuer_url.strip_suffix('/').map_or_else(|| format!("{issuer_url}/"), str::to_owned)
}

fn client_id(id: &str) -> Result<(), CallError> {
    let count = id.chars().count();
    if (1..=CLIENT_ID_CHARS_MAX).contains(&count) && !id.chars().any(char::is_control) {
        return Ok(());
    }
    let message = format!(
        "`{}` is not a client id; use 1 to {CLIENT_ID_CHARS_MAX} printable characters",
        rules::shown(id)
    );
    Err(CallError::invalid("client_id", "client_id", message))
}

fn judge_thumbprints(thumbprints: &[String]) -> Result<(), CallError> {
    if thumbprints.len() as u64 > THUMBPRINTS_MAX {
        let what = "thumbprints of one OIDC provider".into();
        return Err(CallError::LimitExceeded { what, limit: THUMBPRINTS_MAX });
    }
    let is_one =
        |text: &String| text.len() == THUMBPRINT_CHARS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match thumbprints.iter().find(|text| !is_one(text)) {
        None => Ok(()),
        Some(text) => {
            let message = format!(
                "`{}` is not a thumbprint; write the {THUMBPRINT_CHARS} hex digits of a certificate's SHA-1",
                rules::shown(text)
            );
            Err(CallError::invalid("thumbprints", "thumbprint", message))
        }
    }
}

/// In the order given.
fn each_once(texts: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    texts.into_iter().filter(|text| seen.insert(text.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> OidcConfig {
        OidcConfig { private_hosts: vec!["ci.internal".to_owned()], ..OidcConfig::default() }
    }

    #[test]
    fn an_issuers_url_is_as_iam_has_it() {
        let longest = format!("https://issuer.example/{}", "a".repeat(232));
        for good in [
            "https://token.actions.githubusercontent.com",
            "https://oidc.eks.eu-west-1.amazonaws.com/id/AB12",
            "https://tenant.auth0.example/",
            "https://ci.internal:8443/realms/a",
            &longest,
        ] {
            assert_eq!(issuer(&config(), good, None), Ok(()), "{good}");
        }
        let long = format!("{longest}a");
        for bad in [
            "",
            "issuer.example",
            "http://issuer.example",
            "https://issuer.example:443",
            "https://issuer.example:8443/a",
            "https://[::1]:443",
            "https://issuer.example?a=b",
            "https://issuer.example#a",
            "https://ana@issuer.example",
            "https://issuer example",
            &long,
        ] {
            let refused = issuer(&config(), bad, None).unwrap_err();
            assert!(matches!(refused, CallError::Invalid { rule: "issuer_url", .. }), "{bad}: {refused}");
        }
        let bundle = issuer(&config(), "https://issuer.example", Some("no PEM")).unwrap_err();
        assert!(matches!(bundle, CallError::Invalid { rule: "ca_bundle", .. }), "{bundle}");
    }

    #[test]
    fn the_name_that_every_cluster_gives_itself_is_no_issuer_whom_a_role_may_trust() {
        let named = ["kubernetes.default.svc".to_owned(), "kubernetes".to_owned()];
        let config = OidcConfig { private_hosts: named.to_vec(), ..OidcConfig::default() };
        for bad in [
            "https://kubernetes.default.svc",
            "https://kubernetes.default.svc/",
            "https://kubernetes.default.svc:443",
            "https://kubernetes.default.svc.cluster.local",
            "https://kubernetes.default",
            "https://kubernetes.default.",
            "https://kubernetes",
            "https://KUBERNETES.default.svc/a",
        ] {
            let refused = issuer(&config, bad, None).unwrap_err();
            assert!(matches!(refused, CallError::Invalid { rule: "issuer_url", .. }), "{bad}: {refused}");
            let text = refused.to_string();
            assert!(text.contains("every cluster gives itself"), "{text}");
            assert!(text.contains("--service-account-issuer of its own"), "{text}");
        }
        assert_eq!(issuer(&config, "https://kubernetes.default.example", None), Ok(()));
    }

    #[test]
    fn a_thumbprint_is_forty_hex_digits_and_there_are_five_at_most() {
        let good = "0F".repeat(20);
        assert_eq!(judge_thumbprints(&vec![good.clone(); 5]), Ok(()));
        assert!(judge_thumbprints(&vec![good.clone(); 6]).is_err());
        for bad in ["", &good[1..], &format!("{good}0"), &format!("{}:", &good[1..])] {
            assert!(judge_thumbprints(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_client_id_is_short_and_printable() {
        for good in ["sts.amazonaws.com", &"a".repeat(255), "https://github.com/octo-org"] {
            assert_eq!(client_id(good), Ok(()), "{good}");
        }
        for bad in ["", &"a".repeat(256), "a\nb"] {
            assert!(client_id(bad).is_err(), "{bad:?}");
        }
        assert_eq!(each_once(vec!["b".to_owned(), "a".to_owned(), "b".to_owned()]), ["b", "a"]);
    }
}
