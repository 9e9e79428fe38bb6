//! Clusters and what hangs on them.

use std::sync::Arc;

use lanyard_proto::{call::v1 as call, mapping::v1 as pb};
use secrecy::SecretString;

use crate::{
    fault::CallError,
    grpc::{
        codec::{convert, items, message, optional_choice, optional_text, secret},
        field::{self, wire_enum},
        mutation::{join, mutated, pages, split},
    },
    identity::TrustedAccount,
    ids::Revision,
    mapping::{
        AuthenticationMode, AuthorizerMode, AwsAuthEffect, AwsAuthFinding, AwsAuthStatus, AwsAuthVersion,
        BreakGlass, Cluster, ClusterDirectory, CreateCluster, DirectoryEntry, Node, SpokeCredential,
        SpokeCredentialKind, UpdateCluster,
    },
    mutation::Mutated,
};

wire_enum! { AuthenticationMode = pb::AuthenticationMode { ConfigMap, ApiAndConfigMap, Api } }
wire_enum! { SpokeCredentialKind = pb::SpokeCredentialKind { Token, Certificate } }
wire_enum! { AuthorizerMode = pb::AuthorizerMode { WebhookFirst, Full } }
wire_enum! { AwsAuthEffect = pb::aws_auth_finding::Effect { Fatal, LeftOut, Kept } }
wire_enum! { AwsAuthStatus = pb::aws_auth_version::Status { Accepted, Rejected } }

convert! { TrustedAccount = pb::TrustedAccount { authority: text, account: text } }

convert! { Cluster = pb::Cluster {
    uid: text, id: text, name: plain, partition: text, account: text, region: plain, endpoint: plain,
    certificate_authority: plain, authentication_mode: choice, authorizer_mode: choice, trusted_accounts: items,
    audiences: plain, token_cache_seconds: plain, created_by: plain, tags: plain, created_at: moment,
} }

impl From<AwsAuthFinding> for pb::AwsAuthFinding {
    fn from(finding: AwsAuthFinding) -> Self {
        let fatal = finding.is_fatal();
        let AwsAuthFinding { effect, line, column, path, message } = finding;
        Self { fatal, line, column, path, message, effect: optional_choice::write(Some(effect)) }
    }
}

impl TryFrom<pb::AwsAuthFinding> for AwsAuthFinding {
    type Error = CallError;

    fn try_from(message: pb::AwsAuthFinding) -> Result<Self, CallError> {
        let pb::AwsAuthFinding { fatal, line, column, path, message, effect } = message;
        let effect = optional_choice::read("effect", effect)?.unwrap_or(AwsAuthEffect::of(fatal));
        Ok(Self { effect, line, column, path, message })
    }
}

convert! { AwsAuthVersion = pb::AwsAuthVersion {
    version: plain, content: plain, status: choice, findings: items, pushed_by: plain, pushed_at: moment;
    cluster = cluster_uid: text,
} }
convert! { Node = pb::Node {
    instance_id: plain, private_dns_name: plain, role_arn: plain, access_key_id: optional_text;
    cluster = cluster_uid: text,
} }
convert! { SpokeCredential = pb::SpokeCredential {
    id: plain, token_sha256: plain, created_at: moment, kind: choice; cluster = cluster_uid: text,
} }
convert! { BreakGlass = pb::BreakGlass {
    token_sha256: plain, armed_by: plain, armed_at: moment, ends_at: moment, used_at: optional_moment;
    cluster = cluster_uid: text,
} }

mutated! {
    Cluster = pb::ClusterMutated { cluster: message }
    AwsAuthVersion = pb::AwsAuthMutated { version: message }
    Node = pb::NodeMutated { node: message }
    SpokeCredential = pb::SpokeCredentialMutated { credential: message }
    SpokeCredential = pb::SpokeCertificateRegistered { credential: message }
    BreakGlass = pb::BreakGlassMutated { break_glass: message }
}

pages! { Cluster = pb::ClusterPage, Node = pb::NodePage }

impl From<CreateCluster> for pb::CreateClusterRequest {
    fn from(asked: CreateCluster) -> Self {
        Self {
            mutation: None,
            account: optional_text::write(asked.account),
            name: asked.name,
            id: asked.id,
            region: asked.region,
            endpoint: asked.endpoint,
            certificate_authority: asked.certificate_authority,
            authentication_mode: optional_choice::write(asked.authentication_mode),
            authorizer_mode: optional_choice::write(asked.authorizer_mode),
            trusted_accounts: items::write(asked.trusted_accounts),
            audiences: asked.audiences,
            token_cache_seconds: asked.token_cache_seconds,
            bootstrap_creator_admin: Some(asked.bootstrap_creator_admin),
            tags: asked.tags,
        }
    }
}

impl TryFrom<pb::CreateClusterRequest> for CreateCluster {
    type Error = CallError;

    fn try_from(message: pb::CreateClusterRequest) -> Result<Self, CallError> {
        Ok(Self {
            account: optional_text::read("account", message.account)?,
            name: message.name,
            id: message.id,
            region: message.region,
            endpoint: message.endpoint,
            certificate_authority: message.certificate_authority,
            authentication_mode: optional_choice::read("authentication_mode", message.authentication_mode)?,
            authorizer_mode: optional_choice::read("authorizer_mode", message.authorizer_mode)?,
            trusted_accounts: field::each_in("trusted_accounts", message.trusted_accounts)?,
            audiences: message.audiences,
            token_cache_seconds: message.token_cache_seconds,
            bootstrap_creator_admin: message.bootstrap_creator_admin.unwrap_or(true),
            tags: message.tags,
        })
    }
}

impl From<UpdateCluster> for pb::UpdateClusterConfigRequest {
    /// Without the cluster, which stands beside the change in the domain.
    fn from(change: UpdateCluster) -> Self {
        Self {
            mutation: None,
            cluster: String::new(),
            authentication_mode: optional_choice::write(change.authentication_mode),
            authorizer_mode: optional_choice::write(change.authorizer_mode),
            trusted_accounts: change
                .trusted_accounts
                .map(|accounts| pb::TrustedAccounts { accounts: field::all(accounts) }),
            audiences: change.audiences.map(|values| call::Strings { values }),
            token_cache_seconds: change.token_cache_seconds,
            endpoint: change.endpoint,
            certificate_authority: change.certificate_authority,
            tags: change.tags.map(|tags| call::Tags { tags }),
            update_mask: None,
        }
    }
}

impl TryFrom<pb::UpdateClusterConfigRequest> for UpdateCluster {
    type Error = CallError;

    fn try_from(message: pb::UpdateClusterConfigRequest) -> Result<Self, CallError> {
        let trusted_accounts = message
            .trusted_accounts
            .map(|all| field::each_in("trusted_accounts.accounts", all.accounts))
            .transpose()?;
        Ok(Self {
            authentication_mode: optional_choice::read("authentication_mode", message.authentication_mode)?,
            authorizer_mode: optional_choice::read("authorizer_mode", message.authorizer_mode)?,
            trusted_accounts,
            audiences: message.audiences.map(|audiences| audiences.values),
            token_cache_seconds: message.token_cache_seconds,
            endpoint: message.endpoint,
            certificate_authority: message.certificate_authority,
            tags: message.tags.map(|tags| tags.tags),
        })
    }
}

/// Answers with a secret beside the value.
macro_rules! shown_once {
    ($($domain:ty = $wire:ty { $field:ident })+) => {$(
        impl From<Mutated<($domain, SecretString)>> for $wire {
            fn from(answer: Mutated<($domain, SecretString)>) -> Self {
                let ((value, token), mutated) = split(answer);
                Self { $field: message::write(value), token: secret::write(token), mutated }
            }
        }

        impl TryFrom<$wire> for Mutated<($domain, SecretString)> {
            type Error = CallError;

            fn try_from(answer: $wire) -> Result<Self, CallError> {
                let value = message::read(stringify!($field), answer.$field)?;
                join((value, answer.token.into()), answer.mutated)
            }
        }
    )+};
}

shown_once! {
    SpokeCredential = pb::SpokeCredentialCreated { credential }
    BreakGlass = pb::BreakGlassArmed { break_glass }
}

impl From<&ClusterDirectory> for pb::ClusterDirectory {
    fn from(directory: &ClusterDirectory) -> Self {
        let entry = |entry: &DirectoryEntry| pb::cluster_directory::Entry {
            cluster: Some(Cluster::clone(&entry.cluster).into()),
            credentials: field::all(entry.credentials.clone()),
            kubeconfig_version: entry.kubeconfig_version,
        };
        let clusters = directory.clusters.iter().map(entry).collect();
        Self { revision: directory.revision.0, clusters, is_unchanged: false }
    }
}

impl TryFrom<pb::ClusterDirectory> for ClusterDirectory {
    type Error = CallError;

    fn try_from(message: pb::ClusterDirectory) -> Result<Self, CallError> {
        let entry = |entry: pb::cluster_directory::Entry| -> Result<DirectoryEntry, CallError> {
            let cluster = Arc::new(message::read("cluster", entry.cluster)?);
            let (credentials, kubeconfig_version) =
                (field::each(entry.credentials)?, entry.kubeconfig_version);
            Ok(DirectoryEntry { cluster, credentials, kubeconfig_version })
        };
        let clusters = message.clusters.into_iter().map(entry).collect::<Result<_, _>>()?;
        Ok(Self { revision: Revision(message.revision), clusters })
    }
}
