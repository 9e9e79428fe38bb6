//! What an operation is read from, and the call that is made of it.

use std::{cell::OnceCell, ops::RangeInclusive};

use bytes::Bytes;
use lanyard_iam::shown;
use lanyard_proto::call::v1 as call;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::{
    AwsError, PageKey, json,
    operation::{Found, Paging, Service},
    parameters::Parameters,
};
use crate::{
    ids::{CLUSTER_NAME_CHARS_MAX, ClusterId},
    mapping::{AuthenticationMode, Rule},
    methods::{Managed, Method},
    mutation::{ClientRequestToken, PAGE_ITEMS_MAX, PageQuery},
};

/// Parameters that say which page is asked for, and so are not among those that a page token is bound to; and those that every
/// request of the Query protocol has.
const OF_PAGES: [&str; 6] = ["nextToken", "maxResults", "Marker", "MaxItems", "Action", "Version"];

/// What is known of a caller and not said by the request: names mean what they mean in the caller's own account.
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    /// The unique id of the principal, session name included.
    pub principal: &'a str,
    /// The name of the user who calls, by key or by a session of their own; none where a role does.
    pub user_name: Option<&'a str>,
    /// The region that the request was signed for.
    pub region: &'a str,
    /// What this hub has of the cluster of that name in the caller's account and this region.
    pub cluster: &'a dyn Fn(&str) -> Option<KnownCluster>,
    /// The hub's secrets for page tokens: the first seals, all open.
    pub page_secrets: &'a [Zeroizing<[u8; 32]>],
}

impl std::fmt::Debug for Caller<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caller")
            .field("principal", &self.principal)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

/// A cluster that a name means.
#[derive(Debug, Clone)]
pub struct KnownCluster {
    /// Its id on this hub.
    pub id: ClusterId,
    /// Which mappings count.
    pub mode: AuthenticationMode,
}

/// A management call that a request makes.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The method.
    pub method: &'static Method,
    /// The message.
    pub message: Bytes,
    /// The cluster that it names and the caller's account has not: it is weighed, and then there is nothing to do. In the message
    /// its name stands in place of an id.
    pub unknown_cluster: Option<String>,
    /// What the cluster's state has in the way of the call, for whoever may make it.
    pub in_the_way: Option<AwsError>,
    /// What seals the page token of the answer, if that has one.
    pub page_key: Option<PageKey>,
    /// The page that is asked for, where the door cuts it.
    pub page: Option<PageQuery>,
}

/// A request to be read.
pub(super) struct Input<'a> {
    found: &'a Found<'a>,
    caller: &'a Caller<'a>,
    parameters: &'a Parameters<'a>,
    body: &'a [u8],
    cluster: Option<Result<KnownCluster, String>>,
    /// What seals the token of the next page, and as a rule has sealed that of this one.
    sealing: OnceCell<PageKey>,
}

impl<'a> Input<'a> {
    pub(super) fn new(
        found: &'a Found<'a>,
        caller: &'a Caller<'a>,
        parameters: &'a Parameters<'a>,
        body: &'a [u8],
    ) -> Self {
        let name = found.label("name");
        let cluster = (!name.is_empty()).then(|| (caller.cluster)(name).ok_or_else(|| name.to_owned()));
        Self { found, caller, parameters, body, cluster, sealing: OnceCell::new() }
    }

    pub(super) fn service(&self) -> Service {
        self.found.operation.service
    }

    /// The region that the request was signed for.
    pub(super) fn region(&self) -> &str {
        self.caller.region
    }

    /// The name of the user who calls.
    pub(super) fn user_name(&self) -> Option<&str> {
        self.caller.user_name
    }

    /// The items of a list of the Query protocol, each by the name of its parameter.
    pub(super) fn members(&self, list: &str) -> Result<Vec<String>, AwsError> {
        self.parameters.members(self.service(), list)
    }

    /// Whether there is anything of a parameter, a list or a structure of the Query protocol.
    pub(super) fn is_given(&self, name: &str) -> bool {
        self.parameters.is_given(name)
    }

    /// Whether there is anything of a list.
    pub(super) fn has_items(&self, name: &str) -> bool {
        self.parameters.has_items(name)
    }

    /// A whole number within the model's limits, that may be left out.
    pub(super) fn number(&self, name: &str, within: RangeInclusive<u32>) -> Result<Option<u32>, AwsError> {
        self.parameters.number(self.service(), name, within)
    }

    /// A label of the path.
    pub(super) fn label(&self, name: &str) -> &str {
        self.found.label(name)
    }

    /// The id of the cluster in the path; of one that is not there, its name, which is looked up no more.
    pub(super) fn cluster(&self) -> Result<String, AwsError> {
        let parameter = self.found.operation.cluster_parameter();
        match &self.cluster {
            Some(Ok(known)) => Ok(known.id.to_string()),
            Some(Err(name)) => match ClusterId::of_name(name) {
                Ok(name) => Ok(name.to_string()),
                Err(error) => {
                    let rule = format!("`{}` is no cluster's name, which has {}", shown(name), error.rule);
                    Err(self.invalid(parameter, &rule))
                }
            },
            None => {
                let rule = format!("1 to {CLUSTER_NAME_CHARS_MAX} characters have to be given");
                Err(self.invalid(parameter, &rule))
            }
        }
    }

    /// A parameter of the query or form, if it is given.
    pub(super) fn parameter(&self, name: &str) -> Result<Option<&'a str>, AwsError> {
        self.parameters.one(self.service(), name)
    }

    /// All parameters of the query or form.
    pub(super) fn query(&self) -> &'a Parameters<'a> {
        self.parameters
    }

    /// The values of a parameter that may stand again.
    pub(super) fn parameters(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.parameters.all(name)
    }

    /// The body's members.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, AwsError> {
        json::read(self.body)
    }

    /// Which page is asked for.
    pub(super) fn page(&self) -> Result<call::PageQuery, AwsError> {
        let items_max = match self.parameter("maxResults")? {
            None => 0,
            Some(text) => text
                .parse()
                .ok()
                .filter(|count| (1..=PAGE_ITEMS_MAX).contains(count))
                .ok_or_else(|| self.invalid("maxResults", "it has to be a number from 1 to 100"))?,
        };
        let token = self.page_token("nextToken")?;
        Ok(call::PageQuery { items_max, token })
    }

    /// The service's own token of the page that is asked for; empty for the first.
    pub(super) fn page_token(&self, name: &str) -> Result<String, AwsError> {
        match self.parameter(name)? {
            None | Some("") => Ok(String::new()),
            Some(token) => {
                let mut others = self.caller.page_secrets.iter().skip(1);
                let opened = self.sealing_key().and_then(|key| key.open(token));
                let opened = opened.or_else(|| others.find_map(|secret| self.page_key(secret).open(token)));
                opened.ok_or_else(|| {
                    let rule =
                        "it is not the token of another page of this very list; leave it out to begin anew";
                    self.invalid(name, rule)
                })
            }
        }
    }

    /// What goes with a change: the token that its caller gave it, so that it counts once. SDKs make one up for each call.
    pub(super) fn once(&self, token: Option<String>) -> Result<Option<call::Mutation>, AwsError> {
        let Some(token) = token else { return Ok(None) };
        match token.parse::<ClientRequestToken>() {
            Ok(token) => {
                Ok(Some(call::Mutation { client_request_token: token.to_string(), ..Default::default() }))
            }
            Err(error) => Err(self.invalid("clientRequestToken", &error.to_string())),
        }
    }

    /// The call with this message.
    pub(super) fn asks<M: Managed>(&self, message: &M) -> Asked {
        Asked {
            method: M::METHOD,
            message: message.encode_to_vec().into(),
            unknown_cluster: self.cluster.as_ref().and_then(|cluster| cluster.as_ref().err()).cloned(),
            in_the_way: None,
            page_key: match self.found.operation.paging {
                Paging::None => None,
                Paging::Service | Paging::Door => self.sealing_key().cloned(),
            },
            page: None,
        }
    }

    /// The call with this message, about access entries: EKS has none of them in mode CONFIG_MAP.
    pub(super) fn asks_of_entries<M: Managed>(&self, message: &M) -> Asked {
        let is_without =
            matches!(&self.cluster, Some(Ok(known)) if known.mode == AuthenticationMode::ConfigMap);
        let text = Rule::AuthenticationMode.eks_text().unwrap_or_default();
        let in_the_way = is_without.then(|| AwsError::new("InvalidRequestException", 400, text));
        Asked { in_the_way, ..self.asks(message) }
    }

    /// A parameter that breaks a rule.
    pub(super) fn invalid(&self, name: &str, rule: &str) -> AwsError {
        AwsError::invalid_parameter(self.service(), format!("{name}: {rule}"))
    }

    /// A parameter that has to be given.
    pub(super) fn required<T>(&self, name: &str, value: Option<T>) -> Result<T, AwsError> {
        value.ok_or_else(|| self.invalid(name, "it is missing and has to be given"))
    }

    /// The list's key by the secret that seals; none where there is no secret.
    fn sealing_key(&self) -> Option<&PageKey> {
        let secret = self.caller.page_secrets.first()?;
        Some(self.sealing.get_or_init(|| self.page_key(secret)))
    }

    fn page_key(&self, secret: &[u8; 32]) -> PageKey {
        let operation = self.found.operation;
        let labels = self.found.labels.iter().flat_map(|(name, value)| [*name, &**value]);
        let own = self.parameters.iter().filter(|(name, _)| !OF_PAGES.contains(name));
        let list = [self.caller.principal, self.caller.region, operation.service.as_str(), operation.name];
        let parts = list.into_iter().chain(labels).chain(own.flat_map(|(name, value)| [name, value]));
        PageKey::derive(secret, parts)
    }
}
