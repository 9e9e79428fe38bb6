//! AWS mode: what the hub asks of AWS as itself. Never on the path of a request, but for the name of a node that nobody has
//! bound, which EC2 alone knows; and that is remembered.

use lanyard_api::{
    Authority, CallError, Fault,
    mapping::{AccessEntry, Node},
};
use lanyard_aws::{AwsClient, AwsFault, InstanceOptions, Instances, NamedPrincipal};
use lanyard_iam::{EntryPrincipal, PatternKind, PermissionSet, PrincipalArn, Region, SSO_ROLE_PATH};

use super::{
    Mapping,
    entries::{Known, means},
};
use crate::{
    key,
    knock::Knock,
    resolution::{Refused, UNKNOWN_NODE},
    rules::{self, Broken, Rule},
    store::View,
};

/// Who is named where EC2 gives no answer.
const EC2: &str = "AWS EC2";

/// What is asked of AWS, where the hub may ask.
pub(super) struct Aws {
    client: AwsClient,
    instances: Instances,
}

impl Aws {
    pub(super) fn new(client: AwsClient, instances: InstanceOptions) -> Self {
        Self { instances: Instances::new(client.clone(), instances), client }
    }
}

/// Whom an entry is bound to, and what whoever writes it should know about that.
#[derive(Debug, Default)]
pub(super) struct Bound {
    /// None where the match is by ARN.
    pub(super) principal_id: Option<String>,
    pub(super) notices: Vec<String>,
}

impl Bound {
    pub(super) fn to(principal_id: impl Into<String>) -> Self {
        Self { principal_id: Some(principal_id.into()), notices: Vec::new() }
    }
}

/// What IAM says about whom an entry names.
pub(super) enum ReadPrincipal {
    /// The hub does not ask, or not about accounts of this authority.
    NotAsked,
    /// Its unique id.
    Is(String),
    /// IAM has not told.
    Untold(AwsFault),
}

/// How an entry has to spell whom IAM tells names of ignoring letter case, as it does itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// As IAM has it: policies are held against the ARN as the entry has it, and what denies one spelling would let another pass.
    Own,
    /// In any letter case: the entry is there already.
    Any,
}

impl Spelling {
    fn fits(self, own: &str, written: &str) -> bool {
        match self {
            Self::Own => own == written,
            Self::Any => own.eq_ignore_ascii_case(written),
        }
    }
}

impl Mapping {
    /// Asks IAM for the unique id of whom an entry means, where that is one. Nobody of that ARN breaks a rule, as at EKS; and so
    /// does a role that is named as those of a permission set are, and that IAM Identity Center did not make.
    pub(super) async fn read_principal(
        &self,
        authority: &Authority,
        principal: &EntryPrincipal,
        spelling: Spelling,
    ) -> Result<ReadPrincipal, CallError> {
        let Some(aws) = self.inner.aws.as_ref().filter(|_| *authority == Authority::Aws) else {
            return Ok(ReadPrincipal::NotAsked);
        };
        let invalid =
            |message: String| Err(Broken::new("principal_arn", Rule::PrincipalInvalid, message).into());
        let (asked, is_set) = match principal {
            EntryPrincipal::One(arn) => (arn.clone(), false),
            EntryPrincipal::PermissionSet(set) if set.suffix().is_some() => (role_of(set)?, true),
            EntryPrincipal::PermissionSet(_) | EntryPrincipal::Pattern(_) => {
                return Ok(ReadPrincipal::NotAsked);
            }
        };
        match aws.client.principal(&asked).await {
            Ok(NamedPrincipal::Is { id, arn }) if is_set && spelling.fits(name_of(&arn), name_of(&asked)) => {
                if is_of_identity_center(&arn) {
                    return Ok(ReadPrincipal::Is(id.as_str().to_owned()));
                }
                invalid(format!(
                    "`{arn}` is named as the role of a permission set, and is none: its path is not `{SSO_ROLE_PATH}`"
                ))
            }
            Ok(NamedPrincipal::Is { id, arn })
                if !is_set && spelling.fits(&arn.to_string(), &principal.to_string()) =>
            {
                Ok(ReadPrincipal::Is(id.as_str().to_owned()))
            }
            Ok(NamedPrincipal::Is { arn, .. }) => invalid(format!(
                "`{principal}` does not exist, `{arn}` does: name it so, with its path and letter for letter, for policies are held \
                 against the ARN as the entry has it"
            )),
            Ok(NamedPrincipal::Absent) => invalid(format!(
                "`{principal}` does not exist, says IAM: make it first, or give its unique id if IAM does not show it yet"
            )),
            Err(fault) => Ok(ReadPrincipal::Untold(fault)),
        }
    }

    /// Whom a new entry of an account that the hub does not keep is bound to.
    pub(super) async fn bind_elsewhere(
        &self,
        authority: &Authority,
        principal: &EntryPrincipal,
        given: Option<&str>,
    ) -> Result<Bound, CallError> {
        if let Some(given) = given {
            return Ok(Bound::to(given));
        }
        Ok(match self.read_principal(authority, principal, Spelling::Own).await? {
            ReadPrincipal::NotAsked => Bound::default(),
            ReadPrincipal::Is(id) => Bound::to(id),
            ReadPrincipal::Untold(fault) => {
                Bound { principal_id: None, notices: vec![untold(principal, &fault)] }
            }
        })
    }

    /// Whom `rebind` binds an entry to that was read about before: the principal that bears its ARN now, as IAM says, or as
    /// its authority proved it at the door: who knocked.
    pub(super) fn rebind_elsewhere(
        &self,
        entry: &AccessEntry,
        read: ReadPrincipal,
        knocked: Option<&str>,
    ) -> Result<Bound, CallError> {
        let fault = match read {
            ReadPrincipal::Is(id) => return Ok(Bound::to(id)),
            ReadPrincipal::NotAsked => None,
            ReadPrincipal::Untold(fault) => Some(fault),
        };
        match (knocked, &entry.principal_id) {
            (Some(id), _) => Ok(Bound::to(id)),
            (None, None) => {
                let notices = fault.map(|fault| untold(&entry.principal_arn, &fault));
                Ok(Bound { principal_id: None, notices: notices.into_iter().collect() })
            }
            (None, Some(_)) => {
                let arn = &entry.principal_arn;
                let asked =
                    fault.map(|fault| format!(" and IAM has not told who bears it now ({})", fault.shown()));
                Err(CallError::precondition(
                    "rebind_unknown",
                    format!(
                        "nobody else has knocked as `{arn}` yet{}: have it try to log in and re-bind then, or delete the \
                         entry and make it anew",
                        asked.unwrap_or_default()
                    ),
                ))
            }
        }
    }

    /// Whom IAM knows of those that an entry of an account of AWS means.
    pub(super) async fn ask_iam(&self, known: &mut Known, authority: &Authority, principal: &EntryPrincipal) {
        let Some(aws) = self.inner.aws.as_ref().filter(|_| *authority == Authority::Aws) else {
            let notice = format!(
                "the hub does not know who there is in account {} of authority {authority}: shown is whom aws-auth names",
                principal.account()
            );
            known.notices.push(notice);
            return;
        };
        let is_user = match principal {
            EntryPrincipal::One(arn) => matches!(arn.kind, lanyard_iam::PrincipalKind::User { .. }),
            EntryPrincipal::PermissionSet(_) => false,
            EntryPrincipal::Pattern(pattern) => pattern.kind == PatternKind::User,
        };
        let under = match principal {
            EntryPrincipal::PermissionSet(_) => SSO_ROLE_PATH,
            EntryPrincipal::One(_) | EntryPrincipal::Pattern(_) => "/",
        };
        let (partition, account) = (principal.partition(), principal.account());
        match aws.client.principals(partition, account, is_user, under).await {
            Ok(listed) => {
                known.complete = listed.complete;
                let meant = listed.principals.into_iter().filter(|(_, arn)| means(principal, arn));
                known.add(meant.map(|(id, arn)| (arn, id.as_str().to_owned())));
            }
            Err(fault) => known.notices.push(format!(
                "IAM has not told who there is in account {account} ({}): shown is whom aws-auth names",
                fault.shown()
            )),
        }
    }

    /// The node that an instance is, of whose id the session's name is. None where EC2 is not asked.
    pub(super) async fn instance(
        &self,
        view: &View,
        knock: &Knock<'_>,
    ) -> Result<Option<Result<Node, Refused>>, Fault> {
        let (Some(aws), Some(id)) = (&self.inner.aws, knock.session_name) else { return Ok(None) };
        // A cluster's region is judged when it is written; what is none has no EC2.
        let (Authority::Aws, Ok(region)) = (knock.authority, Region::parse(&view.cluster.region)) else {
            return Ok(None);
        };
        let account = knock.account;
        let found = aws
            .instances
            .find(knock.partition, account, &region, id)
            .await
            .map_err(|fault| no_answer(&fault))?;
        let refused = |message: String| Ok(Some(Err(Refused::new(UNKNOWN_NODE, message))));
        let Some(instance) = found else {
            return refused(format!("EC2 has no instance `{id}` in account {account}, region {region}"));
        };
        let name = instance.private_dns_name.as_str();
        if let Err(broken) = rules::cluster::node(id, name) {
            return refused(format!("the name of instance `{id}` is none for a node: {}", broken.message));
        }
        if let Some(twin) = view.snapshot.node_named(name).filter(|twin| *twin != id) {
            return refused(format!(
                "the name `{name}` of instance `{id}` is that of the node with session `{twin}`"
            ));
        }
        let role_arn = instance.role.as_ref().map(|role| key::known_as(role).to_string());
        Ok(Some(Ok(Node {
            cluster: view.cluster.uid,
            instance_id: id.to_owned(),
            private_dns_name: name.to_owned(),
            role_arn,
            access_key_id: None,
        })))
    }
}

/// The role that a permission set means, its suffix given.
fn role_of(set: &PermissionSet) -> Result<PrincipalArn, Fault> {
    PrincipalArn::parse(&set.role_arn()).map_err(|_| Fault::Internal)
}

fn name_of(arn: &PrincipalArn) -> &str {
    arn.name().unwrap_or_default()
}

/// Whether IAM Identity Center made a role: nobody else can put one under its path.
fn is_of_identity_center(arn: &PrincipalArn) -> bool {
    arn.path().is_some_and(|path| path.starts_with(SSO_ROLE_PATH))
}

/// What people are told where IAM has not told.
fn untold(principal: &EntryPrincipal, fault: &AwsFault) -> String {
    format!(
        "the unique id of `{principal}` is not known ({}): the entry lets in whoever bears this ARN; update it with rebind once \
         IAM can be asked",
        fault.shown()
    )
}

/// A fault of AWS as whoever waits for a badge sees it.
fn no_answer(fault: &AwsFault) -> Fault {
    let part = EC2.into();
    match fault {
        AwsFault::Limited { retry_after, .. } => Fault::Throttled { part, retry_after: Some(*retry_after) },
        AwsFault::Throttled { .. } => Fault::Throttled { part, retry_after: None },
        AwsFault::TimedOut { limit, .. } => Fault::TimedOut { part, limit: *limit },
        other => Fault::Unavailable { part, detail: other.shown().into() },
    }
}
