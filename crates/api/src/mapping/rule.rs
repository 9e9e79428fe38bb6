//! The rules that a change of mappings can break, by codes that do not change.

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $code:literal $(, $text:literal)?;)*) => {
        /// The rules. Their codes are stable: doors with texts of their own choose by them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Rule {
            $($(#[$doc])* $name,)*
        }

        impl Rule {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its code, in snake case.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            /// The rule of a code.
            #[must_use]
            pub fn from_code(code: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|rule| rule.code() == code)
            }

            /// The text that EKS answers, where clients are known to match on it. Braces stand for what the request holds.
            #[must_use]
            pub const fn eks_text(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => rules!(@text $($text)?),)*
                }
            }
        }
    };
    (@text) => { None };
    (@text $text:literal) => { Some($text) };
}

rules! {
    /// An access entry is for an IAM user or role that exists, by its whole ARN; never for a session or a service-linked role.
    PrincipalInvalid = "invalid_principal", "The specified principalArn is invalid: invalid principal.";
    /// A cluster lets in the accounts that it trusts, and no others.
    UntrustedAccount = "untrusted_account";
    /// The unique id is not of a form that this principal's can have, or not the one it has.
    PrincipalId = "principal_id";
    /// Node types are for roles of the cluster's own account.
    NodePrincipal = "node_principal", "The specified principalArn is invalid: invalid principal.";
    /// Username, groups and policies are for entries of type STANDARD.
    NotStandard = "not_standard", "This operation can only be performed on Access Entries with a type of \"STANDARD\".";
    /// A username that is no name and no template.
    UsernameInvalid = "invalid_username";
    /// A username with a reserved beginning.
    UsernameReserved = "reserved_username";
    /// A session's name needs a `:` somewhere before it.
    UsernameSession = "session_name_without_prefix";
    /// A session's name is for roles: a user has none.
    UsernameUser = "session_name_of_a_user";
    /// A placeholder that is for nodes.
    UsernameNode = "node_placeholder";
    /// A group that is no name.
    GroupInvalid = "invalid_group";
    /// A group with a reserved beginning.
    GroupReserved = "reserved_group", "The kubernetes group name {group} is invalid, it cannot start with system:";
    /// Tags: 1 to 128 characters, values to 256, never `aws:`.
    Tags = "tags";
    /// An end lies in the future.
    End = "end_in_the_past";
    /// An id can be pinned where one principal is meant whom the hub does not know, before a moment to come.
    Pin = "pin";
    /// No two entries for several principals can mean the same one.
    Overlap = "overlapping_entries";
    /// An access policy that is not published.
    PolicyUnknown = "unknown_policy", "The specified policyArn could not be found.";
    /// An access policy that only service-linked roles may have.
    PolicyServiceLinked = "service_linked_policy",
        "The specified policyArn can only be associated with service-linked roles";
    /// A namespace, or a pattern of namespaces, that can match none.
    NamespaceInvalid = "invalid_namespace";
    /// A scope of namespaces names at least one.
    NamespacesMissing = "namespaces_missing";
    /// Entries count in two of the three modes.
    AuthenticationMode = "authentication_mode",
        "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation.";
    /// Modes go one way, step by step.
    ModeTransition = "mode_transition", "Unsupported authentication mode update from {from} to {to}";
    /// In mode CONFIG_MAP the creator's entry cannot be left out.
    BootstrapRequired = "bootstrap_required",
        "bootstrapClusterCreatorAdminPermissions must be true if cluster authentication mode is set to CONFIG_MAP";
    /// A cluster's name: 1 to 100 letters, digits, `-` and `_`.
    ClusterName = "cluster_name";
    /// A cluster's id follows the rule of names, and may have dots inside.
    ClusterIdInvalid = "cluster_id";
    /// A region's name, of the account's partition.
    Region = "region";
    /// An API server's URL.
    Endpoint = "endpoint";
    /// An API server's CA, as PEM.
    CertificateAuthority = "certificate_authority";
    /// Audiences are names without blanks.
    Audiences = "audiences";
    /// How long an API server may cache an answer.
    TokenCacheSeconds = "token_cache_seconds";
    /// An account is trusted under one authority.
    TrustedAccounts = "trusted_accounts";
    /// A node's instance id is the name of its session.
    NodeInstance = "node_instance";
    /// A node's name is a DNS name in lower case.
    NodeName = "node_name";
    /// A node is bound to the role whose sessions may be it.
    NodeRole = "node_role";
    /// A block says why it stands.
    BlockReason = "block_reason";
    /// A session is one of a role.
    BlockSession = "block_session";
    /// An OIDC issuer and a subject are as tokens write them.
    BlockIssuer = "block_issuer";
    /// A configuration's name: 1 to 100 letters, digits, `-` and `_`.
    ProviderName = "provider_name";
    /// An issuer's URL: https, without query, and one that can be asked.
    IssuerUrl = "issuer_url";
    /// The certificates of a CA bundle, as PEM.
    CaBundle = "ca_bundle";
    /// A client id is a name without blanks.
    ClientId = "client_id";
    /// An audience belongs to one cluster, or to the OIDC providers of accounts, unless all clusters that take it say that it is shared.
    AudienceTaken = "audience_taken";
    /// A claim's name.
    ClaimName = "claim_name";
    /// Required claims: 1 to 63 characters, values to 253.
    RequiredClaims = "required_claims";
    /// Prefixes hold nothing reserved, and none begins as another one of the cluster.
    ProviderPrefix = "provider_prefix";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_rule_has_a_code_of_its_own_in_snake_case() {
        let codes: HashSet<&str> = Rule::ALL.iter().map(|rule| rule.code()).collect();
        assert_eq!(codes.len(), Rule::ALL.len());
        for rule in Rule::ALL {
            assert!(rule.code().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{rule:?}");
            assert_eq!(Rule::from_code(rule.code()), Some(*rule));
        }
        assert_eq!(Rule::from_code("no_rule"), None);
    }
}
