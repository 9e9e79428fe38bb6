//! Somebody at the door, as resolution sees them.

use lanyard_api::{Authority, AwsIdentity, Kin};
use lanyard_iam::{AccessKeyId, AccountId, CanonicalArn, Partition, PrincipalArn};

/// An identity of AWS kind, proven or supposed, borrowed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Knock<'a> {
    pub(crate) authority: &'a Authority,
    pub(crate) partition: Partition,
    pub(crate) account: AccountId,
    /// Not known of an ARN that nobody proved.
    pub(crate) principal_id: Option<&'a str>,
    pub(crate) canonical: &'a CanonicalArn,
    /// Chosen by the caller.
    pub(crate) session_name: Option<&'a str>,
    /// Not known of an ARN that nobody proved.
    pub(crate) access_key_id: Option<&'a AccessKeyId>,
    /// `key/<id>`, `certificate/<SHA-256>`, `user/<id>`, `role/<id>`, and behind a session's role `certificate/:<name>`.
    pub(crate) ancestors: &'a [String],
    /// The users and roles among these.
    pub(crate) kin: &'a [Kin],
}

impl<'a> Knock<'a> {
    pub(crate) fn of(identity: &'a AwsIdentity) -> Self {
        Self {
            authority: &identity.authority,
            partition: identity.partition,
            account: identity.account,
            principal_id: Some(&identity.principal_id),
            canonical: &identity.canonical_arn,
            session_name: identity.session_name.as_deref(),
            access_key_id: Some(&identity.access_key_id),
            ancestors: &identity.ancestors,
            kin: &identity.kin,
        }
    }

    /// Of an ARN that nobody proved; `canonical` is what it is known as.
    pub(crate) fn supposed(
        authority: &'a Authority,
        arn: &'a PrincipalArn,
        canonical: &'a CanonicalArn,
        principal_id: Option<&'a str>,
    ) -> Self {
        Self {
            authority,
            partition: arn.partition,
            account: arn.account,
            principal_id,
            canonical,
            session_name: arn.session_name(),
            access_key_id: None,
            ancestors: &[],
            kin: &[],
        }
    }

    /// Whether this key signed, or is what the session descends from.
    pub(crate) fn comes_of_key(&self, key: &AccessKeyId) -> bool {
        self.access_key_id == Some(key)
            || self.ancestors.iter().any(|ancestor| ancestor.strip_prefix("key/") == Some(key.as_str()))
    }
}
