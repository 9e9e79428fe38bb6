//! What is known of a token in this process: the answer, and what the token was taken apart into.

use std::sync::{Arc, Weak};

use lanyard_api::Authority;
use lanyard_iam::{AccessKeyId, TokenLife};
use time::OffsetDateTime;

use super::value::Value;
use crate::snapshot::ClusterView;
use crate::verifier::{Question, Verification};

/// A kept answer, and what was read of its token.
#[derive(Debug)]
pub(crate) struct Known {
    pub(super) value: Arc<Value>,
    pub(super) read: Read,
}

/// What was read of a token, by which rules.
#[derive(Debug)]
pub(super) struct Read {
    /// The cluster as it was; while it is that one, its rules are the same. Weak, so that nothing old is held.
    rules: Weak<ClusterView>,
    authority: Authority,
    access_key_id: AccessKeyId,
    life: TokenLife,
}

impl Read {
    pub(super) fn of(question: &Question<'_>) -> Self {
        Self {
            rules: Arc::downgrade(question.cluster),
            authority: question.authority.clone(),
            access_key_id: question.token.access_key_id().clone(),
            life: question.token.life(),
        }
    }

    /// Whether reading the token again would come to the same.
    pub(super) fn holds_at(&self, cluster: &Arc<ClusterView>, now: OffsetDateTime) -> bool {
        std::ptr::eq(self.rules.as_ptr(), Arc::as_ptr(cluster)) && self.life.judge(now).is_ok()
    }
}

/// A kept answer that counts.
#[derive(Debug)]
pub(crate) struct Recalled {
    pub(super) known: Arc<Known>,
    pub(crate) verification: Verification,
}

impl Recalled {
    /// Whose the token would be.
    pub(crate) fn authority(&self) -> &Authority {
        &self.known.read.authority
    }

    /// The key that claims to have signed.
    pub(crate) fn access_key_id(&self) -> &AccessKeyId {
        &self.known.read.access_key_id
    }

    /// When the token counts.
    pub(crate) fn life(&self) -> TokenLife {
        self.known.read.life
    }
}
