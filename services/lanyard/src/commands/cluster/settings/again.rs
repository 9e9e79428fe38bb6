//! `lanyard cluster add` of a cluster that is there: what its flags change of it.

use lanyard_api::mapping::{Cluster, UpdateCluster};

use super::CreateArgs;
use crate::failure::Failure;

/// What a cluster that is there becomes.
#[derive(Debug)]
pub(crate) struct Again {
    /// What is asked for and is not so.
    pub(crate) update: UpdateCluster,
    /// What that is, as the cluster's fields are named; nothing where all is as it is asked for.
    pub(crate) changed: Vec<&'static str>,
    /// What stands in a list beside what the flags name.
    pub(crate) kept: Vec<String>,
}

impl CreateArgs {
    /// What they change of a cluster that is there; `endpoint` and `authority` are the kubeconfig's, for where no flag gives them.
    ///
    /// A list takes what is given and loses nothing: a command that is run again, for new files or another credential, knows nothing of an
    /// account that somebody else has let in since.
    ///
    /// # Errors
    /// [`Failure::Usage`] names a flag that says what no cluster becomes, or a file that cannot be read.
    pub(crate) fn again(
        &self,
        known: &Cluster,
        region: Option<&str>,
        endpoint: Option<String>,
        authority: Option<String>,
    ) -> Result<Again, Failure> {
        self.stays_in_place(known, region)?;
        let settings = &self.settings;
        let endpoint = settings.endpoint.clone().or(endpoint);
        let authority = settings.certificate_authority()?.or(authority);
        let mut tags = known.tags.clone();
        tags.extend(settings.tags.iter().cloned());
        // An empty text takes away what was there.
        let update = UpdateCluster {
            endpoint: (endpoint != known.endpoint).then(|| endpoint.unwrap_or_default()),
            certificate_authority: (authority != known.certificate_authority)
                .then(|| authority.unwrap_or_default()),
            authentication_mode: settings
                .authentication_mode
                .filter(|mode| *mode != known.authentication_mode),
            authorizer_mode: settings.authorizer_mode.filter(|mode| *mode != known.authorizer_mode),
            trusted_accounts: grown(&known.trusted_accounts, &settings.trusted),
            audiences: grown(&known.audiences, &settings.audiences),
            token_cache_seconds: settings
                .token_cache_seconds
                .filter(|seconds| *seconds != known.token_cache_seconds),
            tags: (tags != known.tags).then_some(tags),
        };
        Ok(Again { changed: changed(&update), update, kept: self.kept(known) })
    }

    /// Neither its account nor its region changes, and a cluster that is called the same elsewhere has another id.
    fn stays_in_place(&self, known: &Cluster, region: Option<&str>) -> Result<(), Failure> {
        let places = [
            ("--account", self.account.map(|account| account.to_string()), known.account.to_string()),
            ("--region", region.map(str::to_owned), known.region.clone()),
        ];
        for (flag, asked, own) in places {
            if let Some(asked) = asked.filter(|asked| *asked != own) {
                return Err(Failure::usage(format!(
                    "{flag} is `{asked}`, and cluster `{}`, which is there already, is of `{own}` and stays there: leave {flag} out \
                     to go on with it, or add --id with another id to register another cluster",
                    known.id
                )));
            }
        }
        Ok(())
    }

    fn kept(&self, known: &Cluster) -> Vec<String> {
        let settings = &self.settings;
        // Its own account is always among them.
        let trusted = beside(&known.trusted_accounts, &settings.trusted)
            .filter(|pair| pair.account != known.account)
            .map(|pair| format!("trusted account {}/{}", pair.authority, pair.account));
        let audiences =
            beside(&known.audiences, &settings.audiences).map(|audience| format!("audience {audience}"));
        let is_named = |key: &str| settings.tags.iter().any(|(named, _)| named == key);
        let tags = known
            .tags
            .keys()
            .filter(|key| !settings.tags.is_empty() && !is_named(key))
            .map(|key| format!("tag {key}"));
        trusted.chain(audiences).chain(tags).collect()
    }
}

/// What is there with what is named, where that is more.
fn grown<T: Clone + PartialEq>(known: &[T], named: &[T]) -> Option<Vec<T>> {
    let mut all = known.to_vec();
    for one in named {
        if !all.contains(one) {
            all.push(one.clone());
        }
    }
    (all.len() > known.len()).then_some(all)
}

/// What is there and is not named, where anything is.
fn beside<'a, T: PartialEq>(known: &'a [T], named: &'a [T]) -> impl Iterator<Item = &'a T> {
    known.iter().filter(move |one| !named.is_empty() && !named.contains(one))
}

fn changed(update: &UpdateCluster) -> Vec<&'static str> {
    let UpdateCluster {
        authentication_mode,
        authorizer_mode,
        trusted_accounts,
        audiences,
        token_cache_seconds,
        endpoint,
        certificate_authority,
        tags,
    } = update;
    let settings = [
        ("endpoint", endpoint.is_some()),
        ("certificate_authority", certificate_authority.is_some()),
        ("authentication_mode", authentication_mode.is_some()),
        ("authorizer_mode", authorizer_mode.is_some()),
        ("trusted_accounts", trusted_accounts.is_some()),
        ("audiences", audiences.is_some()),
        ("token_cache_seconds", token_cache_seconds.is_some()),
        ("tags", tags.is_some()),
    ];
    settings.into_iter().filter_map(|(name, is_changed)| is_changed.then_some(name)).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use lanyard_api::{TrustedAccount, mapping::AuthenticationMode};
    use serde_json::json;

    use super::*;
    use crate::commands::cluster::settings::trusted;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        create: CreateArgs,
    }

    const INTERNAL: &str = "https://10.0.0.1:6443";
    const PUBLIC: &str = "https://api.public.example";

    fn pairs(texts: &[&str]) -> Vec<TrustedAccount> {
        texts.iter().map(|text| trusted(text).unwrap()).collect()
    }

    /// As an add by the kubeconfig alone has made it.
    fn cluster() -> Cluster {
        let cluster = serde_json::from_value(json!({
            "uid": "00000000-0000-4000-8000-000000000001", "id": "dev", "name": "dev", "partition": "aws",
            "account": "111122223333", "region": "us-east-1", "endpoint": INTERNAL, "certificate_authority": "INTERNAL",
            "authentication_mode": "API_AND_CONFIG_MAP", "authorizer_mode": "webhook-first", "trusted_accounts": [],
            "audiences": ["https://kubernetes.default.svc"], "token_cache_seconds": 10, "created_by": "test",
            "tags": { "team": "a" }, "created_at": "2026-11-24T12:00:00Z",
        }));
        Cluster { trusted_accounts: pairs(&["local/111122223333"]), ..cluster.unwrap() }
    }

    fn again(known: &Cluster, region: Option<&str>, flags: &[&str]) -> Result<Again, Failure> {
        let line = ["add", "dev"];
        let create = Line::try_parse_from(line.iter().chain(flags)).unwrap().create;
        create.again(known, region, Some(INTERNAL.to_owned()), Some("INTERNAL".to_owned()))
    }

    /// The cluster as the hub has it after the change.
    fn after(known: &Cluster, again: Again) -> Cluster {
        let Again { update, .. } = again;
        let known = known.clone();
        let text = |asked: Option<String>, before| asked.map_or(before, Some);
        Cluster {
            endpoint: text(update.endpoint, known.endpoint),
            certificate_authority: text(update.certificate_authority, known.certificate_authority),
            authentication_mode: update.authentication_mode.unwrap_or(known.authentication_mode),
            authorizer_mode: update.authorizer_mode.unwrap_or(known.authorizer_mode),
            trusted_accounts: update.trusted_accounts.unwrap_or(known.trusted_accounts),
            audiences: update.audiences.unwrap_or(known.audiences),
            token_cache_seconds: update.token_cache_seconds.unwrap_or(known.token_cache_seconds),
            tags: update.tags.unwrap_or(known.tags),
            ..known
        }
    }

    #[test]
    fn each_flag_that_is_given_counts_and_the_same_command_again_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("public.pem");
        std::fs::write(&file, "PUBLIC").unwrap();
        let file = file.to_str().unwrap();
        let cases: [(&[&str], &[&str]); 9] = [
            (&[], &[]),
            (&["--endpoint", PUBLIC], &["endpoint"]),
            (&["--certificate-authority", file], &["certificate_authority"]),
            (&["--authentication-mode", "API"], &["authentication_mode"]),
            (&["--authorizer-mode", "full"], &["authorizer_mode"]),
            (&["--trust", "aws/444455556666", "--trust", "aws/444455556666"], &["trusted_accounts"]),
            (&["--audience", "dev"], &["audiences"]),
            (&["--token-cache-seconds", "0"], &["token_cache_seconds"]),
            (
                &["--endpoint", PUBLIC, "--certificate-authority", file, "--tag", "a=b", "--tag", "team=b"],
                &["endpoint", "certificate_authority", "tags"],
            ),
        ];
        for (flags, changed) in cases {
            let before = cluster();
            let first = again(&before, Some("us-east-1"), flags).unwrap();
            assert_eq!(first.changed, changed, "{flags:?}");
            let after = after(&before, first);
            assert_eq!(after == before, changed.is_empty(), "{flags:?}");
            let second = again(&after, None, flags).unwrap();
            assert_eq!(second.changed, [""; 0], "{flags:?}");
        }
    }

    #[test]
    fn what_no_flag_gives_is_the_kubeconfigs_or_stays() {
        let known = Cluster {
            endpoint: Some(PUBLIC.to_owned()),
            authentication_mode: AuthenticationMode::Api,
            ..cluster()
        };
        let moved = again(&known, None, &[]).unwrap();
        assert_eq!(moved.changed, ["endpoint"]);
        assert_eq!(moved.update.endpoint.as_deref(), Some(INTERNAL));
        // A kubeconfig without a CA trusts the machine's authorities; the CA of before is not that of this API server.
        let create = Line::try_parse_from(["add", "dev"]).unwrap().create;
        let without = create.again(&cluster(), None, Some(INTERNAL.to_owned()), None).unwrap();
        assert_eq!(without.update.certificate_authority.as_deref(), Some(""));
    }

    #[test]
    fn lists_lose_nothing_and_what_no_flag_names_is_told() {
        let known =
            Cluster { trusted_accounts: pairs(&["local/111122223333", "aws/222233334444"]), ..cluster() };
        let flags = ["--trust", "aws/444455556666", "--audience", "dev", "--tag", "a=b"];
        let grown = again(&known, None, &flags).unwrap();
        assert_eq!(
            grown.kept,
            ["trusted account aws/222233334444", "audience https://kubernetes.default.svc", "tag team"]
        );
        let all = pairs(&["local/111122223333", "aws/222233334444", "aws/444455556666"]);
        assert_eq!(grown.update.trusted_accounts, Some(all));
        assert_eq!(again(&known, None, &[]).unwrap().kept, [""; 0]);
    }

    #[test]
    fn a_cluster_does_not_move_to_another_account_or_region() {
        let known = cluster();
        assert!(again(&known, Some("us-east-1"), &["--account", "111122223333"]).is_ok());
        let moves: [(Option<&str>, &[&str], [&str; 2]); 2] = [
            (Some("eu-west-1"), &[], ["--region is `eu-west-1`", "`us-east-1`"]),
            (None, &["--account", "222233334444"], ["--account is `222233334444`", "`111122223333`"]),
        ];
        for (region, flags, named) in moves {
            let refused = again(&known, region, flags).unwrap_err().to_string();
            assert!(named.iter().all(|part| refused.contains(*part)), "{refused}");
            assert!(refused.contains("add --id with another id"), "{refused}");
        }
    }
}
