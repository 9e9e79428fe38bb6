//! The next step after a no, by its reason code.

use lanyard_api::{
    ClusterId,
    mapping::{AuthenticationMode, Cluster},
};

/// What to do about a block, which is listed where it holds alone.
pub(super) fn of_block(cluster: &ClusterId) -> String {
    format!(
        "a block holds: `lanyard block list --cluster {cluster}` names who put it up and why; where it is not there, it is one of \
         the account (`--in-account`) or of the whole hub (neither flag)"
    )
}

/// What to do about a cluster token that authn refuses.
pub(super) fn of_token(code: &str, cluster: &ClusterId) -> String {
    let step = match code {
        "blocked" => return of_block(cluster),
        "token_from_future" | "session_from_future" => {
            "let the clocks of whoever made the token and of the hub agree (NTP), then make a fresh token"
        }
        "account_not_trusted" | "authority_not_trusted" => return of_trust(cluster),
        "account_of_other_authority" => {
            "make the token with credentials of the authority that the account is registered with: `lanyard iam account list` has it"
        }
        "account_not_registered" => {
            "let a hub operator register the account, with `lanyard iam account create`, and the cluster trust it"
        }
        "unknown_key" | "inactive_key" | "invalid_key" => {
            "make the token with an access key that is there and active: `lanyard iam access-key list` has those of a user"
        }
        "session_expired"
        | "session_revoked"
        | "session_role_gone"
        | "session_ancestor_gone"
        | "session_account_gone"
        | "session_policies_gone"
        | "session_key_unknown"
        | "sts_expired" => {
            "begin a new session, if whom it descends from may still have one, and make a fresh token with its credentials"
        }
        "session_token_missing" | "session_token_unexpected" | "session_of_other_key" => {
            "make the token with the three parts of one session's credentials: key, secret and session token belong together"
        }
        "exchanged_session" => {
            "make the token with AWS's own credentials, those that were exchanged for the session"
        }
        "region_disabled" => "make the token for the STS of another region (`--region`)",
        "cluster_id_not_signed" => {
            return format!(
                "make the token by a client that signs the cluster's id, such as `lanyard token --cluster-name {cluster}`"
            );
        }
        // What is left is about what was signed, and by whom.
        _ => {
            return format!(
                "make a fresh token with `lanyard token --cluster-name {cluster}` and the right credentials"
            );
        }
    };
    step.to_owned()
}

/// What to do about somebody by name, no token of whom would be let in.
pub(super) fn of_name(code: &str, cluster: &ClusterId) -> String {
    match code {
        "account_not_trusted" => of_trust(cluster),
        _ => "name the principal with the ARN that it has in the cluster's partition".to_owned(),
    }
}

/// What to do about a principal of an account whom mapping makes nobody: of entries and aws-auth, what the cluster's mode reads.
pub(super) fn of_principal(code: &str, cluster: &Cluster) -> String {
    let (cluster, mode) = (&cluster.id, cluster.authentication_mode);
    match code {
        // By now the cluster trusts it as a rule, for who is not trusted comes no further than their token: then it is the hub that does
        // not know the account, or knows it under another authority.
        "untrusted_account" => format!(
            "if `lanyard iam account list` does not have the account under the authority that vouches for it, let a hub operator register \
             it so, with `lanyard iam account create`; else {}",
            of_trust(cluster)
        ),
        "stale_entry" => format!(
            "`lanyard entry update {cluster} ARN --rebind` binds the entry to whoever bears its ARN now, `lanyard entry delete` \
             takes it away"
        ),
        "entry_ended" => format!(
            "give the entry a later end: `lanyard entry update {cluster} ARN --ends-at WHEN`, or `--endless`; `--pin-until` where \
             nobody logged in while it could be pinned"
        ),
        "unpinned_entry" => {
            "let its principal log in once: the entry is bound to whoever does so first".to_owned()
        }
        "template_refused" | "reserved_username" => {
            let whose = match mode {
                AuthenticationMode::ConfigMap => "the line of aws-auth a username that fits".to_owned(),
                AuthenticationMode::ApiAndConfigMap => format!(
                    "the entry a username that fits (`lanyard entry update {cluster} ARN --username`), or the line of aws-auth"
                ),
                AuthenticationMode::Api => {
                    format!(
                        "the entry a username that fits (`lanyard entry update {cluster} ARN --username`)"
                    )
                }
            };
            format!("give {whose}; a role alone has no session name: ask about `assumed-role/ROLE/SESSION`")
        }
        "unknown_node" => format!(
            "`lanyard node set {cluster}` says which node a session is, and whose sessions may be it: `lanyard node list {cluster}` \
             has those that are bound"
        ),
        "session_kin" => "begin the session anew, with fewer roles in between".to_owned(),
        _ => format!("nothing in cluster `{cluster}` maps this principal: {}", what_maps(cluster, mode)),
    }
}

/// How somebody gets what counts in the cluster's mode.
fn what_maps(cluster: &ClusterId, mode: AuthenticationMode) -> String {
    let line = format!(
        "in the cluster's own ConfigMap, or with `lanyard aws-auth push {cluster} FILE` where nobody watches it"
    );
    match mode {
        AuthenticationMode::ConfigMap => {
            format!("give it a line in aws-auth, which alone counts in mode CONFIG_MAP: {line}")
        }
        AuthenticationMode::ApiAndConfigMap => format!(
            "make an access entry with `lanyard entry create {cluster} ARN`, or give it a line in aws-auth, {line}"
        ),
        AuthenticationMode::Api => format!(
            "make an access entry with `lanyard entry create {cluster} ARN`: mode API does not read aws-auth"
        ),
    }
}

/// What lets principals of an account in at all.
fn of_trust(cluster: &ClusterId) -> String {
    format!(
        "let the cluster trust the account, with `lanyard cluster update {cluster} --trust AUTHORITY/ACCOUNT` for it and for each \
         other that it is to trust: `lanyard iam account list` has the authority of each"
    )
}

/// What to do about a token of an issuer that authn refuses, or of whose claims mapping makes nobody: `code` says why.
pub(super) fn of_oidc(code: &str, cluster: &ClusterId) -> String {
    let step = match code {
        "token_expired" => "log in at the issuer again: the token's time is over",
        "token_not_yet_valid" | "token_from_future" => {
            "let the clocks of the issuer and of the hub agree (NTP), then log in at the issuer again"
        }
        "audience" | "too_many_audiences" | "authorized_party" => {
            return format!(
                "log in with the client id that the cluster's configuration has, which `lanyard identity-provider list \
                 {cluster}` shows, or associate a configuration with the token's"
            );
        }
        "jwt_signature" => {
            "log in at the issuer again, and hand over the token whole and as it came: it was changed, or somebody else \
             signed it"
        }
        "unknown_key" => {
            "log in at the issuer again; if that changes nothing, let the issuer publish the key that it signs with"
        }
        "unusable_key" | "key_algorithm" | "no_key_for_algorithm" | "ambiguous_key" | "jwt_key_id" => {
            "let the issuer publish the key that it signs with for the algorithm that the token names, and name it by `kid`"
        }
        "jwt_unsigned"
        | "jwt_symmetric"
        | "jwt_algorithm_missing"
        | "jwt_algorithm_unknown"
        | "jwt_algorithm_not_allowed" => {
            "let the issuer sign its ID tokens with a key pair, such as by RS256 or ES256: what anybody could have signed \
             proves nothing"
        }
        "email_not_verified" => {
            "have the address verified at the issuer, or take the username from another claim (`--username-claim`)"
        }
        "email_verified_missing" => {
            "take the username from another claim (`--username-claim`), or allow addresses of which the issuer says nothing \
             (`--email-verified-may-be-absent`)"
        }
        "required_claim" => {
            return format!(
                "the cluster is open to those alone who have the claims that `lanyard identity-provider list {cluster}` shows \
                 as required: let the issuer send them, or associate a configuration without (`--required-claim`)"
            );
        }
        "reserved_username" | "template_refused" => {
            "associate a configuration with a prefix of its own for usernames (`--username-prefix`), or let the issuer send \
             another name"
        }
        "reserved_group" => {
            "associate a configuration with a prefix of its own for groups (`--groups-prefix`), or let the issuer leave the \
             group out"
        }
        "claim_distributed" => {
            return format!(
                "let the issuer send fewer groups, as those alone that are assigned to the application, or associate a configuration \
                 with another claim (`--groups-claim`); `lanyard identity-provider list {cluster}` shows which one it is now"
            );
        }
        "claim_missing" | "claim_type" | "claim_too_long" | "claim_invalid" | "claim_date" | "subject" => {
            return format!(
                "`lanyard identity-provider list {cluster}` says what claims become: let the issuer send others, or associate \
                 a configuration that fits"
            );
        }
        "provider_gone" => {
            "associate the configuration again, or log in at an issuer that the cluster takes tokens of"
        }
        "blocked" => return of_block(cluster),
        // What is left is about a token's form.
        _ => {
            "hand over the issuer's ID token, whole and as it came: `lanyard token inspect` shows what is in one"
        }
    };
    step.to_owned()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    #[test]
    fn a_cluster_token_has_the_step_that_mends_it() {
        let cluster = "dev".parse::<ClusterId>().unwrap();
        for (code, part) in [
            ("blocked", "lanyard block list --cluster dev"),
            ("token_from_future", "clocks"),
            ("account_not_trusted", "cluster update dev --trust"),
            ("account_of_other_authority", "the authority that the account is registered with"),
            ("account_not_registered", "iam account create"),
            ("inactive_key", "iam access-key list"),
            ("session_revoked", "begin a new session"),
            ("session_token_missing", "belong together"),
            ("exchanged_session", "AWS's own credentials"),
            ("region_disabled", "--region"),
            ("cluster_id_not_signed", "signs the cluster's id"),
            ("token_expired", "fresh token with `lanyard token --cluster-name dev`"),
            ("signature_or_cluster", "the right credentials"),
        ] {
            let step = of_token(code, &cluster);
            assert!(step.contains(part), "{code}: {step}");
        }
    }

    /// A cluster that trusts nobody.
    pub(in crate::explain) fn cluster(mode: AuthenticationMode) -> Cluster {
        Cluster {
            uid: lanyard_api::ClusterUid(uuid::Uuid::nil()),
            id: "dev".parse().unwrap(),
            name: String::from("dev"),
            partition: lanyard_iam::Partition::Aws,
            account: "111122223333".parse().unwrap(),
            region: String::from("us-west-2"),
            endpoint: None,
            certificate_authority: None,
            authentication_mode: mode,
            authorizer_mode: lanyard_api::mapping::AuthorizerMode::WebhookFirst,
            trusted_accounts: Vec::new(),
            audiences: Vec::new(),
            token_cache_seconds: 10,
            created_by: String::new(),
            tags: std::collections::BTreeMap::new(),
            created_at: time::OffsetDateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn whom_the_cluster_does_not_trust_is_told_of_trust_and_not_of_tokens() {
        let cluster = "dev".parse::<ClusterId>().unwrap();
        assert!(of_name("account_not_trusted", &cluster).contains("cluster update dev --trust"));
        assert!(of_name("partition", &cluster).contains("the cluster's partition"));
    }

    #[test]
    fn only_who_is_not_mapped_is_told_to_make_an_entry() {
        let cluster = cluster(AuthenticationMode::ApiAndConfigMap);
        for (code, part) in [
            ("untrusted_account", "cluster update dev --trust"),
            ("stale_entry", "entry update dev ARN --rebind"),
            ("entry_ended", "--ends-at"),
            ("unpinned_entry", "log in once"),
            ("template_refused", "--username"),
            ("reserved_username", "--username"),
            ("unknown_node", "lanyard node set dev"),
            ("session_kin", "fewer roles"),
        ] {
            let step = of_principal(code, &cluster);
            assert!(step.contains(part) && !step.contains("entry create"), "{code}: {step}");
        }
        assert!(of_principal("unmapped", &cluster).contains("entry create"));
        assert!(of_principal("untrusted_account", &cluster).contains("iam account create"));
    }

    #[test]
    fn what_does_not_count_in_the_clusters_mode_is_advised_to_nobody() {
        use AuthenticationMode::{Api, ApiAndConfigMap, ConfigMap};
        for (mode, entry, line) in
            [(ConfigMap, false, true), (ApiAndConfigMap, true, true), (Api, true, false)]
        {
            let cluster = cluster(mode);
            let step = of_principal("unmapped", &cluster);
            let told = (step.contains("entry create dev"), step.contains("aws-auth push dev"));
            assert_eq!(told, (entry, line), "{step}");
            for code in ["template_refused", "reserved_username"] {
                let step = of_principal(code, &cluster);
                let told = (step.contains("entry update dev"), step.contains("aws-auth"));
                assert_eq!(told, (entry, line), "{code}: {step}");
            }
        }
    }

    #[test]
    fn each_way_to_fail_has_the_step_that_mends_it() {
        let cluster = "dev".parse::<ClusterId>().unwrap();
        let cases = [
            ("token_expired", "log in at the issuer again"),
            ("token_not_yet_valid", "clocks"),
            ("token_from_future", "clocks"),
            ("audience", "client id"),
            ("authorized_party", "client id"),
            ("jwt_signature", "whole and as it came"),
            ("unknown_key", "publish the key"),
            ("key_algorithm", "`kid`"),
            ("jwt_unsigned", "key pair"),
            ("jwt_symmetric", "key pair"),
            ("email_not_verified", "verified at the issuer"),
            ("email_verified_missing", "--email-verified-may-be-absent"),
            ("required_claim", "--required-claim"),
            ("reserved_username", "--username-prefix"),
            ("reserved_group", "--groups-prefix"),
            ("claim_missing", "identity-provider list dev"),
            ("claim_type", "identity-provider list dev"),
            ("claim_distributed", "assigned to the application"),
            ("subject", "identity-provider list dev"),
            ("blocked", "lanyard block list"),
            ("jwt_duplicate_member", "lanyard token inspect"),
        ];
        for (code, part) in cases {
            let step = of_oidc(code, &cluster);
            assert!(step.contains(part), "{code}: {step}");
        }
    }
}
