//! The operators of conditions, by their names.

use super::err::PolicyFault;

/// An operator taken apart: `ForAnyValue:StringNotLikeIfExists` has all four parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Operator {
    pub(super) quantifier: Option<Quantifier>,
    pub(super) test: Test,
    pub(super) negated: bool,
    pub(super) if_exists: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantifier {
    AnyValue,
    AllValues,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    StringEquals {
        ignore_case: bool,
    },
    StringLike,
    /// `ArnEquals` and `ArnLike` are the same in IAM.
    Arn,
    Bool,
    /// Byte for byte, against what the policy has in base64.
    Binary,
    Ip,
    Date(Ordering),
    Number(Ordering),
    Null,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ordering {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Ordering {
    /// Whether `found` stands in this order to `wanted`.
    pub(super) fn holds<T: PartialOrd>(self, found: &T, wanted: &T) -> bool {
        match self {
            Self::Equal => found == wanted,
            Self::Less => found < wanted,
            Self::LessOrEqual => found <= wanted,
            Self::Greater => found > wanted,
            Self::GreaterOrEqual => found >= wanted,
        }
    }
}

impl Operator {
    /// Reads an operator's name; letter case counts.
    pub(super) fn parse(text: &str) -> Result<Self, PolicyFault> {
        let unknown = || PolicyFault::Operator(text.to_owned());
        let (quantifier, rest) = match text.split_once(':') {
            Some(("ForAnyValue", rest)) => (Some(Quantifier::AnyValue), rest),
            Some(("ForAllValues", rest)) => (Some(Quantifier::AllValues), rest),
            Some(_) => return Err(unknown()),
            None => (None, text),
        };
        let (name, if_exists) = rest.strip_suffix("IfExists").map_or((rest, false), |name| (name, true));
        let (test, negated) = match name {
            "StringEquals" => (Test::StringEquals { ignore_case: false }, false),
            "StringNotEquals" => (Test::StringEquals { ignore_case: false }, true),
            "StringEqualsIgnoreCase" => (Test::StringEquals { ignore_case: true }, false),
            "StringNotEqualsIgnoreCase" => (Test::StringEquals { ignore_case: true }, true),
            "StringLike" => (Test::StringLike, false),
            "StringNotLike" => (Test::StringLike, true),
            "ArnEquals" | "ArnLike" => (Test::Arn, false),
            "ArnNotEquals" | "ArnNotLike" => (Test::Arn, true),
            "Bool" => (Test::Bool, false),
            "IpAddress" => (Test::Ip, false),
            "NotIpAddress" => (Test::Ip, true),
            "Null" if quantifier.is_none() && !if_exists => (Test::Null, false),
            "BinaryEquals" => (Test::Binary, false),
            _ => ordered(name).ok_or_else(unknown)?,
        };
        Ok(Self { quantifier, test, negated, if_exists })
    }
}

/// `Date…` and `Numeric…`.
fn ordered(name: &str) -> Option<(Test, bool)> {
    let (test, order): (fn(Ordering) -> Test, &str) = match name.strip_prefix("Date") {
        Some(order) => (Test::Date, order),
        None => (Test::Number, name.strip_prefix("Numeric")?),
    };
    let (order, negated) = match order {
        "Equals" => (Ordering::Equal, false),
        "NotEquals" => (Ordering::Equal, true),
        "LessThan" => (Ordering::Less, false),
        "LessThanEquals" => (Ordering::LessOrEqual, false),
        "GreaterThan" => (Ordering::Greater, false),
        "GreaterThanEquals" => (Ordering::GreaterOrEqual, false),
        _ => return None,
    };
    Some((test(order), negated))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_is_taken_apart() {
        let parsed = Operator::parse("ForAnyValue:StringNotLikeIfExists").unwrap();
        let whole = Operator {
            quantifier: Some(Quantifier::AnyValue),
            test: Test::StringLike,
            negated: true,
            if_exists: true,
        };
        assert_eq!(parsed, whole);
        let date = Operator::parse("DateLessThanEquals").unwrap();
        assert_eq!((date.test, date.negated), (Test::Date(Ordering::LessOrEqual), false));
        assert!(Operator::parse("NumericNotEquals").unwrap().negated);
        assert!(Operator::parse("Null").is_ok());
        let binary = Operator::parse("BinaryEqualsIfExists").unwrap();
        assert_eq!((binary.test, binary.negated, binary.if_exists), (Test::Binary, false, true));
    }

    #[test]
    fn an_unknown_operator_is_refused() {
        for text in [
            "",
            "stringEquals",
            "StringEqual",
            "ForSomeValue:StringEquals",
            "IfExists",
            "NullIfExists",
            "ForAnyValue:Null",
            "DateLike",
            "StringEqualsIfExistsIfExists",
            "ForAnyValue:ForAllValues:StringEquals",
            "NotBool",
            "BinaryNotEquals",
        ] {
            assert_eq!(Operator::parse(text), Err(PolicyFault::Operator(text.to_owned())), "{text}");
        }
    }
}
