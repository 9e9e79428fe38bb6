//! The operations of the AWS wire, and which of them a request is.

use std::borrow::Cow;

use lanyard_iam::sigv4::decode_segment;

use super::{
    AwsError, eks, eks_auth, iam,
    input::{Asked, Caller, Input},
    parameters::Parameters,
    sts,
};
use crate::{grpc::mutation::page_query, kubernetes::KubernetesRelease};

/// Longest path that is looked at, in bytes: the longest has two ARNs of 2048 characters, percent-encoded.
const PATH_BYTES_MAX: usize = 16 * 1024;

/// The services whose protocols are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Amazon EKS.
    Eks,
    /// Amazon EKS Auth, which the agents of nodes call.
    EksAuth,
    /// AWS STS.
    Sts,
    /// AWS IAM.
    Iam,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Eks, Self::EksAuth, Self::Sts, Self::Iam];

    /// The service of that name in a credential scope.
    #[must_use]
    pub fn of_scope(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.as_str() == name)
    }

    /// Its name in credential scopes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Eks => "eks",
            Self::EksAuth => "eks-auth",
            Self::Sts => "sts",
            Self::Iam => "iam",
        }
    }

    /// What it speaks.
    #[must_use]
    pub const fn protocol(self) -> Protocol {
        match self {
            Self::Eks | Self::EksAuth => Protocol::RestJson,
            Self::Sts | Self::Iam => Protocol::Query,
        }
    }

    /// The version of its interface, which the Query protocol names (service models, metadata).
    #[must_use]
    pub const fn version(self) -> &'static str {
        match self {
            Self::Eks => "2017-11-01",
            Self::EksAuth => "2023-11-26",
            Self::Sts => "2011-06-15",
            Self::Iam => "2010-05-08",
        }
    }
}

/// The two protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Verb and path say the operation, JSON the rest.
    RestJson,
    /// A form or a query says all; answers are XML, or JSON for who accepts that.
    Query,
}

/// A request as it came, without what the signature alone needs.
#[derive(Debug, Clone, Copy)]
pub struct HttpCall<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// The path, percent-encoded.
    pub path: &'a str,
    /// The query, without `?`.
    pub query: &'a str,
    /// The body.
    pub body: &'a [u8],
}

/// One operation.
#[derive(Debug)]
pub struct Operation {
    /// Whose.
    pub service: Service,
    /// Its name in the service's model.
    pub name: &'static str,
    /// How a request says that it is this one.
    pub route: Route,
    /// Whether it answers a list in pages, and who cuts these.
    pub paging: Paging,
    /// Whether a request of it may be signed in its query, to be handed to somebody else.
    pub may_be_presigned: bool,
    /// The action of AWS's that it is weighed as, where its method is another operation's too; else the method's own.
    pub action: Option<&'static str>,
    read: fn(&Input<'_>) -> Result<Asked, AwsError>,
}

/// Whether an operation answers a list in pages, and who cuts these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paging {
    /// It answers no list, or one that the service's model has no pages of.
    None,
    /// The service that has the list.
    Service,
    /// The door, out of a list that is there whole, as the service answers it or as the door knows it: of one user's, role's, profile's
    /// or provider's, or of Kubernetes' versions, never more than some tens of items.
    Door,
}

/// How a request says which operation it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// By verb and path; `{label}` stands for one segment.
    Rest {
        /// The HTTP method.
        verb: &'static str,
        /// The path.
        template: &'static str,
    },
    /// By the parameter `Action`.
    Action,
}

impl Operation {
    /// An operation of EKS.
    pub(super) const fn rest(
        name: &'static str,
        verb: &'static str,
        template: &'static str,
        read: fn(&Input<'_>) -> Result<Asked, AwsError>,
    ) -> Self {
        Self::new(Service::Eks, name, Route::Rest { verb, template }, read)
    }

    /// An operation of a service that speaks Query.
    pub(super) const fn action(
        service: Service,
        name: &'static str,
        read: fn(&Input<'_>) -> Result<Asked, AwsError>,
    ) -> Self {
        Self::new(service, name, Route::Action, read)
    }

    const fn new(
        service: Service,
        name: &'static str,
        route: Route,
        read: fn(&Input<'_>) -> Result<Asked, AwsError>,
    ) -> Self {
        Self { service, name, route, paging: Paging::None, may_be_presigned: false, action: None, read }
    }

    /// What refusals call it: the action of its name that policies speak of, which is Lanyard's where the operation is.
    #[must_use]
    pub fn named_action(&self) -> String {
        let is_own = OWN_OPERATIONS.contains(&(self.service, self.name));
        format!("{}:{}", if is_own { "lanyard" } else { self.service.as_str() }, self.name)
    }

    /// The member of the model by which its request names a cluster. In the path both are called `name`.
    #[must_use]
    pub fn cluster_parameter(&self) -> &'static str {
        match self.name {
            "CreateCluster"
            | "DescribeCluster"
            | "DeleteCluster"
            | "UpdateClusterConfig"
            | "DescribeUpdate"
            | "ListUpdates" => "name",
            _ => "clusterName",
        }
    }

    /// The same, of another service than EKS.
    pub(super) const fn of(self, service: Service) -> Self {
        Self { service, ..self }
    }

    /// The same, answering in pages.
    pub(super) const fn paged(self) -> Self {
        Self { paging: Paging::Service, ..self }
    }

    /// The same, answering in pages that the door cuts out of all that there is.
    pub(super) const fn cut_at_the_door(self) -> Self {
        Self { paging: Paging::Door, ..self }
    }

    /// The same, weighed as an action of its own.
    pub(super) const fn weighed_as(self, action: &'static str) -> Self {
        Self { action: Some(action), ..self }
    }

    /// The same, also signed in the query.
    pub(super) const fn presigned(self) -> Self {
        Self { may_be_presigned: true, ..self }
    }
}

/// The operations of all services.
pub const OPERATIONS: [&[Operation]; 4] =
    [eks::OPERATIONS, eks_auth::OPERATIONS, iam::OPERATIONS, sts::OPERATIONS];

/// Those of them that no service of AWS's has: Lanyard's own, each asked in the protocol of the service that it stands at. There is no
/// model of these, and no SDK has them; they are weighed by Lanyard's own actions.
pub const OWN_OPERATIONS: [(Service, &str); 1] = [(Service::Sts, "GetCallerPolicies")];

/// A request whose operation is known.
#[derive(Debug)]
pub struct Found<'a> {
    /// The operation.
    pub operation: &'static Operation,
    /// The labels of its path, decoded.
    pub labels: Vec<(&'static str, Cow<'a, str>)>,
    parameters: Parameters<'a>,
    body: &'a [u8],
}

impl Found<'_> {
    /// A label of the path; nothing where the operation has none of that name.
    #[must_use]
    pub fn label(&self, name: &str) -> &str {
        self.labels.iter().find(|(label, _)| *label == name).map_or("", |(_, value)| value)
    }

    /// The versions of Kubernetes that a request of `DescribeClusterVersions` asks for, the oldest first.
    ///
    /// # Errors
    /// [`AwsError`] names the filter and the rule that it breaks.
    pub fn kubernetes_versions(&self) -> Result<Vec<KubernetesRelease>, AwsError> {
        eks::kubernetes_versions(&self.parameters)
    }

    /// The management call that the request makes, for this caller.
    ///
    /// # Errors
    /// [`AwsError`] names the parameter and the rule that it breaks.
    pub fn read(&self, caller: &Caller<'_>) -> Result<Asked, AwsError> {
        let input = Input::new(self, caller, &self.parameters, self.body);
        let page = match self.operation.paging {
            Paging::Door => Some(page_query(Some(match self.operation.service.protocol() {
                Protocol::RestJson => input.page()?,
                Protocol::Query => input.marker_page()?,
            }))),
            Paging::None | Paging::Service => None,
        };
        Ok(Asked { page, ..(self.operation.read)(&input)? })
    }
}

/// Which operation of a service a request is. The service is the one that the request was signed for: it owns the operation.
///
/// # Errors
/// [`AwsError`] for a request that is none, or that cannot be taken apart.
pub fn find<'a>(service: Service, call: &HttpCall<'a>) -> Result<Found<'a>, AwsError> {
    match service.protocol() {
        Protocol::RestJson => rest(service, call),
        Protocol::Query => action(service, call),
    }
}

fn of(service: Service) -> impl Iterator<Item = &'static Operation> {
    OPERATIONS.into_iter().flatten().filter(move |operation| operation.service == service)
}

fn rest<'a>(service: Service, call: &HttpCall<'a>) -> Result<Found<'a>, AwsError> {
    let protocol = Protocol::RestJson;
    let found = of(service).find_map(|operation| Some((operation, routed(operation, call)?)));
    let (operation, labels) = found.ok_or_else(|| {
        let (method, path) = (lanyard_iam::shown(call.method), lanyard_iam::shown(call.path));
        let message = format!("no operation of {} has the method `{method}` on `{path}`", service.as_str());
        AwsError::unknown_operation(message)
    })?;
    let labels = labels.into_iter().map(|(label, raw)| Some((label, decode_segment(raw)?)));
    let labels = labels.collect::<Option<Vec<_>>>().ok_or_else(|| {
        let message = "the path is not percent-encoded UTF-8: after % there have to be two hex digits";
        AwsError::malformed(protocol, message)
    })?;
    let has_body = matches!(operation.route, Route::Rest { verb: "POST" | "PUT", .. });
    if !has_body && !call.body.is_empty() {
        let message = format!("{} has no body: its parameters stand in path and query", operation.name);
        return Err(AwsError::malformed(protocol, message));
    }
    let parameters = Parameters::parse(call.query, protocol)?;
    Ok(Found { operation, labels, parameters, body: call.body })
}

/// The labels of a path, still encoded, where it is an operation's. Segments that a signer would take out of the path are in
/// none: what is routed is what was signed.
fn routed<'a>(operation: &'static Operation, call: &HttpCall<'a>) -> Option<Vec<(&'static str, &'a str)>> {
    let Route::Rest { verb, template } = operation.route else { return None };
    if verb != call.method || call.path.len() > PATH_BYTES_MAX {
        return None;
    }
    let mut labels = Vec::new();
    let (mut segments, mut wanted) = (call.path.split('/'), template.split('/'));
    loop {
        match (segments.next(), wanted.next()) {
            (None, None) => return Some(labels),
            (Some(segment), Some(want)) => {
                match want.strip_prefix('{').and_then(|want| want.strip_suffix('}')) {
                    Some(label) if !matches!(segment, "" | "." | "..") => labels.push((label, segment)),
                    Some(_) => return None,
                    None if segment == want => {}
                    None => return None,
                }
            }
            _ => return None,
        }
    }
}

/// The service that a request of the Query protocol asks where no signature says whose it is: the one whose version it names, or without
/// a known one whose operation. None of what cannot be taken apart.
#[must_use]
pub fn asked_by_query(call: &HttpCall<'_>) -> Option<Service> {
    let parameters = Parameters::of_query(call).ok()?;
    let said = |name| parameters.one(Service::Sts, name).ok().flatten();
    let (action, version) = (said("Action"), said("Version"));
    let speaking = || Service::ALL.into_iter().filter(|service| service.protocol() == Protocol::Query);
    let has = |service: Service| of(service).any(|operation| Some(operation.name) == action);
    speaking()
        .find(|service| version == Some(service.version()))
        .or_else(|| speaking().find(|service| has(*service)))
}

/// What a client does whose operation there is none of for who has signed it: on a hub that has nothing of what it asks for, or where
/// nobody signs.
fn instead_of(service: Service, action: &str) -> Option<&'static str> {
    match service {
        Service::Iam => instead_of_iams(action),
        Service::Sts if action == sts::ASSUME_ROLE_WITH_WEB_IDENTITY => {
            Some(": nobody signs it, for the token is the proof; send it without a signature")
        }
        _ => None,
    }
}

fn instead_of_iams(action: &str) -> Option<&'static str> {
    const MANAGED: [&str; 5] =
        ["CreatePolicy", "GetPolicy", "ListPolicies", "DeletePolicy", "ListEntitiesForPolicy"];
    let is_attached = action.starts_with("Attach") || action.starts_with("Detach");
    if is_attached
        || action.ends_with("PermissionsBoundary")
        || MANAGED.iter().any(|name| action.starts_with(name))
    {
        return Some(
            ": there are no managed policies on this hub; put inline ones by PutUserPolicy and PutRolePolicy",
        );
    }
    let is_of_groups = action.contains("Group");
    is_of_groups.then_some(": there are no groups on this hub; put policies on users and roles")
}

fn action<'a>(service: Service, call: &HttpCall<'a>) -> Result<Found<'a>, AwsError> {
    if call.path != "/" || !matches!(call.method, "GET" | "POST") {
        let message =
            format!("Could not find operation: {} is asked by GET or POST on `/`", service.as_str());
        return Err(AwsError::new("InvalidAction", 400, message));
    }
    let parameters = Parameters::of_query(call)?;
    let (action, version) = (parameters.one(service, "Action")?, parameters.one(service, "Version")?);
    let action = action.filter(|action| !action.is_empty());
    let action =
        action.ok_or_else(|| AwsError::new("MissingAction", 400, "the parameter Action is missing"))?;
    let unknown = || {
        let (action, version) = (lanyard_iam::shown(action), lanyard_iam::shown(version.unwrap_or_default()));
        let instead = instead_of(service, &action).unwrap_or_default();
        let message = match version.is_empty() {
            true => format!(
                "Could not find operation {action} for no version: give Version={}",
                service.version()
            ),
            false => format!("Could not find operation {action} for version {version}{instead}"),
        };
        AwsError::new("InvalidAction", 400, message)
    };
    let operation = of(service).find(|operation| operation.name == action).ok_or_else(unknown)?;
    if version != Some(service.version()) {
        return Err(unknown());
    }
    Ok(Found { operation, labels: Vec::new(), parameters, body: b"" })
}
