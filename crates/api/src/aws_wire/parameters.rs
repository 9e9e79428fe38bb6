//! Names and values of a query or a form, each name at most once.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

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
        let mut seen = BTreeSet::new();
        for (name, values) in &self.values {
            if values.len() > 1 || !seen.insert(name.to_ascii_lowercase()) {
                let message = format!("the parameter `{}` stands more than once", lanyard_iam::shown(name));
                return Err(AwsError::new("InvalidQueryParameter", 400, message));
            }
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

    /// A whole number within the model's limits.
    pub(super) fn number(
        &self,
        service: Service,
        name: &str,
        within: RangeInclusive<u32>,
    ) -> Result<Option<u32>, AwsError> {
        let read = |text: &str| {
            text.parse().ok().filter(|number| within.contains(number)).ok_or_else(|| {
                let (least, most) = (within.start(), within.end());
                let rule = format!("{name}: it has to be a whole number from {least} to {most}");
                AwsError::invalid_parameter(service, rule)
            })
        };
        self.one(service, name)?.map(read).transpose()
    }

    /// Whether there is anything of a parameter, a list or a structure. An empty list is written as its bare name (botocore).
    pub(super) fn is_given(&self, name: &str) -> bool {
        self.values.keys().any(|given| part_of(given, name).is_some())
    }

    /// Whether there is anything of a list, or of a parameter that is not empty.
    pub(super) fn has_items(&self, name: &str) -> bool {
        self.iter().any(|(given, value)| {
            part_of(given, name).is_some_and(|part| !(part.is_empty() && value.is_empty()))
        })
    }

    /// The items of a list as the Query protocol writes one, `Name.member.1`, `Name.member.2` and so on: for each the name of its
    /// parameter, under which it or its members stand.
    ///
    /// # Errors
    /// [`AwsError`] where the numbers are not those from 1 on, each once: nothing is taken of a list that is not whole.
    pub(super) fn members(&self, service: Service, list: &str) -> Result<Vec<String>, AwsError> {
        let mut numbers = BTreeSet::new();
        for (name, value) in self.iter() {
            let Some(part) = part_of(name, list) else { continue };
            let is_empty_list = part.is_empty() && value.is_empty();
            if is_empty_list {
                continue;
            }
            let number = part.strip_prefix(".member.").and_then(|rest| rest.split('.').next());
            numbers.insert(number.and_then(item_number).ok_or_else(|| {
                let name = lanyard_iam::shown(name);
                let rule = format!(
                    "{list}: `{name}` is no item of it; write {list}.member.1, {list}.member.2 and so on, \
                     {ITEMS_MAX} at most"
                );
                AwsError::invalid_parameter(service, rule)
            })?);
        }
        if let Some(missing) = (1..=numbers.len()).find(|number| !numbers.contains(number)) {
            let rule = format!("{list}: there are items after {list}.member.{missing}, and it is missing");
            return Err(AwsError::invalid_parameter(service, rule));
        }
        Ok(numbers.iter().map(|number| format!("{list}.member.{number}")).collect())
    }
}

/// What comes after the name of a list or structure in the name of a part of it; nothing in its own, none in any other's.
fn part_of<'n>(name: &'n str, of: &str) -> Option<&'n str> {
    name.strip_prefix(of).filter(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The number of an item, written as numbers are.
fn item_number(text: &str) -> Option<usize> {
    let number: usize = text.parse().ok().filter(|number| (1..=ITEMS_MAX).contains(number))?;
    (number.to_string() == text).then_some(number)
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
    fn a_list_is_whole_or_refused() {
        let members = |text: &str| query(text).unwrap().members(Service::Iam, "T");
        let ten: Vec<_> = (1..=10).map(|number| format!("T.member.{number}")).collect();
        assert_eq!(members(&ten.join("=&")), Ok(ten.clone()));
        assert_eq!(
            members("T.member.1.Key=a&T.member.1.Value=&T.member.2=b&U.member.1=x").unwrap(),
            ten[..2]
        );
        assert_eq!(members("T.member.2=b&T.member.1=a").unwrap(), ten[..2], "in whatever order");
        for none in ["", "T=", "Tags.member.2=a", "t.member.2=a"] {
            assert_eq!(members(none), Ok(Vec::new()), "{none}");
        }
        let broken = [
            "T.member.1=a&T.member.3=c",
            "T.member.2.Key=a",
            "T.member.0=a",
            "T.member.01=a",
            "T.member.-1=a",
            "T.member.x=a",
            "T.member=a",
            "T.member.=a",
            "T.1=a",
            "T.Member.1=a",
            "T=a",
            "T.member.1=a&T.member.201=b",
            "T.member.99999999999999999999=a",
        ];
        for text in broken {
            let error = members(text).unwrap_err();
            assert_eq!((&*error.code, error.message.starts_with("T: ")), ("ValidationError", true), "{text}");
        }
    }

    #[test]
    fn a_number_is_within_its_limits() {
        let number = |text: &str| query(text).unwrap().number(Service::Sts, "N", 900..=43_200);
        for (text, expected) in [("", None), ("N=900", Some(900)), ("N=43200", Some(43_200))] {
            assert_eq!(number(text), Ok(expected), "{text}");
        }
        for text in ["N=", "N=0", "N=899", "N=43201", "N=-1", "N=1.5", "N=soon", "N=4294968196"] {
            let error = number(text).unwrap_err();
            assert_eq!(error.message, "N: it has to be a whole number from 900 to 43200", "{text}");
        }
    }

    #[test]
    fn a_structure_is_given_by_any_part_of_it() {
        let read = query("A.member.1=x&B=&C.D.E=1&Fg=1").unwrap();
        let given = ["A", "B", "C", "C.D", "D", "F"].map(|name| read.is_given(name));
        assert_eq!(given, [true, true, true, true, false, false]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,100}") {
            let _ = query(&text);
            let _ = Parameters::parse(&text, Protocol::RestJson);
        }
    }
}
