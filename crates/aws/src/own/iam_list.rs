//! IAM as the hub: who there is in an account.

use std::time::Duration;

use lanyard_iam::{AccountId, Partition, PrincipalArn, PrincipalId, PrincipalIdKind, PrincipalKind};
use tokio::time::{Instant, sleep, timeout_at};

use super::call::{Call, Whose};
use super::iam::{IAM, place};
use super::wire::Unreadable;
use super::{AwsClient, AwsFault};
use crate::xml::{Element, XmlError};

/// Principals asked for in one call: a hundred roles with the longest trust policies stay under the limit of an answer.
const PAGE_ITEMS: &str = "100";

/// Users or roles of an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListedPrincipals {
    /// Unique ids and ARNs, with their paths.
    pub principals: Vec<(PrincipalId, PrincipalArn)>,
    /// Whether these are all.
    pub complete: bool,
}

/// One page of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedPage {
    pub(crate) principals: Vec<(PrincipalId, PrincipalArn)>,
    pub(crate) marker: Option<String>,
}

impl AwsClient {
    /// The users, or else the roles, of an account whose path begins with `under` (`ListUsers`, `ListRoles`), page by page within
    /// the configured bounds ([`ListingOptions`](super::ListingOptions)).
    ///
    /// # Errors
    /// [`AwsFault`]: AWS has not told of anybody, for whatever reason. Where it has told of some, these are the answer.
    pub async fn principals(
        &self,
        partition: Partition,
        account: AccountId,
        users: bool,
        under: &str,
    ) -> Result<ListedPrincipals, AwsFault> {
        let action = if users { "iam:ListUsers" } else { "iam:ListRoles" };
        let mut listed = ListedPrincipals::default();
        let mut marker: Option<String> = None;
        let end = Instant::now() + Duration::from_millis(self.inner.listing.milliseconds);
        while listed.principals.len() < self.inner.listing.principals_max {
            let mut parameters = vec![("MaxItems", PAGE_ITEMS), ("PathPrefix", under)];
            parameters.extend(marker.as_deref().map(|marker| ("Marker", marker)));
            let call = Call::query(IAM, place(partition), action, &parameters);
            let whose = Whose::Account(partition, account);
            let read =
                self.call(whose, &call, |answer| principals_in(&answer.body, (partition, account), users));
            let page = match timeout_at(end, read).await {
                Ok(Ok(page)) => page,
                // The hub's own limit of calls: the next page has room in a moment.
                Ok(Err(AwsFault::Limited { retry_after, .. })) if Instant::now() + retry_after < end => {
                    sleep(retry_after).await;
                    continue;
                }
                // What was told is worth more than nothing, as long as it says that it is not all.
                Ok(Err(_)) | Err(_) if !listed.principals.is_empty() => return Ok(listed),
                Ok(Err(fault)) => return Err(fault),
                Err(_) => {
                    let limit = Duration::from_millis(self.inner.listing.milliseconds);
                    return Err(AwsFault::TimedOut { host: place(partition).0, limit });
                }
            };
            listed.principals.extend(page.principals);
            marker = page.marker;
            if marker.is_none() {
                listed.complete = true;
                break;
            }
        }
        listed.principals.truncate(self.inner.listing.principals_max);
        Ok(listed)
    }
}

/// The principals in the answer to `ListUsers` or `ListRoles`: of the account and kind that were asked about.
pub(crate) fn principals_in(
    body: &[u8],
    (partition, account): (Partition, AccountId),
    users: bool,
) -> Result<ListedPage, Unreadable> {
    let (response, result, list, id, kind) = match users {
        true => ("ListUsersResponse", "ListUsersResult", "Users", "UserId", PrincipalIdKind::User),
        false => ("ListRolesResponse", "ListRolesResult", "Roles", "RoleId", PrincipalIdKind::Role),
    };
    let root = Element::parse(body, response)?;
    let result = root.one(result)?;
    let mut principals = Vec::new();
    for member in result.one(list)?.all("member") {
        let unreadable = |error: &dyn std::fmt::Display| Unreadable::new(error.to_string());
        let arn = PrincipalArn::parse(member.text_of("Arn")?).map_err(|error| unreadable(&error))?;
        let id = PrincipalId::parse(member.text_of(id)?).map_err(|error| unreadable(&error))?;
        let is_kind = match arn.kind {
            PrincipalKind::User { .. } => users,
            PrincipalKind::Role { .. } => !users,
            _ => false,
        };
        if !is_kind || (arn.partition, arn.account) != (partition, account) || id.kind() != kind {
            return Err(Unreadable::new("it is about other principals"));
        }
        principals.push((id, arn));
    }
    Ok(ListedPage { principals, marker: marker_in(result)? })
}

/// Where the next page begins.
fn marker_in(result: &Element) -> Result<Option<String>, XmlError> {
    if result.maybe_text_of("IsTruncated")? != Some("true") {
        return Ok(None);
    }
    result.text_of("Marker").map(|marker| Some(marker.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(members: &str, rest: &str) -> String {
        format!(
            "<ListRolesResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><ListRolesResult><Roles>{members}</Roles>\
             {rest}</ListRolesResult></ListRolesResponse>"
        )
    }

    fn role(arn: &str, id: &str) -> String {
        format!("<member><Path>/</Path><RoleId>{id}</RoleId><RoleName>x</RoleName><Arn>{arn}</Arn></member>")
    }

    fn read(body: &str, users: bool) -> Result<ListedPage, Unreadable> {
        let place = (Partition::Aws, AccountId::parse("111122223333").unwrap());
        principals_in(body.as_bytes(), place, users)
    }

    #[test]
    fn a_page_tells_who_there_is_and_whether_it_goes_on() {
        let dev = role("arn:aws:iam::111122223333:role/team/dev", "AROAJQMBGRDVXV2OGF4SM");
        let last = read(&page(&dev, "<IsTruncated>false</IsTruncated>"), false).unwrap();
        assert_eq!(last.principals.len(), 1);
        assert_eq!(last.principals[0].1.to_string(), "arn:aws:iam::111122223333:role/team/dev");
        assert_eq!(last.marker, None);
        let more = read(&page(&dev, "<IsTruncated>true</IsTruncated><Marker>a/b+</Marker>"), false).unwrap();
        assert_eq!(more.marker.as_deref(), Some("a/b+"));
        assert_eq!(read(&page("", ""), false).unwrap().principals, Vec::new());
        for wrong in [
            page(&role("arn:aws:iam::444455556666:role/dev", "AROAJQMBGRDVXV2OGF4SM"), ""),
            page(&role("arn:aws-cn:iam::111122223333:role/dev", "AROAJQMBGRDVXV2OGF4SM"), ""),
            page(&role("arn:aws:iam::111122223333:user/dev", "AROAJQMBGRDVXV2OGF4SM"), ""),
            page(&role("arn:aws:iam::111122223333:role/dev", "AIDAJQMBGRDVXV2OGF4SM"), ""),
            page(&role("dev", "AROAJQMBGRDVXV2OGF4SM"), ""),
            page(&dev, "<IsTruncated>true</IsTruncated>"),
            "<ListUsersResponse/>".to_owned(),
            String::new(),
        ] {
            assert!(read(&wrong, false).is_err(), "{wrong}");
        }
        assert!(read(&page(&dev, ""), true).is_err());
    }
}
