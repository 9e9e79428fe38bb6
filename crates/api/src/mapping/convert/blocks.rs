//! Blocks.

use lanyard_proto::mapping::v1::{
    self as pb,
    block_target::{self as target, Target},
};

use crate::{
    fault::CallError,
    grpc::{
        codec::convert,
        field,
        mutation::{asked, mutated, pages},
    },
    mapping::{Block, BlockTarget, CreateBlock},
};

convert! { Block = pb::Block {
    id: text, scope: text, target: message, reason: plain, created_by: plain, created_at: moment,
} }

mutated! { Block = pb::BlockMutated { block: message } }
pages! { Block = pb::BlockPage }
asked! { CreateBlock = pb::CreateBlockRequest { scope: text, target: message, reason: plain } }

impl From<BlockTarget> for pb::BlockTarget {
    fn from(blocked: BlockTarget) -> Self {
        let target = match blocked {
            BlockTarget::Principal { authority, canonical_arn } => Target::Principal(target::Principal {
                authority: authority.to_string(),
                canonical_arn: canonical_arn.to_string(),
            }),
            BlockTarget::Account { authority, account } => Target::Account(target::Account {
                authority: authority.to_string(),
                account: account.to_string(),
            }),
            BlockTarget::AccessKey { access_key_id } => {
                Target::AccessKey(target::AccessKey { access_key_id: access_key_id.to_string() })
            }
            BlockTarget::Session { authority, canonical_arn, session_name } => {
                Target::Session(target::Session {
                    authority: authority.to_string(),
                    canonical_arn: canonical_arn.to_string(),
                    session_name,
                })
            }
            BlockTarget::OidcSubject { issuer, subject } => {
                Target::OidcSubject(target::OidcSubject { issuer, subject })
            }
            BlockTarget::OidcIssuer { issuer } => Target::OidcIssuer(target::OidcIssuer { issuer }),
            BlockTarget::Certificate { sha256 } => {
                Target::Certificate(target::Certificate { sha256: sha256.to_string() })
            }
        };
        Self { target: Some(target) }
    }
}

impl TryFrom<pb::BlockTarget> for BlockTarget {
    type Error = CallError;

    fn try_from(message: pb::BlockTarget) -> Result<Self, CallError> {
        Ok(match field::required("target", message.target)? {
            Target::Principal(principal) => Self::Principal {
                authority: field::parse("authority", &principal.authority)?,
                canonical_arn: field::parse("canonical_arn", &principal.canonical_arn)?,
            },
            Target::Account(account) => Self::Account {
                authority: field::parse("authority", &account.authority)?,
                account: field::parse("account", &account.account)?,
            },
            Target::AccessKey(key) => {
                Self::AccessKey { access_key_id: field::parse("access_key_id", &key.access_key_id)? }
            }
            Target::Session(session) => Self::Session {
                authority: field::parse("authority", &session.authority)?,
                canonical_arn: field::parse("canonical_arn", &session.canonical_arn)?,
                session_name: session.session_name,
            },
            Target::OidcSubject(target::OidcSubject { issuer, subject }) => {
                Self::OidcSubject { issuer, subject }
            }
            Target::OidcIssuer(target::OidcIssuer { issuer }) => Self::OidcIssuer { issuer },
            Target::Certificate(certificate) => {
                Self::Certificate { sha256: field::parse("sha256", &certificate.sha256)? }
            }
        })
    }
}
