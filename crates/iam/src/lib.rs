//! The AWS side of identity, without any I/O: what a principal, a signature, a token, a policy and a session are.
//!
//! Nothing here opens a socket, reads a clock or draws a random number: time and randomness come in as parameters, so that
//! every rule can be tested as a table. Bad input gets a typed error, never a panic; secrets are in types that do not
//! print and are wiped when dropped.
//!
//! | to find out | look at |
//! |---|---|
//! | which partition a region belongs to, and its STS hosts | [`Partition`], [`partition_of_region`] |
//! | account numbers, regions, access keys, unique ids | [`AccountId`], [`Region`], [`AccessKeyId`], [`PrincipalId`] |
//! | who an ARN names, and what mappings are looked up by | [`PrincipalArn`], [`CanonicalArn`], [`FoldedArn`] |
//! | whom an access entry names: an ARN, a permission set, a pattern | [`EntryPrincipal`] |
//! | what STS answered | [`CallerIdentity`] |
//! | whether a `k8s-aws-v1.` token may be believed | [`ParsedToken`], with [`TokenRules`] |
//! | whether a request is signed as it should be | [`SignedRequest`], with [`sigv4::Expected`] |
//! | how to sign one | [`Signer`], [`mint_token`] |
//! | what a policy allows | [`evaluate`], [`policy::evaluate_assume_role`] |
//! | how a role session is minted and opened | [`SessionMinter`], [`SessionOpener`] |
//!
//! A client token's way: [`looks_like_token`] tells whether it is ours to judge; [`ParsedToken::parse`] judges every part;
//! then, by the kind of its [`AccessKeyId`], [`ParsedToken::rebuild_url`] goes to STS and [`CallerIdentity::parse`] reads
//! the answer, or [`ParsedToken::verify_local`] verifies it here, for a role session with the secret that
//! [`SessionOpener::open`] finds.
//!
//! Errors that refuse something have a `reason_code`: a stable name in snake case, for machines.

pub mod arn;
pub mod id;
pub mod partition;
pub mod policy;
pub mod session;
mod shown;
pub mod sigv4;
pub mod token;

pub use arn::{
    Arn, ArnError, ArnPattern, ArnPatternError, CallerIdentity, CallerIdentityError, CanonicalArn,
    EntryPrincipal, EntryPrincipalError, FoldedArn, PatternKind, PatternSubject, PermissionSet,
    PermissionSetError, PrincipalArn, PrincipalArnError, PrincipalKind, PrincipalPattern,
    PrincipalPatternError, SSO_ROLE_PATH, SSO_ROLE_PREFIX, is_session_name, without_sso_suffix,
};
pub use id::{
    AccessKeyId, AccountId, Credentials, InvalidAccessKeyId, InvalidAccountId, InvalidPrincipalId,
    InvalidRegion, PrincipalId, PrincipalIdKind, Region, SecretAccessKey, SessionToken,
};
pub use partition::{Partition, UnknownPartition, partition_of_region};
pub use policy::{
    ConditionKeys, Evaluation, NamedDocument, PolicyDocument, PolicyError, RequestContext, TrustPolicy,
    evaluate, evaluate_assume_role, evaluate_trust,
};
pub use session::{
    Ancestor, MintedSession, OpenedSession, SessionClaims, SessionError, SessionMinter, SessionOpener,
    is_tag_character,
};
pub use shown::{moment_text, shown, shown_within};
pub use sigv4::{HttpRequest, PayloadHash, SigV4Error, SignatureMismatch, SignedRequest, Signer, SigningKey};
pub use token::{
    ParsedToken, StsAuthority, StsAuthorityError, StsHost, Token, TokenDigest, TokenError, TokenLife,
    TokenRules, looks_like_token, mint_token,
};
