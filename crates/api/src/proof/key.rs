//! The secret behind proofs, and the keyed hashes that it makes.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::identity::{Authority, AwsIdentity};

pub(super) const HANDLE_BYTES: usize = 16;

/// A keyed hash of whom a proof is for: it lets authz look blocks up, and tells a reader of audit lines nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Handle(pub [u8; HANDLE_BYTES]);

impl Handle {
    /// No such part: a user has no session.
    pub const NONE: Self = Self([0; HANDLE_BYTES]);
}

/// The secret that mapping mints and authz verifies with. Prints nothing of itself.
#[derive(Clone)]
pub struct ProofKey {
    pub(super) id: u32,
    pub(super) mac: Hmac<Sha256>,
}

impl std::fmt::Debug for ProofKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ProofKey({})", self.id)
    }
}

impl ProofKey {
    /// A key with its number, which the proof names.
    pub fn new(id: u32, secret: &[u8; 32]) -> Self {
        let mut block = [0; 64];
        for (to, from) in block.iter_mut().zip(secret) {
            *to = *from;
        }
        Self { id, mac: Hmac::new(&block.into()) }
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.id
    }

    fn handle(&self, purpose: u8, fill: impl FnOnce(&mut Hmac<Sha256>)) -> Handle {
        let mut mac = self.mac.clone();
        mac.update(b"handle");
        mac.update(&[purpose]);
        fill(&mut mac);
        let mut handle = [0; HANDLE_BYTES];
        for (to, from) in handle.iter_mut().zip(mac.finalize().into_bytes()) {
            *to = from;
        }
        Handle(handle)
    }

    /// The handle of an account.
    pub fn account(&self, authority: &Authority, account: &str) -> Handle {
        self.handle(1, |mac| {
            update_authority(mac, authority);
            update_sized(mac, account.as_bytes());
        })
    }

    /// The handle of a principal by its canonical ARN, whatever the letter case: IAM tells names apart ignoring it, and a
    /// block is written by hand.
    pub fn principal(&self, authority: &Authority, canonical_arn: &str) -> Handle {
        self.handle(2, |mac| {
            update_authority(mac, authority);
            update_folded(mac, canonical_arn);
        })
    }

    /// The handle of a principal by its unique id.
    pub fn principal_id(&self, authority: &Authority, principal_id: &str) -> Handle {
        self.handle(3, |mac| {
            update_authority(mac, authority);
            update_sized(mac, principal_id.as_bytes());
        })
    }

    /// The handle of an access key.
    pub fn access_key(&self, access_key_id: &str) -> Handle {
        self.handle(4, |mac| update_sized(mac, access_key_id.as_bytes()))
    }

    /// The handle of a client certificate, by the SHA-256 of its bytes in lower-case hex.
    pub fn certificate(&self, sha256: &str) -> Handle {
        self.handle(8, |mac| update_sized(mac, sha256.as_bytes()))
    }

    /// The handle of a role session: the role's letter case does not count, the session's does.
    pub fn session(&self, authority: &Authority, canonical_arn: &str, name: &str) -> Handle {
        self.handle(5, |mac| {
            update_authority(mac, authority);
            update_folded(mac, canonical_arn);
            update_sized(mac, name.as_bytes());
        })
    }

    /// The handle of an OIDC issuer, byte for byte.
    pub fn oidc_issuer(&self, issuer: &str) -> Handle {
        self.handle(6, |mac| update_sized(mac, issuer.as_bytes()))
    }

    /// The handle of somebody whom an OIDC issuer knows.
    pub fn oidc_subject(&self, issuer: &str, subject: &str) -> Handle {
        self.handle(7, |mac| {
            update_sized(mac, issuer.as_bytes());
            update_sized(mac, subject.as_bytes());
        })
    }

    /// The handle of an account's OIDC provider, by its number.
    pub fn oidc_provider(&self, id: &str) -> Handle {
        self.handle(9, |mac| update_sized(mac, id.as_bytes()))
    }

    /// The handle of a cluster, by its uid.
    pub fn cluster(&self, uid: &str) -> Handle {
        self.handle(10, |mac| update_sized(mac, uid.as_bytes()))
    }

    /// The handle of a Pod Identity association, by its id.
    pub fn pod_identity_association(&self, id: &str) -> Handle {
        self.handle(11, |mac| update_sized(mac, id.as_bytes()))
    }

    /// The handle of an EC2 instance, by its id.
    pub fn ec2_instance(&self, id: &str) -> Handle {
        self.handle(12, |mac| update_sized(mac, id.as_bytes()))
    }

    /// The handles of somebody whom an OIDC issuer knows: the issuer stands in the account's place, and they in the
    /// principal's. The hub keeps no record of them, and no key signed.
    pub fn oidc_handles(&self, issuer: &str, subject: &str) -> Handles {
        Handles {
            account: self.oidc_issuer(issuer),
            principal: self.oidc_subject(issuer, subject),
            principal_id: Handle::NONE,
            access_key: Handle::NONE,
            session: Handle::NONE,
        }
    }

    /// The handles of an identity itself. Of its kin there are [`ProofKey::kin`].
    pub fn handles(&self, identity: &AwsIdentity) -> Handles {
        let AwsIdentity { authority, canonical_arn, .. } = identity;
        Handles {
            account: self.account(authority, identity.account.as_str()),
            principal: self.principal(authority, canonical_arn.as_str()),
            principal_id: self.principal_id(authority, &identity.principal_id),
            access_key: self.access_key(identity.access_key_id.as_str()),
            session: match &identity.session_name {
                Some(name) => self.session(authority, canonical_arn.as_str(), name),
                None => Handle::NONE,
            },
        }
    }
}

pub(super) fn update_sized(mac: &mut Hmac<Sha256>, bytes: &[u8]) {
    mac.update(&(bytes.len() as u64).to_be_bytes());
    mac.update(bytes);
}

/// An authority as its text, without making it.
fn update_authority(mac: &mut Hmac<Sha256>, authority: &Authority) {
    let (head, name) = match authority {
        Authority::Aws => ("aws", ""),
        Authority::Local => ("local", ""),
        Authority::Sts(name) => ("sts:", name.as_str()),
    };
    mac.update(&((head.len() + name.len()) as u64).to_be_bytes());
    mac.update(head.as_bytes());
    mac.update(name.as_bytes());
}

/// A text in lower case, a piece at a time.
fn update_folded(mac: &mut Hmac<Sha256>, text: &str) {
    mac.update(&(text.len() as u64).to_be_bytes());
    for piece in text.as_bytes().chunks(64) {
        let mut folded = [0; 64];
        for (to, from) in folded.iter_mut().zip(piece) {
            *to = from.to_ascii_lowercase();
        }
        mac.update(folded.get(..piece.len()).unwrap_or_default());
    }
}

/// The keyed hashes of one identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handles {
    /// Of its account, or of its OIDC issuer.
    pub account: Handle,
    /// Of its canonical ARN, or of its OIDC subject.
    pub principal: Handle,
    /// Of its unique id; [`Handle::NONE`] for an OIDC subject.
    pub principal_id: Handle,
    /// Of the key that signed: a session's own, which has no record, where there is a session.
    pub access_key: Handle,
    /// Of its session, or [`Handle::NONE`].
    pub session: Handle,
}
