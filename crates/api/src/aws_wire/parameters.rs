//! Names and values of a query or a form, each name at most once.

use std::{borrow::Cow, collections::BTreeMap, ops::Bound};

use lanyard_iam::sigv4::{QUERY_PARAMETERS_MAX, decode_query};

use super::{
    AwsError,
    operation::{HttpCall, Protocol, Service},
};

/// Most items of a list that is looked for; all lists of the models are shorter.
const ITEMS_MAX: usize = 200;

/// Decoded parameters, in the order of their names. In the Query protocol a name stands once; in a REST query it may stand again
/// where the operation takes a list.
#[derive(Debug, Default)]
pub(super) struct Parameters<'a> {
    values: BTreeMap<Cow<'a, str>, Vec<Cow<'a, str>>>,
}

impl<'a> Parameters<'a> {
    /// Reads `name=value&…`, leaving out the parts of a signature.
    pub(super) fn parse(text: &'a str, protocol: Protocol) -> Result<Self, AwsError> {
        let mut parameters = Self::default();
        for (count, pair) in text.split('&').filter(|pair| !pair.is_empty()).enumerate() {
            if count >= QUERY_PARAMETERS_MAX {
                let message = format!("there are more than {QUERY_PARAMETERS_MAX} parameters");
                return Err(AwsError::malformed(protocol, message));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(name), Some(value)) = (decode_query(name), decode_query(value)) else {
                let message =
                    "a parameter is not percent-encoded UTF-8: after % there have to be two hex digits";
                return Err(AwsError::malformed(protocol, message));
            };
            let is_of_signature = name.get(..6).is_some_and(|begin| begin.eq_ignore_ascii_case("x-amz-"));
            if !is_of_signature {
                parameters.values.entry(name).or_default().push(value);
            }
        }
        if protocol == Protocol::Query {
            parameters.once()?;
        }
        Ok(parameters)
    }

    /// Those of a call of the Query protocol, which stand in the query or in the body.
    pub(super) fn of_query(call: &HttpCall<'a>) -> Result<Self, AwsError> {
        let protocol = Protocol::Query;
        let form = std::str::from_utf8(call.body)
            .map_err(|_| AwsError::malformed(protocol, "the body is not UTF-8: send it as a form"))?;
        let (query, form) = (Self::parse(call.query, protocol)?, Self::parse(form, protocol)?);
        match (query.is_empty(), form.is_empty()) {
            (false, false) => {
                let message = "parameters stand in the query and in the body: send all of them in one place";
                Err(AwsError::new("InvalidParameterCombination", 400, message))
            }
            (true, _) => Ok(form),
            (false, true) => Ok(query),
        }
    }

    /// Each name once, in whatever letter case: no reader of the request takes another value for it than the next one.
    fn once(&self) -> Result<(), AwsError> {
        let mut seen: Vec<String> = Vec::with_capacity(self.values.len());
        for (name, values) in &self.values {
            let folded = name.to_ascii_lowercase();
            if values.len() > 1 || seen.contains(&folded) {
                let message = format!("the parameter `{}` stands more than once", lanyard_iam::shown(name));
                return Err(AwsError::new("InvalidQueryParameter", 400, message));
            }
            seen.push(folded);
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// All names and values, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().flat_map(|(name, values)| values.iter().map(|value| (&**name, &**value)))
    }

    /// The values of a name that may stand again.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values.get(name).into_iter().flatten().map(AsRef::as_ref)
    }

    /// The value of a name that may stand once.
    pub(super) fn one(&self, service: Service, name: &str) -> Result<Option<&str>, AwsError> {
        match self.values.get(name).map(Vec::as_slice) {
            None | Some([]) => Ok(None),
            Some([value]) => Ok(Some(value)),
            Some(_) => Err(AwsError::invalid_parameter(service, format!("{name}: it stands more than once"))),
        }
    }

    /// The items of a list as the Query protocol writes one, `Name.member.1`, `Name.member.2`, up to the first that is missing: for
    /// each the name of its parameter, under which it or its members stand.
    pub(super) fn members(&self, list: &str) -> Vec<String> {
        let there = |prefix: &str| {
            let bounds = (Bound::Included(prefix), Bound::Unbounded);
            let from = self.values.range::<str, _>(bounds).next();
            from.is_some_and(|(name, _)| {
                name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            })
        };
        (1..=ITEMS_MAX)
            .map(|number| format!("{list}.member.{number}"))
            .take_while(|name| there(name))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn query(text: &str) -> Result<Parameters<'_>, AwsError> {
        Parameters::parse(text, Protocol::Query)
    }

    #[test]
    fn names_and_values_are_decoded_and_signatures_left_out() {
        let read = query("Action=a%20b+c&Empty=&X-Amz-Signature=00&x-amz-date=1&Bare").unwrap();
        let pairs: Vec<_> = read.iter().collect();
        assert_eq!(pairs, [("Action", "a b c"), ("Bare", ""), ("Empty", "")]);
        assert_eq!(read.one(Service::Sts, "Action"), Ok(Some("a b c")));
        assert_eq!(read.one(Service::Sts, "action"), Ok(None), "names are compared exactly");
    }

    #[test]
    fn immunity_45_a_name_stands_once_in_whatever_letter_case() {
        for twice in ["Action=a&Action=b", "Action=a&action=b", "A=1&%41=2"] {
            assert_eq!(query(twice).unwrap_err().code, "InvalidQueryParameter", "{twice}");
        }
        let rest = Parameters::parse("tagKeys=a&tagKeys=b", Protocol::RestJson).unwrap();
        assert_eq!(rest.all("tagKeys").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(rest.one(Service::Eks, "tagKeys").unwrap_err().code, "InvalidParameterException");
    }

    #[test]
    fn what_is_not_encoded_as_it_should_be_is_refused() {
        for bad in ["a=%", "a=%f", "a=%ff", "%zz=1"] {
            assert_eq!(query(bad).unwrap_err().code, "MalformedQueryString", "{bad}");
            let rest = Parameters::parse(bad, Protocol::RestJson);
            assert_eq!(rest.unwrap_err().code, "SerializationException", "{bad}");
        }
        assert!(query(&"a&".repeat(QUERY_PARAMETERS_MAX + 1)).is_err());
    }

    #[test]
    fn a_list_ends_where_a_number_is_missing() {
        let read = query("T.member.1.Key=a&T.member.2=b&T.member.4=d&T.member.10=e&U.member.1=x").unwrap();
        assert_eq!(read.members("T"), ["T.member.1", "T.member.2"]);
        assert_eq!(read.members("V"), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,100}") {
            let _ = query(&text);
            let _ = Parameters::parse(&text, Protocol::RestJson);
        }
    }
}
