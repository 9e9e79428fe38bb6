//! The `Authorization` header.

use super::{ALGORITHM, ALGORITHM_PREFIX, AmzDate, SCOPE_END, SIGNED_HEADERS_MAX, SigV4Error, Signature};
use crate::id::AccessKeyId;

/// Longest `Authorization` header that is read, in bytes.
pub(crate) const AUTHORIZATION_BYTES_MAX: usize = 8192;

/// An `Authorization` header taken apart; nothing of it has been believed yet.
#[derive(Clone, Debug)]
pub struct Authorization<'a> {
    pub(crate) credential: Credential<'a>,
    pub(crate) signed_headers: Vec<&'a str>,
    pub(crate) signature: Signature,
}

impl<'a> Authorization<'a> {
    /// Reads `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`, the three in this order, each once.
    ///
    /// # Errors
    /// Names the part that is out of form.
    pub fn parse(text: &'a str) -> Result<Self, SigV4Error> {
        let (algorithm, parts) = AuthorizationParts::parse(text)?;
        if algorithm != ALGORITHM {
            return Err(SigV4Error::Algorithm);
        }
        let credential = Credential::parse(parts.credential)?;
        let signed_headers = signed_headers(parts.signed_headers)?;
        let signature = Signature::parse(parts.signature).ok_or(SigV4Error::MalformedSignature)?;
        Ok(Self { credential, signed_headers, signature })
    }

    /// The access key id that claims to have signed.
    #[must_use]
    pub fn access_key_id(&self) -> &AccessKeyId {
        &self.credential.access_key_id
    }
}

/// The three parts of an `Authorization` header of any algorithm, in their order, each once.
pub(crate) struct AuthorizationParts<'a> {
    pub(crate) credential: &'a str,
    pub(crate) signed_headers: &'a str,
    pub(crate) signature: &'a str,
}

impl<'a> AuthorizationParts<'a> {
    /// The algorithm, and the parts.
    pub(crate) fn parse(text: &'a str) -> Result<(&'a str, Self), SigV4Error> {
        let malformed = SigV4Error::MalformedAuthorization;
        if text.len() > AUTHORIZATION_BYTES_MAX {
            return Err(malformed("length"));
        }
        let (algorithm, rest) = text.trim().split_once(' ').ok_or(malformed("algorithm"))?;
        if !algorithm.starts_with(ALGORITHM_PREFIX) {
            return Err(SigV4Error::Algorithm);
        }
        let mut parts = rest.split(',').map(str::trim);
        let mut part = |name: &'static str| {
            let part = parts.next().ok_or(malformed(name))?;
            let (key, value) = part.split_once('=').ok_or(malformed(name))?;
            if key == name { Ok(value) } else { Err(malformed(name)) }
        };
        let credential = part("Credential")?;
        let signed_headers = part("SignedHeaders")?;
        let signature = part("Signature")?;
        match parts.next() {
            Some(_) => Err(malformed("end")),
            None => Ok((algorithm, Self { credential, signed_headers, signature })),
        }
    }
}

/// `KEY/YYYYMMDD/REGION/SERVICE/aws4_request`, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Credential<'a> {
    pub(crate) access_key_id: AccessKeyId,
    pub(crate) scope: CredentialScope<'a>,
}

impl<'a> Credential<'a> {
    pub(crate) fn parse(text: &'a str) -> Result<Self, SigV4Error> {
        let (access_key_id, scope) = CredentialScope::parse(text)?;
        let access_key_id =
            AccessKeyId::from_signature(access_key_id).ok_or(SigV4Error::MalformedCredential)?;
        Ok(Self { access_key_id, scope })
    }
}

/// What a credential is scoped to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CredentialScope<'a> {
    pub(crate) day: &'a str,
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
}

impl<'a> CredentialScope<'a> {
    /// The part before the scope, and the scope.
    pub(crate) fn parse(text: &'a str) -> Result<(&'a str, Self), SigV4Error> {
        let mut parts = text.split('/');
        let (Some(who), Some(day), Some(region), Some(service), Some(SCOPE_END), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(SigV4Error::MalformedCredential);
        };
        let is_day = day.len() == 8 && day.bytes().all(|byte| byte.is_ascii_digit());
        if !is_day || region.is_empty() || service.is_empty() {
            return Err(SigV4Error::MalformedCredential);
        }
        Ok((who, Self { day, region, service }))
    }

    /// The scope has to be the expected one, and of the date's day.
    pub(crate) fn judge(&self, region: &str, service: &str, date: &AmzDate) -> Result<(), SigV4Error> {
        if self.region != region {
            return Err(SigV4Error::Region { found: self.region.to_owned(), expected: region.to_owned() });
        }
        if self.service != service {
            return Err(SigV4Error::Service { found: self.service.to_owned(), expected: service.to_owned() });
        }
        if self.day != date.day() { Err(SigV4Error::ScopeDay) } else { Ok(()) }
    }
}

/// Splits a list of signed headers: lower-case names, sorted, none twice.
pub(crate) fn signed_headers(list: &str) -> Result<Vec<&str>, SigV4Error> {
    let is_name = |name: &str| {
        !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase() && byte != b':')
    };
    if list.split(';').count() > SIGNED_HEADERS_MAX {
        return Err(SigV4Error::TooManySignedHeaders);
    }
    let names: Vec<&str> = list.split(';').collect();
    let sorted = names.iter().zip(names.iter().skip(1)).all(|(before, after)| before < after);
    if sorted && names.iter().all(|name| is_name(name)) {
        Ok(names)
    } else {
        Err(SigV4Error::MalformedSignedHeaders)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIGNATURE: &str = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";

    fn header(credential: &str, signed: &str, signature: &str) -> String {
        format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={signed}, Signature={signature}")
    }

    #[test]
    fn the_header_has_one_form() {
        let good = header(
            "AKIAIOSFODNN7EXAMPLE/20150830/us-east-1/service/aws4_request",
            "host;x-amz-date",
            SIGNATURE,
        );
        for text in [good.clone(), good.replace(", ", ",")] {
            let parsed = Authorization::parse(&text).unwrap();
            assert_eq!(parsed.access_key_id().as_str(), "AKIAIOSFODNN7EXAMPLE");
            assert_eq!(parsed.signed_headers, ["host", "x-amz-date"]);
        }
        let m = SigV4Error::MalformedAuthorization;
        let cases = [
            ("", m("algorithm")),
            ("AWS4-HMAC-SHA256", m("algorithm")),
            ("AWS4-HMAC-SHA256 ", m("algorithm")),
            ("Bearer abc", SigV4Error::Algorithm),
            ("aws4-hmac-sha256 Credential=x", SigV4Error::Algorithm),
            ("AWS4-HMAC-SHA256 x", m("Credential")),
            ("AWS4-HMAC-SHA256 credential=x", m("Credential")),
            ("AWS4-HMAC-SHA256 Credential=x", m("SignedHeaders")),
            (&format!("{good}, Signature={SIGNATURE}"), m("end")),
            (&good.replace("Signature=", "Sig="), m("Signature")),
            (&good.replace("SignedHeaders=host;x-amz-date, ", ""), m("SignedHeaders")),
        ];
        for (text, error) in cases {
            assert_eq!(Authorization::parse(text).unwrap_err(), error, "{text}");
        }
        assert_eq!(Authorization::parse(&"a".repeat(9000)).unwrap_err(), m("length"));
    }

    #[test]
    fn a_credential_has_five_parts() {
        for text in [
            "AKIAIOSFODNN7EXAMPLE",
            "AKIAIOSFODNN7EXAMPLE/20150830/us-east-1/service",
            "AKIAIOSFODNN7EXAMPLE/20150830/us-east-1/service/aws4",
            "AKIAIOSFODNN7EXAMPLE/20150830/us-east-1/service/aws4_request/",
            "AKIAIOSFODNN7EXAMPLE/2015083/us-east-1/service/aws4_request",
            "AKIAIOSFODNN7EXAMPLE/20150830//service/aws4_request",
            "/20150830/us-east-1/service/aws4_request",
            "AKIAIOSFODNN7EXAMPL'/20150830/us-east-1/service/aws4_request",
        ] {
            assert!(matches!(Credential::parse(text), Err(SigV4Error::MalformedCredential)), "{text}");
        }
    }

    #[test]
    fn signed_headers_are_lower_case_sorted_and_unique() {
        assert_eq!(signed_headers("a;b-c;host").unwrap(), ["a", "b-c", "host"]);
        for list in ["", "host;", ";host", "b;a", "a;a", "Host", "host;X-amz-date", "a b", "a;;b", "a:b"] {
            assert_eq!(signed_headers(list), Err(SigV4Error::MalformedSignedHeaders), "{list}");
        }
        let many: Vec<String> = (100..200).map(|n| n.to_string()).collect();
        assert_eq!(signed_headers(&many.join(";")), Err(SigV4Error::TooManySignedHeaders));
    }

    proptest! {
        #[test]
        fn any_header_is_read_or_refused_without_a_panic(text in "\\PC{0,80}", list in "[a-z;,=/ ]{0,40}") {
            let _ = Authorization::parse(&text);
            let _ = Authorization::parse(&format!("AWS4-HMAC-SHA256 Credential={list}, SignedHeaders={text}, Signature={list}"));
            let _ = Authorization::parse(&header("AKIAIOSFODNN7EXAMPLE/20150830/r/s/aws4_request", &list, SIGNATURE));
        }
    }
}
