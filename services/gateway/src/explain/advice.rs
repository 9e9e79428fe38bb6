//! The next step after a no, by its reason code, for people whom an OIDC issuer knows.

use lanyard_api::ClusterId;

/// What to do about a block.
pub(super) const BLOCKED: &str = "a block holds: `lanyard block list` names who put it up and why";

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
        "claim_missing" | "claim_type" | "claim_too_long" | "claim_invalid" | "claim_date" | "subject" => {
            return format!(
                "`lanyard identity-provider list {cluster}` says what claims become: let the issuer send others, or associate \
                 a configuration that fits"
            );
        }
        "provider_gone" => {
            "associate the configuration again, or log in at an issuer that the cluster takes tokens of"
        }
        "blocked" => BLOCKED,
        // What is left is about a token's form.
        _ => {
            "hand over the issuer's ID token, whole and as it came: `lanyard token inspect` shows what is in one"
        }
    };
    step.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

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
