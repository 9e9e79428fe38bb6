//! Page tokens over gRPC: opaque, and of one list with its arguments alone (AIP-158).

use lanyard_proto::{
    AccessEntryPage, authn::v1 as authn, authz::v1 as authz, call::v1 as pb, credentials::v1 as credentials,
    mapping::v1 as mapping,
};

use crate::{
    aws_wire::PageKey,
    fault::CallError,
    methods::{Managed, request_digest},
};

/// Tokens are no secret: they tell nothing that the list does not, and the list asks for permission each time.
const KEY: [u8; 32] = [0; 32];

/// A request for a page of a list.
pub(crate) trait Paged: Managed {
    /// Which page.
    fn page_mut(&mut self) -> &mut Option<pb::PageQuery>;
}

/// A page of a list.
pub(crate) trait Paging {
    /// What the next page is asked for by.
    fn next_token_mut(&mut self) -> &mut Option<String>;
}

macro_rules! lists {
    ($($request:ty),+ $(,)?; $($page:ty),+ $(,)?) => {
        $(impl Paged for $request {
            fn page_mut(&mut self) -> &mut Option<pb::PageQuery> {
                &mut self.page
            }
        })+
        $(impl Paging for $page {
            fn next_token_mut(&mut self) -> &mut Option<String> {
                &mut self.next_token
            }
        })+
    };
}

lists! {
    authn::ListAccountsRequest,
    authn::ListUsersRequest,
    authn::ListRolesRequest,
    authn::ListOidcProvidersRequest,
    authn::ListInstanceProfilesRequest,
    authn::ListInstanceProfilesForRoleRequest,
    mapping::ListClustersRequest,
    mapping::ListNodesRequest,
    mapping::ListAccessEntriesRequest,
    mapping::ListAssociatedAccessPoliciesRequest,
    mapping::ListAccessPoliciesRequest,
    mapping::ListIdentityProviderConfigsRequest,
    mapping::ListBlocksRequest,
    mapping::ListUpdatesRequest,
    authz::ListObjectsRequest,
    credentials::ListServiceAccountsRequest,
    credentials::ListPodIdentityAssociationsRequest;
    authn::AccountPage,
    authn::UserPage,
    authn::IamRolePage,
    authn::OidcProviderPage,
    authn::InstanceProfilePage,
    mapping::ClusterPage,
    mapping::NodePage,
    AccessEntryPage,
    mapping::PolicyAssociationPage,
    mapping::AccessPolicyPage,
    mapping::IdentityProviderConfigPage,
    mapping::BlockPage,
    mapping::ClusterUpdatePage,
    authz::ObjectPage,
    credentials::ServiceAccountPage,
    credentials::PodIdentityAssociationPage,
}

/// The tokens of one list: those of other arguments, or of another list, it does not take.
pub(crate) struct Listing(PageKey);

impl Listing {
    /// Puts in place of a request's token where the page before ended.
    ///
    /// # Errors
    /// [`CallError`] names `page.token` where it is none of this list.
    pub(crate) fn open<M: Paged>(mut request: M) -> Result<(Self, M), CallError> {
        let page = request.page_mut().take();
        let arguments = hex::encode(request_digest(&request));
        let listing = Self(PageKey::derive(&KEY, [M::METHOD.path, &arguments]));
        *request.page_mut() = page.map(|page| listing.opened(page)).transpose()?;
        Ok((listing, request))
    }

    fn opened(&self, page: pb::PageQuery) -> Result<pb::PageQuery, CallError> {
        if page.token.is_empty() {
            return Ok(page);
        }
        let token = self.0.open(&page.token).ok_or_else(|| {
            let message = "no page of this list ends there: send the `next_token` of the page before with the same arguments, or begin \
                anew without one";
            CallError::invalid("page.token", "page_token", message)
        })?;
        Ok(pb::PageQuery { token, ..page })
    }

    /// The answer with a token in place of where its page ends.
    pub(crate) fn close<A: Paging>(&self, mut answer: A) -> A {
        let last = answer.next_token_mut().take();
        *answer.next_token_mut() = last.map(|last| self.0.seal(&last));
        answer
    }
}

/// What is no list has no tokens.
pub(crate) struct NoListing;

impl NoListing {
    /// The answer as it is.
    #[allow(clippy::unused_self, reason = "it stands where a list has its tokens")]
    pub(crate) fn close<A>(self, answer: A) -> A {
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(path_prefix: &str, token: &str, items_max: u32) -> authn::ListUsersRequest {
        let page = pb::PageQuery { items_max, token: token.to_owned() };
        authn::ListUsersRequest { account: None, page: Some(page), path_prefix: path_prefix.to_owned() }
    }

    fn opened(request: authn::ListUsersRequest) -> Result<String, CallError> {
        let (_, request) = Listing::open(request)?;
        Ok(request.page.unwrap_or_default().token)
    }

    #[test]
    fn a_token_is_opaque_and_of_one_list_with_its_arguments() {
        let (listing, _) = Listing::open(asked("/team/", "", 2)).unwrap();
        let page = authn::UserPage { items: Vec::new(), next_token: Some("ana".to_owned()) };
        let token = listing.close(page).next_token.unwrap();
        assert!(!token.contains("ana"), "{token}");
        // Each page may have another size.
        for items_max in [0, 2, 50] {
            assert_eq!(opened(asked("/team/", &token, items_max)).unwrap(), "ana");
        }
        assert_eq!(opened(asked("/team/", "", 2)).unwrap(), "");
        let refused = |answer: Result<String, CallError>| {
            assert!(
                matches!(&answer, Err(CallError::Invalid { field, rule: "page_token", .. }) if field == "page.token"),
                "{answer:?}"
            );
        };
        let mut forged = token.clone();
        forged.replace_range(..1, if token.starts_with('A') { "B" } else { "A" });
        for other in [
            opened(asked("/", &token, 2)),
            opened(asked("/team/", "ana", 2)),
            opened(asked("/team/", &forged, 2)),
        ] {
            refused(other);
        }
        let roles = authn::ListRolesRequest {
            account: None,
            page: Some(pb::PageQuery { items_max: 2, token }),
            path_prefix: "/team/".to_owned(),
        };
        refused(Listing::open(roles).map(|_| String::new()));
    }

    #[test]
    fn the_last_page_has_no_token_and_a_first_page_needs_none() {
        let request = authn::ListUsersRequest { page: None, ..asked("", "", 0) };
        let (listing, request) = Listing::open(request).unwrap();
        assert_eq!(request.page, None);
        assert_eq!(listing.close(authn::UserPage::default()).next_token, None);
    }
}
