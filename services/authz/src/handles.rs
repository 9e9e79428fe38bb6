//! Sets of handles: blocked ones, live ones, trusted ones.

use std::{collections::HashSet, sync::Arc};

use foldhash::fast::RandomState;
use lanyard_api::{
    mapping::{Block, BlockTarget},
    proof::{Handle, Handles, KinHandles, ProofKey},
};

/// Handles that are compared with those of a proof.
pub(crate) type HandleSet = HashSet<Handle, RandomState>;

/// Every key that a proof may have been made with, the newest first. A handle is kept under each of them, for a proof's
/// handles are made with the proof's own key.
#[derive(Clone, Debug)]
pub(crate) struct ProofKeys(Arc<[ProofKey]>);

impl ProofKeys {
    pub(crate) fn new(keys: Vec<ProofKey>) -> Self {
        Self(keys.into())
    }

    pub(crate) fn all(&self) -> &[ProofKey] {
        &self.0
    }

    /// The same thing's handle under each key.
    pub(crate) fn each(&self, handle: impl Fn(&ProofKey) -> Handle) -> impl Iterator<Item = Handle> {
        self.0.iter().map(handle)
    }
}

/// The blocks of one scope.
#[derive(Debug, Default)]
pub(crate) struct BlockSet(HandleSet);

impl BlockSet {
    pub(crate) fn compile<'a>(blocks: impl IntoIterator<Item = &'a Block>, keys: &ProofKeys) -> Self {
        let handles = blocks.into_iter().flat_map(|block| keys.each(|key| handle_of(&block.target, key)));
        Self(handles.collect())
    }

    /// Whether somebody with these handles is blocked.
    pub(crate) fn holds(&self, handles: &Handles) -> bool {
        let Handles { account, principal, principal_id: _, access_key, session } = handles;
        !self.0.is_empty()
            && [account, principal, access_key, session].iter().any(|handle| self.reaches(handle))
    }

    /// Whether anything is blocked that somebody's session descends from.
    pub(crate) fn holds_kin(&self, kin: &KinHandles) -> bool {
        !self.0.is_empty() && kin.as_slice().iter().any(|one| self.reaches(&one.handle))
    }

    /// Whether one part of somebody is blocked.
    pub(crate) fn reaches(&self, handle: &Handle) -> bool {
        *handle != Handle::NONE && self.0.contains(handle)
    }
}

fn handle_of(target: &BlockTarget, key: &ProofKey) -> Handle {
    match target {
        BlockTarget::Principal { authority, canonical_arn } => {
            key.principal(authority, canonical_arn.as_str())
        }
        BlockTarget::Account { authority, account } => key.account(authority, account.as_str()),
        BlockTarget::AccessKey { access_key_id } => key.access_key(access_key_id.as_str()),
        BlockTarget::Session { authority, canonical_arn, session_name } => {
            key.session(authority, canonical_arn.as_str(), session_name)
        }
        BlockTarget::OidcSubject { issuer, subject } => key.oidc_subject(issuer, subject),
        BlockTarget::OidcIssuer { issuer } => key.oidc_issuer(issuer),
        BlockTarget::Certificate { sha256 } => key.certificate(&sha256.to_string()),
    }
}
