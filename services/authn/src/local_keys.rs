//! Whose a local key is: a user's long-term key by its record, a session's by its sealed token. A session may be of a principal whom
//! AWS keeps, by an exchange.
//!
//! A session carries all that it descends from. Nothing of it is believed further than the snapshots bear out: the role,
//! the key and user behind it and every role in between have to be there still, the same ones, and not revoked since.

use std::sync::Arc;

use lanyard_api::{Authority, AwsIdentity, CertificateSha256, Fault, Identity, IdentityKind, Kin};
use lanyard_iam::{
    AccessKeyId, Ancestor, Partition, PrincipalArn, PrincipalId, SessionClaims, SessionError, SessionOpener,
    SessionToken,
};
use lanyard_store::{Keyed, Store};
use time::OffsetDateTime;

use crate::directory::{Directory, KnownAccount};
use crate::key_secret::KeySecret;
use crate::known_sessions::{KnownSession, KnownSessions};
use crate::numbers::{account_of_key, account_of_principal};
use crate::snapshot::{HubSnapshot, OwnerView, Principal};

/// Finds out whose a local key is.
pub(crate) struct LocalKeys {
    directory: Directory,
    opener: Keyed<SessionOpener>,
    known: KnownSessions,
    store: Store,
}

/// A principal, as management calls are weighed for it: of a local account, or of another one by a session that it was exchanged for.
#[derive(Debug)]
pub(crate) struct Holder {
    pub(crate) account: KnownAccount,
    /// The user, or the session's role.
    pub(crate) owner: Arc<OwnerView>,
    pub(crate) session: Option<Arc<SessionClaims>>,
    /// The key that they have shown; none who has shown a certificate.
    pub(crate) access_key_id: Option<AccessKeyId>,
    /// The certificate that they have shown; none who has shown a key.
    pub(crate) certificate: Option<CertificateSha256>,
}

/// The claimed holder of a local key. Verify the signature with its secret first, then ask for its [`Self::standing`]:
/// who has no secret learns nothing about the state of somebody's key.
#[derive(Debug)]
pub(crate) struct Signer {
    pub(crate) holder: Holder,
    pub(crate) secret: Arc<KeySecret>,
    /// As mapping and explanations see the holder. The kin of a session are whole where its standing is good.
    pub(crate) identity: Arc<Identity>,
    /// Whether the key counts at this moment.
    pub(crate) standing: Result<(), Rejection>,
}

/// Why a local key does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Rejection {
    #[error("the access key does not exist on this hub; use another, or see whether it was deleted")]
    UnknownKey,
    #[error("the access key is switched off; switch it on, or use another")]
    InactiveKey,
    #[error("the secret of the access key cannot be opened; make a new key")]
    SealedKey,
    #[error("the key is a session's, and its session token is missing; send both")]
    NoSessionToken,
    #[error("the key is a long-term one and has no session token; send it without one")]
    SpareSessionToken,
    #[error("{0}")]
    Session(#[from] SessionError),
    #[error("the role or user behind the session is gone, or was made anew; make a new session")]
    RoleGone,
    #[error("the {0} that the session descends from is gone, switched off or made anew; make a new session")]
    AncestorGone(&'static str),
    #[error("the sessions of this role were revoked after this one was made; assume it again")]
    Revoked,
    #[error(
        "the account of the session is no longer registered as the one that it was made for; a hub operator registers it, then \
         make a new session"
    )]
    AccountGone,
    #[error("no policy is attached to the principal of the session any more; a hub operator attaches one")]
    PoliciesGone,
}

impl Rejection {
    /// Stable, snake case.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::UnknownKey => "unknown_key",
            Self::InactiveKey => "inactive_key",
            Self::SealedKey => "sealed_key",
            Self::NoSessionToken => "session_token_missing",
            Self::SpareSessionToken => "session_token_unexpected",
            Self::Session(error) => error.reason_code(),
            Self::RoleGone => "session_role_gone",
            Self::AncestorGone(_) => "session_ancestor_gone",
            Self::Revoked => "session_revoked",
            Self::AccountGone => "session_account_gone",
            Self::PoliciesGone => "session_policies_gone",
        }
    }

    /// The part of a token that is at fault.
    pub(crate) fn part(&self) -> &'static str {
        match self {
            Self::UnknownKey | Self::InactiveKey | Self::SealedKey => "X-Amz-Credential",
            _ => "X-Amz-Security-Token",
        }
    }
}

impl LocalKeys {
    pub(crate) fn new(directory: Directory, opener: Keyed<SessionOpener>, store: Store) -> Self {
        Self { directory, opener, known: KnownSessions::default(), store }
    }

    /// The claimed holder of a key.
    pub(crate) async fn find(
        &self,
        hub: &HubSnapshot,
        key: &AccessKeyId,
        session_token: Option<&SessionToken>,
        now: OffsetDateTime,
    ) -> Result<Result<Signer, Rejection>, Fault> {
        match (key.is_session(), session_token) {
            (false, None) => self.long_term(hub, key).await,
            (false, Some(_)) => Ok(Err(Rejection::SpareSessionToken)),
            (true, None) => Ok(Err(Rejection::NoSessionToken)),
            (true, Some(token)) => match self.opened(key, token, now).await {
                Ok(opened) => self.session(hub, &opened).await,
                Err(fault @ (SessionError::Keys(_) | SessionError::Random)) => {
                    tracing::error!(%fault, "role sessions cannot be opened");
                    Err(Fault::Internal)
                }
                Err(error) => Ok(Err(error.into())),
            },
        }
    }

    /// What a session token says. One of a generation that is not known here may be of the next, which its maker has heard of before
    /// this process.
    async fn opened(
        &self,
        key: &AccessKeyId,
        token: &SessionToken,
        now: OffsetDateTime,
    ) -> Result<Arc<KnownSession>, SessionError> {
        match self.known.open(&self.opener.get(), key, token, now) {
            Err(SessionError::UnknownKey(_)) => {
                self.store.ask_for_keys().await;
                self.known.open(&self.opener.get(), key, token, now)
            }
            opened => opened,
        }
    }

    async fn long_term(
        &self,
        hub: &HubSnapshot,
        key: &AccessKeyId,
    ) -> Result<Result<Signer, Rejection>, Fault> {
        let Some(account) = account_of_key(key) else { return Ok(Err(Rejection::UnknownKey)) };
        let Some(account) = self.directory.local_account(hub, account).await? else {
            return Ok(Err(Rejection::UnknownKey));
        };
        let Some(view) = account.snapshot.key(key) else { return Ok(Err(Rejection::UnknownKey)) };
        let Some(secret) = view.secret.clone() else { return Ok(Err(Rejection::SealedKey)) };
        let standing = if view.key.active { Ok(()) } else { Err(Rejection::InactiveKey) };
        let (owner, access_key_id) = (Arc::clone(&view.owner), key.clone());
        let identity = view.identity(account.account.partition);
        let holder =
            Holder { account, owner, session: None, access_key_id: Some(access_key_id), certificate: None };
        Ok(Ok(Signer { holder, secret, identity, standing }))
    }

    async fn session(
        &self,
        hub: &HubSnapshot,
        opened: &KnownSession,
    ) -> Result<Result<Signer, Rejection>, Fault> {
        let KnownSession { access_key_id, claims, .. } = opened;
        if claims.authority != Authority::Local.to_string() {
            return self.session_of_elsewhere(hub, opened).await;
        }
        let role_account = claims.principal.account;
        let Some(account) = self.directory.local_account(hub, role_account).await? else {
            return Ok(Err(Rejection::RoleGone));
        };
        self.not_before(claims)?;
        let Some(owner) = account.snapshot.principal(&claims.principal_id).cloned() else {
            return Ok(Err(Rejection::RoleGone));
        };
        if owner.arn(account.account.partition) != claims.principal {
            return Ok(Err(Rejection::RoleGone));
        }
        let mut kin = Vec::with_capacity(claims.ancestors.len());
        let mut standing = not_revoked(&owner, claims);
        for ancestor in &claims.ancestors {
            let found = self.ancestor(hub, ancestor, claims).await?;
            match found {
                Ok(found) => kin.extend(found),
                Err(rejection) => standing = standing.and(Err(rejection)),
            }
        }
        let identity = Arc::new(identity(&account, &owner, access_key_id.clone(), claims, kin).into());
        Ok(Ok(opened.signer(account, owner, identity, standing)))
    }

    /// What is in memory may be from before the session: then a role or policy that it does not show may well be there.
    fn not_before(&self, claims: &SessionClaims) -> Result<(), Fault> {
        if self.directory.account_revision(claims.principal.account).0 >= claims.revision {
            return Ok(());
        }
        Err(Fault::Unavailable {
            part: "the state of the session's account".into(),
            detail: "what is in memory is older than the session".into(),
        })
    }

    /// A session that a principal of AWS, or of a self-hosted STS, was exchanged for: good while the account is registered as it was
    /// then, and the principal has policies here. Whether the principal is there still its authority said at the exchange.
    async fn session_of_elsewhere(
        &self,
        hub: &HubSnapshot,
        opened: &KnownSession,
    ) -> Result<Result<Signer, Rejection>, Fault> {
        let KnownSession { access_key_id, claims, .. } = opened;
        let Ok(authority) = claims.authority.parse::<Authority>() else {
            return Ok(Err(Rejection::AccountGone));
        };
        let (id, partition) = (claims.principal.account, claims.principal.partition);
        let account = self.directory.account_of(hub, id, &authority).await?;
        let Some(account) = account.filter(|known| known.account.partition == partition) else {
            return Ok(Err(Rejection::AccountGone));
        };
        self.not_before(claims)?;
        let mut standing = Ok(());
        for ancestor in &claims.ancestors {
            if let Err(rejection) = self.ancestor(hub, ancestor, claims).await? {
                standing = standing.and(Err(rejection));
            }
        }
        let arn = claims.session_arn();
        let policies = account.snapshot.policies_elsewhere(&arn.canonical()).cloned();
        if policies.is_none() {
            standing = standing.and(Err(Rejection::PoliciesGone));
        }
        let owner = Arc::new(OwnerView {
            principal: Principal::Elsewhere(claims.principal.clone()),
            id: claims.principal_id.clone(),
            policies: policies.unwrap_or_default(),
        });
        let identity = identity(&account, &owner, access_key_id.clone(), claims, Vec::new());
        // A role's path is not known.
        let identity = Arc::new(AwsIdentity { principal_arn: None, ..identity }.into());
        Ok(Ok(opened.signer(account, owner, identity, standing)))
    }

    /// Whether what a session descends from is still there; a principal is answered, for blocks.
    async fn ancestor(
        &self,
        hub: &HubSnapshot,
        ancestor: &Ancestor,
        claims: &SessionClaims,
    ) -> Result<Result<Option<Kin>, Rejection>, Fault> {
        match ancestor {
            // A session's key has no record; its role and all before it are ancestors themselves.
            Ancestor::AccessKey(key) if key.is_session() => Ok(Ok(None)),
            // One of another authority's has none here either.
            Ancestor::AccessKey(key) if !key.is_local() => Ok(Ok(None)),
            // Nor has a certificate, whose user is an ancestor too. A block may name either.
            Ancestor::Certificate(_) => Ok(Ok(None)),
            Ancestor::AccessKey(key) => {
                let Some(account) = account_of_key(key) else {
                    return Ok(Err(Rejection::AncestorGone("access key")));
                };
                let account = self.directory.local_account(hub, account).await?;
                let key = account.as_ref().and_then(|account| account.snapshot.key(key));
                Ok(match key {
                    Some(view) if view.key.active => Ok(None),
                    _ => Err(Rejection::AncestorGone("access key")),
                })
            }
            Ancestor::User(id) => self.principal_ancestor(hub, id, "user", claims).await,
            Ancestor::Role(id) => self.principal_ancestor(hub, id, "role", claims).await,
            Ancestor::RoleSession { role, name } => {
                let found = self.principal_ancestor(hub, role, "role", claims).await?;
                Ok(found.map(|kin| kin.map(|kin| Kin { session_name: Some(name.clone()), ..kin })))
            }
            Ancestor::Cluster(uid) => {
                let known = uid.parse().ok().and_then(|uid| hub.cluster(uid));
                Ok(known.map(|_| None).ok_or(Rejection::AncestorGone("cluster")))
            }
            Ancestor::Provider { account, id, issuer, .. } => {
                let account = self.directory.local_account(hub, *account).await?;
                let provider = account.as_ref().and_then(|account| account.snapshot.oidc_provider(issuer));
                let is_it = provider.is_some_and(|provider| provider.id.to_string() == *id);
                Ok(if is_it { Ok(None) } else { Err(Rejection::AncestorGone("OIDC provider")) })
            }
            Ancestor::Account { account, registered_nanoseconds } => {
                let known = hub.account(*account).map(|account| account.created_at.unix_timestamp_nanos());
                let is_it = known == Some(i128::from(*registered_nanoseconds));
                Ok(if is_it { Ok(None) } else { Err(Rejection::AccountGone) })
            }
            Ancestor::Association { id, revision } => self.association(id, *revision, claims).await,
        }
    }

    /// A Pod Identity association is of the cluster that the session descends from too. What is in memory may be from before it was
    /// made: then nobody can say that it is gone.
    async fn association(
        &self,
        id: &str,
        revision: u64,
        claims: &SessionClaims,
    ) -> Result<Result<Option<Kin>, Rejection>, Fault> {
        let gone = Ok(Err(Rejection::AncestorGone("Pod Identity association")));
        let cluster = claims.ancestors.iter().find_map(|ancestor| match ancestor {
            Ancestor::Cluster(uid) => uid.parse().ok(),
            _ => None,
        });
        let Some(cluster) = cluster else { return gone };
        let (snapshot, known) = self.directory.cluster_at(cluster).await?;
        match snapshot.association_tags(id) {
            Some(_) => Ok(Ok(None)),
            None if known.0 >= revision => gone,
            None => Err(Fault::Unavailable {
                part: "the state of the session's cluster".into(),
                detail: "what is in memory is older than the session".into(),
            }),
        }
    }

    async fn principal_ancestor(
        &self,
        hub: &HubSnapshot,
        id: &PrincipalId,
        kind: &'static str,
        claims: &SessionClaims,
    ) -> Result<Result<Option<Kin>, Rejection>, Fault> {
        let gone = Ok(Err(Rejection::AncestorGone(kind)));
        let Some(account) = account_of_principal(id) else { return gone };
        let Some(account) = self.directory.local_account(hub, account).await? else { return gone };
        let Some(owner) = account.snapshot.principal(id) else { return gone };
        Ok(not_revoked(owner, claims).map(|()| Some(owner.kin(account.account.partition))))
    }
}

impl OwnerView {
    /// As blocks name it: a role without its path.
    pub(crate) fn kin(&self, partition: Partition) -> Kin {
        let arn = self.arn(partition);
        let arn = match &self.principal {
            Principal::User(_) | Principal::Elsewhere(_) => arn,
            Principal::Role { .. } => arn.without_path(),
        };
        Kin { account: arn.account, canonical_arn: arn.canonical(), session_name: None }
    }
}

/// Whether no revocation of this role came after the session was made. Sessions count whole seconds, so one that was made
/// in the second of the revocation is refused too.
fn not_revoked(owner: &OwnerView, claims: &SessionClaims) -> Result<(), Rejection> {
    match &owner.principal {
        Principal::Role { role, .. }
            if role.revoked_before.is_some_and(|moment| claims.issued_at <= moment) =>
        {
            Err(Rejection::Revoked)
        }
        Principal::Role { .. } | Principal::User(_) | Principal::Elsewhere(_) => Ok(()),
    }
}

impl Holder {
    /// The ARN that it acts under.
    pub(crate) fn arn(&self) -> PrincipalArn {
        match &self.session {
            Some(claims) => claims.session_arn(),
            None => self.owner.arn(self.account.account.partition),
        }
    }

    /// What it descends from, as blocks and proofs name it; the certificate that it has shown is of these.
    pub(crate) fn ancestors(&self) -> Vec<String> {
        let of_session = self.session.iter().flat_map(|claims| Ancestor::names(&claims.ancestors));
        of_session.chain(self.certificate.map(certificate_name)).collect()
    }
}

impl KnownSession {
    /// Whoever signs with it, as what it descends from stands now.
    fn signer(
        &self,
        account: KnownAccount,
        owner: Arc<OwnerView>,
        identity: Arc<Identity>,
        standing: Result<(), Rejection>,
    ) -> Signer {
        let holder = Holder {
            account,
            owner,
            session: Some(Arc::clone(&self.claims)),
            access_key_id: Some(self.access_key_id.clone()),
            certificate: None,
        };
        Signer { holder, secret: Arc::clone(&self.secret), identity, standing }
    }
}

impl Signer {
    /// Who it is; the hub's own principals are all of AWS kind.
    pub(crate) fn aws(&self) -> Result<&AwsIdentity, Fault> {
        self.identity.aws().ok_or(Fault::Internal)
    }
}

/// Whom a session proves: its role, under the session's name; or its user, whose sessions have none that anybody chose.
fn identity(
    account: &KnownAccount,
    owner: &OwnerView,
    access_key_id: AccessKeyId,
    claims: &SessionClaims,
    kin: Vec<Kin>,
) -> AwsIdentity {
    let (arn, partition) = (claims.session_arn(), account.account.partition);
    AwsIdentity {
        authority: account.account.authority.clone(),
        account: account.account.id,
        partition,
        principal_id: owner.id.to_string(),
        canonical_arn: arn.canonical(),
        principal_arn: Some(owner.arn(partition)),
        session_name: owner.is_role().then(|| claims.session_name.clone()),
        tags: claims.tags.clone(),
        access_key_id,
        kind: IdentityKind::Ordinary,
        ancestors: Ancestor::names(&claims.ancestors),
        kin,
        arn,
    }
}

/// As ancestors name a certificate.
fn certificate_name(sha256: CertificateSha256) -> String {
    format!("certificate/{sha256}")
}

/// The certificates among ancestors.
pub(crate) fn certificates(ancestors: &[String]) -> impl Iterator<Item = CertificateSha256> {
    ancestors.iter().filter_map(|name| name.strip_prefix("certificate/")?.parse().ok())
}
