//! What a session descends from, as its proof names it.

use lanyard_iam::{AccessKeyId, Ancestor, session::SESSION_CHAIN_DEPTH_MAX};

use super::{
    ProofError, Reader,
    key::{HANDLE_BYTES, Handle, ProofKey},
};
use crate::identity::{Authority, AwsIdentity, Kin};

/// Most kin of a proof: for each link of the longest chain a unique id, an ARN, a key and an account of its own, and for each role but
/// the last the session that made the next.
pub const KIN_MAX: usize = 4 * (SESSION_CHAIN_DEPTH_MAX as usize + 1) + SESSION_CHAIN_DEPTH_MAX as usize;

/// Which part of its kin a handle stands for, and so what is asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KinKind {
    /// The unique id of a local user or role: it has to be there, and its sessions not revoked since.
    PrincipalId,
    /// The canonical ARN of one, or that with the name of its session: a block may name either.
    Principal,
    /// A long-term key: it has to be active, and a block may name it.
    AccessKey,
    /// A session's key, which has no record: a block may name it.
    SessionKey,
    /// An account beside the identity's own: it has to be a local one, and a block may name it.
    Account,
    /// A client certificate, which has no record: a block may name it.
    Certificate,
    /// An OIDC provider of an account, by its number: it has to be there.
    Provider,
    /// An OIDC issuer: a block may name it.
    OidcIssuer,
    /// Somebody whom an OIDC issuer knows: a block may name them.
    OidcSubject,
    /// The cluster whose pod got the session: it has to be there.
    Cluster,
    /// The Pod Identity association of that cluster by which the pod got it: it has to be there.
    PodIdentityAssociation,
    /// The EC2 instance that the session is of, where EC2 and no bound name says what its node is called: as soon as the instance or
    /// the name is bound, that is its word no more. A proof of a bound node has none.
    Ec2Instance,
}

impl KinKind {
    fn byte(self) -> u8 {
        match self {
            Self::PrincipalId => 1,
            Self::Principal => 2,
            Self::AccessKey => 3,
            Self::SessionKey => 4,
            Self::Account => 5,
            Self::Certificate => 6,
            Self::Provider => 7,
            Self::OidcIssuer => 8,
            Self::OidcSubject => 9,
            Self::Cluster => 10,
            Self::PodIdentityAssociation => 11,
            Self::Ec2Instance => 12,
        }
    }

    fn of_byte(byte: u8) -> Result<Self, ProofError> {
        Ok(match byte {
            1 => Self::PrincipalId,
            2 => Self::Principal,
            3 => Self::AccessKey,
            4 => Self::SessionKey,
            5 => Self::Account,
            6 => Self::Certificate,
            7 => Self::Provider,
            8 => Self::OidcIssuer,
            9 => Self::OidcSubject,
            10 => Self::Cluster,
            11 => Self::PodIdentityAssociation,
            12 => Self::Ec2Instance,
            _ => return Err(ProofError::Malformed),
        })
    }
}

/// One of the kin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KinHandle {
    /// What it stands for.
    pub kind: KinKind,
    /// Its keyed hash.
    pub handle: Handle,
}

impl KinHandle {
    pub(super) const BYTES: usize = 1 + HANDLE_BYTES;
}

/// All kin of a proof, without the heap.
#[derive(Clone, Copy)]
pub struct KinHandles {
    kin: [KinHandle; KIN_MAX],
    count: u8,
}

/// Why a proof cannot name the kin of an identity, so that it gets none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KinError {
    /// More than a proof has room for.
    #[error(
        "the session descends from more than a proof can name ({KIN_MAX}): assume the role with fewer roles in between"
    )]
    TooMany,
    /// Something that nobody could look up at an access review.
    #[error(
        "the session descends from `{0}`, which an access review cannot look up: assume the role in another way"
    )]
    Unknown(String),
    /// A principal whose ARN authn did not tell: a block could not reach it.
    #[error("the session descends from principals whose ARNs are not known: make a new token")]
    Unnamed,
}

impl KinHandles {
    /// Nothing: a user's token, or an identity that the hub does not keep.
    pub const NONE: Self =
        Self { kin: [KinHandle { kind: KinKind::Principal, handle: Handle::NONE }; KIN_MAX], count: 0 };

    /// Adds one; twice the same is once.
    ///
    /// # Errors
    /// [`KinError::TooMany`].
    pub fn add(&mut self, kind: KinKind, handle: Handle) -> Result<(), KinError> {
        let one = KinHandle { kind, handle };
        if self.as_slice().contains(&one) {
            return Ok(());
        }
        let free = self.kin.get_mut(usize::from(self.count)).ok_or(KinError::TooMany)?;
        *free = one;
        self.count += 1;
        Ok(())
    }

    /// All of them.
    pub fn as_slice(&self) -> &[KinHandle] {
        self.kin.get(..usize::from(self.count)).unwrap_or_default()
    }

    /// Those of a kind.
    pub fn of(&self, kind: KinKind) -> impl Iterator<Item = &Handle> {
        self.as_slice().iter().filter(move |one| one.kind == kind).map(|one| &one.handle)
    }

    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        bytes.push(self.count);
        for KinHandle { kind, handle } in self.as_slice() {
            bytes.push(kind.byte());
            bytes.extend(handle.0);
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ProofError> {
        let [count] = reader.array()?;
        let mut kin = Self::NONE;
        for _ in 0..count {
            let [kind] = reader.array()?;
            let (kind, handle) = (KinKind::of_byte(kind)?, Handle(reader.array()?));
            kin.add(kind, handle).map_err(|_| ProofError::Malformed)?;
        }
        Ok(kin)
    }
}

impl PartialEq for KinHandles {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for KinHandles {}

impl std::fmt::Debug for KinHandles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
    }
}

impl ProofKey {
    /// The handles of all that a session descends from: principals by unique id, by ARN and by session, keys, a pod's cluster and
    /// association, and the accounts that these are of where they are others than the identity's own.
    ///
    /// # Errors
    /// [`KinError`]: what cannot be named could not be missed later, so there must be no proof then.
    pub fn kin(&self, identity: &AwsIdentity) -> Result<KinHandles, KinError> {
        let mut kin = KinHandles::NONE;
        let mut principals = 0;
        for ancestor in &identity.ancestors {
            match ancestor.split_once('/') {
                Some(("key", id)) => {
                    let is_session = id.starts_with(AccessKeyId::LOCAL_SESSION_PREFIX);
                    let kind = if is_session { KinKind::SessionKey } else { KinKind::AccessKey };
                    kin.add(kind, self.access_key(id))?;
                }
                // The name of a session, behind its role: by its ARN the kin have it.
                Some(("certificate", name)) if name.starts_with(Ancestor::SESSION) => {}
                Some(("certificate", sha256)) => kin.add(KinKind::Certificate, self.certificate(sha256))?,
                Some(("user" | "role", id)) => {
                    principals += 1;
                    // A role's session is there while the role is; by its name the kin have it.
                    let id = id.split_once(':').map_or(id, |(role, _)| role);
                    kin.add(KinKind::PrincipalId, self.principal_id(&Authority::Local, id))?;
                }
                // The identity's own, which an access review looks at by itself.
                Some(("account", _)) => {}
                Some(("provider", _)) => self.add_provider(&mut kin, ancestor, identity)?,
                Some(("cluster" | "association", _)) => self.add_pod(&mut kin, ancestor)?,
                _ => return Err(KinError::Unknown(ancestor.clone())),
            }
        }
        if identity.kin.len() != principals {
            return Err(KinError::Unnamed);
        }
        for Kin { account, canonical_arn, session_name } in &identity.kin {
            kin.add(KinKind::Principal, self.principal(&Authority::Local, canonical_arn.as_str()))?;
            if let Some(name) = session_name {
                kin.add(KinKind::Principal, self.session(&Authority::Local, canonical_arn.as_str(), name))?;
            }
            if *account != identity.account {
                kin.add(KinKind::Account, self.account(&Authority::Local, account.as_str()))?;
            }
        }
        Ok(kin)
    }

    /// What a pod's session descends from: its cluster, and the association there. The revision that this was read at is left out: who
    /// misses either catches up with the store before it says so.
    fn add_pod(&self, kin: &mut KinHandles, ancestor: &str) -> Result<(), KinError> {
        match Ancestor::parse(ancestor) {
            Some(Ancestor::Cluster(uid)) => kin.add(KinKind::Cluster, self.cluster(&uid)),
            Some(Ancestor::Association { id, revision: _ }) => {
                kin.add(KinKind::PodIdentityAssociation, self.pod_identity_association(&id))
            }
            _ => Err(KinError::Unknown(ancestor.to_owned())),
        }
    }

    fn add_provider(
        &self,
        kin: &mut KinHandles,
        ancestor: &str,
        identity: &AwsIdentity,
    ) -> Result<(), KinError> {
        let Some(Ancestor::Provider { account, id, issuer, subject }) = Ancestor::parse(ancestor) else {
            return Err(KinError::Unknown(ancestor.to_owned()));
        };
        kin.add(KinKind::Provider, self.oidc_provider(&id))?;
        kin.add(KinKind::OidcIssuer, self.oidc_issuer(&issuer))?;
        kin.add(KinKind::OidcSubject, self.oidc_subject(&issuer, &subject))?;
        if account != identity.account {
            kin.add(KinKind::Account, self.account(&Authority::Local, account.as_str()))?;
        }
        Ok(())
    }
}
