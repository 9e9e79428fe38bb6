//! `lanyard block`: standing refusals, which beat every mapping.

use clap::{Args, Subcommand};
use lanyard_api::{
    Authority, BlockId, CertificateSha256, ClusterId, Scope,
    grpc::{Remote, Wire, admitted_at_the_door},
    mapping::{Block, BlockTarget, Blocks, Clusters, CreateBlock},
};
use lanyard_iam::{AccessKeyId, AccountId, CanonicalArn, PrincipalArn, PrincipalKind};

use crate::{
    cli::Context,
    exit::Ending,
    failure::Failure,
    hub::{ChangeArgs, all_pages},
    input::moment_text,
    show::{Changed, Listing, Row},
};

const CREATE: &str = "\
Examples:
  lanyard block create --principal arn:aws:iam::111122223333:user/ana --reason 'left'
  lanyard block create --cluster dev --access-key LKIAXXXXXXXXXXXXXXXX --reason 'leaked'
  lanyard block create --session arn:aws:sts::111122223333:assumed-role/ci/run-17 --reason 'stolen'
  lanyard block create --certificate 9c1e…f0 --reason 'laptop lost'
  lanyard block create --oidc-issuer https://okta.example --oidc-subject 00u1 --reason 'left'
  lanyard block create --oidc-issuer https://okta.example --reason 'breached'

A block holds in the whole hub unless --cluster or --in-account narrows it. It counts with the next request, whatever the \
API server has cached. A user is named with its path; a notice says so where a block stops nobody as things are. A block \
on a session stops those too that it has made.";

const LIST: &str = "\
Examples:
  lanyard block list --cluster dev
  lanyard block list --in-account 111122223333
  lanyard block list                            # of the whole hub: for its operators";

const DELETE: &str = "\
Examples:
  lanyard block delete 0d3b6f0e-0000-4000-8000-000000000000 --cluster dev --reason 'the laptop is found'
  lanyard block delete 0d3b6f0e-0000-4000-8000-000000000000          # one of the whole hub

A block is lifted where it holds: say --cluster or --in-account as it was put up. A reason code or an explanation names the block, \
`lanyard block list` its place.";

/// What there is to do with blocks.
#[derive(Debug, Subcommand)]
pub enum BlockCommand {
    /// Put a block up.
    #[command(after_help = CREATE)]
    Create {
        #[command(flatten)]
        place: PlaceArgs,
        #[command(flatten)]
        whom: Box<WhomArgs>,
        /// Whose identities they are; by default the authority of the account on this hub.
        #[arg(long, value_name = "AUTHORITY")]
        authority: Option<Authority>,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// The blocks of the hub, of an account or of a cluster.
    #[command(after_help = LIST)]
    List {
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Lift a block.
    #[command(after_help = DELETE)]
    Delete {
        /// The block's id.
        id: BlockId,
        #[command(flatten)]
        place: PlaceArgs,
        #[command(flatten)]
        change: ChangeArgs,
    },
}

/// Where a block holds.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct PlaceArgs {
    /// In this cluster.
    #[arg(long, value_name = "CLUSTER")]
    cluster: Option<ClusterId>,
    /// In all clusters of this account.
    #[arg(long, value_name = "ACCOUNT")]
    in_account: Option<AccountId>,
}

/// Whom a block stops.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct WhomArgs {
    /// A user or role with all its sessions, by its ARN.
    #[arg(long, value_name = "ARN", conflicts_with_all = ["account", "access_key", "certificate", "session", "oidc_subject", "oidc_issuer"])]
    principal: Option<PrincipalArn>,
    /// Everybody of an account.
    #[arg(long, value_name = "ACCOUNT", conflicts_with_all = ["access_key", "certificate", "session", "oidc_subject", "oidc_issuer"])]
    account: Option<AccountId>,
    /// An access key, and sessions made with it.
    #[arg(long, value_name = "KEY", conflicts_with_all = ["certificate", "session", "oidc_subject", "oidc_issuer"])]
    access_key: Option<AccessKeyId>,
    /// A client certificate of a user, and sessions made by it, by its SHA-256 as `lanyard pki show` tells it.
    #[arg(long, value_name = "SHA256", conflicts_with_all = ["session", "oidc_subject", "oidc_issuer"])]
    certificate: Option<CertificateSha256>,
    /// One role session, by its ARN.
    #[arg(long, value_name = "ARN", conflicts_with_all = ["oidc_subject", "oidc_issuer"])]
    session: Option<PrincipalArn>,
    /// One person of an OIDC issuer, by the subject; --oidc-issuer says which issuer's.
    #[arg(long, value_name = "SUBJECT", requires = "oidc_issuer")]
    oidc_subject: Option<String>,
    /// Everybody of an OIDC issuer, or the one that --oidc-subject names.
    #[arg(long, value_name = "URL")]
    oidc_issuer: Option<String>,
}

impl Row for Block {
    const COLUMNS: &'static [&'static str] = &["ID", "SCOPE", "WHOM", "REASON", "BY", "AT"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.scope.to_string(),
            target_text(&self.target),
            self.reason.clone(),
            self.created_by.clone(),
            moment_text(self.created_at),
        ]
    }
}

fn target_text(target: &BlockTarget) -> String {
    match target {
        BlockTarget::Principal { authority, canonical_arn } => {
            format!("principal {} of {authority}", canonical_arn.as_str())
        }
        BlockTarget::Account { authority, account } => format!("account {account} of {authority}"),
        BlockTarget::AccessKey { access_key_id } => format!("access key {access_key_id}"),
        BlockTarget::Session { authority, canonical_arn, session_name } => {
            format!("session `{session_name}` of {} of {authority}", canonical_arn.as_str())
        }
        BlockTarget::OidcSubject { issuer, subject } => format!("subject `{subject}` of issuer {issuer}"),
        BlockTarget::OidcIssuer { issuer } => format!("everybody of issuer {issuer}"),
        BlockTarget::Certificate { sha256 } => format!("certificate {sha256}"),
    }
}

impl PlaceArgs {
    async fn scope(self, remote: &Remote<impl Wire>) -> Result<Scope, Failure> {
        match (self.cluster, self.in_account) {
            (Some(id), _) => Ok(Scope::Cluster(remote.get_cluster(admitted_at_the_door(), id).await?.uid)),
            (None, Some(account)) => Ok(Scope::Account(account)),
            (None, None) => Ok(Scope::Hub),
        }
    }
}

impl WhomArgs {
    /// The account that is concerned, where its authority matters.
    fn account(&self) -> Option<AccountId> {
        let of = |arn: &Option<PrincipalArn>| arn.as_ref().map(|arn| arn.account);
        self.account.or_else(|| of(&self.principal)).or_else(|| of(&self.session))
    }

    fn target(self, authority: Option<Authority>) -> Result<BlockTarget, Failure> {
        if let Some(access_key_id) = self.access_key {
            return Ok(BlockTarget::AccessKey { access_key_id });
        }
        if let Some(sha256) = self.certificate {
            return Ok(BlockTarget::Certificate { sha256 });
        }
        match (self.oidc_issuer, self.oidc_subject) {
            (Some(issuer), Some(subject)) => return Ok(BlockTarget::OidcSubject { issuer, subject }),
            (Some(issuer), None) => return Ok(BlockTarget::OidcIssuer { issuer }),
            (None, _) => {}
        }
        let authority =
            authority.ok_or_else(|| Failure::usage("whose identity is it? Add --authority aws or local"))?;
        match (self.principal, self.account, self.session) {
            (Some(arn), ..) => match arn.session_name() {
                None => Ok(BlockTarget::Principal { authority, canonical_arn: stopped(&arn) }),
                Some(_) => {
                    Err(Failure::usage(format!("`{arn}` is one session: say --session, or name its role")))
                }
            },
            (None, Some(account), _) => Ok(BlockTarget::Account { authority, account }),
            (None, None, Some(arn)) => match (arn.session_name(), &arn.kind) {
                (Some(name), PrincipalKind::AssumedRole { .. }) => Ok(BlockTarget::Session {
                    authority,
                    canonical_arn: arn.canonical(),
                    session_name: name.to_owned(),
                }),
                _ => Err(Failure::usage(format!(
                    "`{arn}` is no role session: arn:…:assumed-role/ROLE/SESSION is one"
                ))),
            },
            (None, None, None) => Err(Failure::usage(
                "whom does it stop? Add --principal, --account, --access-key, --certificate, --session or --oidc-issuer",
            )),
        }
    }
}

/// The principal as identities bear it: a role without its path.
fn stopped(arn: &PrincipalArn) -> CanonicalArn {
    match arn.kind {
        PrincipalKind::Role { .. } => arn.without_path().canonical(),
        _ => arn.canonical(),
    }
}

impl BlockCommand {
    /// Does it.
    pub async fn run(self, context: &Context) -> Result<Ending, Failure> {
        let hub = context.connect().await?;
        let remote = hub.remote();
        match self {
            Self::Create { place, whom, authority, change } => {
                let Some(reason) = change.reason.clone().filter(|reason| !reason.trim().is_empty()) else {
                    return Err(Failure::usage("a block says why in every list: add --reason"));
                };
                let authority = match (authority, whom.account()) {
                    (None, Some(account)) => Some(hub.authority_of(account).await?),
                    (given, _) => given,
                };
                let block = CreateBlock {
                    scope: place.scope(&remote).await?,
                    target: whom.target(authority)?,
                    reason,
                };
                context.show(&Changed(remote.create_block(change.into(), block).await?))
            }
            Self::List { place } => {
                let scope = place.scope(&remote).await?;
                let blocks =
                    all_pages(async |page| remote.list_blocks(admitted_at_the_door(), scope, page).await);
                context.show(&Listing(blocks.await?))
            }
            Self::Delete { id, place, change } => {
                let scope = place.scope(&remote).await?;
                context.show(&Changed(remote.delete_block(change.into(), scope, id).await?))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whom(principal: Option<&str>, session: Option<&str>) -> WhomArgs {
        let arn = |text: Option<&str>| text.map(|text| PrincipalArn::parse(text).unwrap());
        WhomArgs {
            principal: arn(principal),
            account: None,
            access_key: None,
            certificate: None,
            session: arn(session),
            oidc_subject: None,
            oidc_issuer: None,
        }
    }

    #[test]
    fn a_certificate_is_stopped_by_its_fingerprint_whoever_vouches() {
        let sha256 = Some("0aff".repeat(16).parse().unwrap());
        let target = WhomArgs { certificate: sha256, ..whom(None, None) }.target(None).unwrap();
        assert_eq!(target_text(&target), format!("certificate {}", "0aff".repeat(16)));
    }

    #[test]
    fn an_issuer_is_stopped_whole_or_in_one_person() {
        let of = |subject: Option<&str>| WhomArgs {
            oidc_issuer: Some("https://okta.example".to_owned()),
            oidc_subject: subject.map(str::to_owned),
            ..whom(None, None)
        };
        let text = |whom: WhomArgs| target_text(&whom.target(None).unwrap());
        assert_eq!(text(of(Some("00u1"))), "subject `00u1` of issuer https://okta.example");
        assert_eq!(text(of(None)), "everybody of issuer https://okta.example");
    }

    #[test]
    fn a_session_and_a_principal_are_not_mistaken_for_each_other() {
        const ROLE: &str = "arn:aws:iam::111122223333:role/team/deployer";
        const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/deployer/ci";
        let target = |whom: WhomArgs| whom.target(Some(Authority::Local));
        let role = target(whom(Some(ROLE), None)).unwrap();
        assert_eq!(target_text(&role), "principal arn:aws:iam::111122223333:role/deployer of local");
        let session = target(whom(None, Some(SESSION))).unwrap();
        assert_eq!(target_text(&session), "session `ci` of arn:aws:iam::111122223333:role/deployer of local");
        assert!(target(whom(Some(SESSION), None)).is_err());
        assert!(target(whom(None, Some(ROLE))).is_err());
        assert!(whom(Some(ROLE), None).target(None).is_err(), "without an authority nobody is meant");
    }
}
