//! What a request claims to be signed for: how an endpoint of several services knows which of them is meant.

use super::authorization::{AuthorizationParts, CredentialScope};
use super::presigned::PresignedParts;
use super::{HttpRequest, SigV4Error};

/// Region and service of a request's credential scope, before anything of its signature was judged. Whoever chooses what to
/// expect by them has [`super::SignedRequest`] verify just that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedScope {
    /// The region.
    pub region: String,
    /// The service.
    pub service: String,
}

impl ClaimedScope {
    /// Takes the scope from wherever the request has its signature.
    ///
    /// # Errors
    /// [`SigV4Error::Unsigned`] where it has none, [`SigV4Error::SignedTwice`] where it has two, and what is out of form.
    pub fn of(request: &HttpRequest<'_>) -> Result<Self, SigV4Error> {
        let authorization = request.single_header("authorization")?;
        let parts = PresignedParts::parse(request.query)?;
        match (authorization, parts.is_signed()) {
            (Some(_), true) => Err(SigV4Error::SignedTwice),
            (None, false) => Err(SigV4Error::Unsigned),
            (Some(text), false) => Self::of_credential(AuthorizationParts::parse(text)?.1.credential),
            (None, true) => {
                let credential = parts.credential.ok_or(SigV4Error::MissingParameter("X-Amz-Credential"))?;
                Self::of_credential(&credential)
            }
        }
    }

    fn of_credential(credential: &str) -> Result<Self, SigV4Error> {
        let (_, scope) = CredentialScope::parse(credential)?;
        Ok(Self { region: scope.region.to_owned(), service: scope.service.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimed(query: &str, headers: &[(&str, &str)]) -> Result<ClaimedScope, SigV4Error> {
        ClaimedScope::of(&HttpRequest { method: "GET", path: "/", query, headers })
    }

    #[test]
    fn the_scope_is_where_the_signature_is_and_there_is_one() {
        let credential = "AKIAIOSFODNN7EXAMPLE/20150830/eu-west-1/eks/aws4_request";
        let header = format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=00");
        let query = format!("X-Amz-Credential={}", credential.replace('/', "%2F"));
        let found = Ok(ClaimedScope { region: "eu-west-1".to_owned(), service: "eks".to_owned() });
        assert_eq!(claimed("", &[("Authorization", &header)]), found);
        assert_eq!(claimed(&query, &[]), found);
        assert_eq!(claimed(&query, &[("authorization", &header)]), Err(SigV4Error::SignedTwice));
        assert_eq!(claimed("Action=GetCallerIdentity", &[]), Err(SigV4Error::Unsigned));
        let missing = SigV4Error::MissingParameter("X-Amz-Credential");
        assert_eq!(claimed("X-Amz-Signature=00", &[]), Err(missing));
        assert_eq!(claimed("X-Amz-Credential=a", &[]), Err(SigV4Error::MalformedCredential));
        assert_eq!(claimed("", &[("authorization", "Bearer x")]), Err(SigV4Error::Algorithm));
        let twice = [("authorization", &*header), ("authorization", &*header)];
        assert_eq!(claimed("", &twice), Err(SigV4Error::DuplicateHeader("authorization".to_owned())));
    }
}
