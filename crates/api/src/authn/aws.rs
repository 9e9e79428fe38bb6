//! The admission of calls of the AWS wire.

use std::{future::Future, net::IpAddr};

use bytes::Bytes;

use crate::{
    aws_wire::{AwsError, PageKey},
    fault::{Denial, Fault},
    identity::{Actor, Vouched},
    ids::ClusterUid,
    mutation::PageQuery,
};

/// Verifies a call of the AWS wire as it was signed, derives the management call from it, and weighs that.
///
/// Its own trait, and not another form of [`super::Admit`]'s question: there a caller signs the very message that goes on, here a
/// request of which authn makes the message. A door that had both could be told one and act on the other.
pub trait AdmitAws: Send + Sync + 'static {
    /// The actor with the call that they made, or the refusal; `Err` when there is no answer.
    fn admit_aws(&self, query: AdmitAwsQuery) -> impl Future<Output = Result<AwsAdmission, Fault>> + Send;
}

/// A request of AWS's protocols at the door, before anything of it is believed.
#[derive(Clone)]
pub struct AdmitAwsQuery {
    /// The HTTP method.
    pub method: String,
    /// The path as it came, percent-encoded.
    pub path: String,
    /// The query as it came, without `?`.
    pub query: String,
    /// The host that the client addressed.
    pub authority: String,
    /// The headers, names in lower case, as they came.
    pub headers: Vec<(String, String)>,
    /// The body as it came.
    pub body: Bytes,
    /// The client's address, for `aws:SourceIp`.
    pub source_ip: Option<IpAddr>,
}

impl std::fmt::Debug for AdmitAwsQuery {
    /// Without query, headers and body, which hold signatures and session tokens.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = f.debug_struct("AdmitAwsQuery");
        debug.field("method", &self.method).field("path", &self.path).field("authority", &self.authority);
        debug.field("source_ip", &self.source_ip).finish_non_exhaustive()
    }
}

/// The answer to [`AdmitAwsQuery`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AwsAdmission {
    /// Go on with this call as this actor.
    Admitted(Box<AwsAdmitted>),
    /// The caller is not proven (bad signature, stale date, unknown key).
    Unauthenticated(Denial),
    /// The caller is known and may not.
    Forbidden(Denial),
    /// The caller is known, and the call breaks a rule of its own form.
    Wrong(AwsError),
}

/// A call that may go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsAdmitted {
    /// Who calls, and what for.
    pub actor: Vouched<Actor>,
    /// The method that the call is, by its path.
    pub method: String,
    /// Its message, whose digest the actor has.
    pub message: Bytes,
    /// Seals the page token of the answer; none where that has no pages.
    pub page_key: Option<PageKey>,
    /// The page that is asked for of a list that the service answers whole: the door cuts it out. None for any other call.
    pub page: Option<PageQuery>,
    /// The cluster that it names, for the decision that a door records; none where it names none that there is.
    pub cluster: Option<ClusterUid>,
}
