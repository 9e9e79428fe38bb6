//! One condition: an operator, a key, and the values to compare with.

use std::borrow::Cow;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::context::ConditionKeys;
use super::decimal::Decimal;
use super::err::PolicyFault;
use super::operator::{Operator, Ordering, Quantifier, Test};
use super::statement::Effect;
use super::template::{ArnTemplate, Template, Unresolved};

/// Longest name of a condition key, in bytes.
const KEY_BYTES_MAX: usize = 256;
/// Bits of an IPv4 address.
const IPV4_BITS: u32 = 32;
/// Where the minutes of a date end.
const MINUTES_END: usize = "2026-01-01T00:00".len();

/// A condition of a statement; all of a statement's conditions have to hold.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    operator: Operator,
    /// The operator as written, to be shown.
    pub(super) operator_name: Box<str>,
    /// The key as written, to be shown.
    pub(super) key_name: Box<str>,
    key: Box<str>,
    wanted: Wanted,
}

/// The values of a condition, read for its operator.
#[derive(Clone, Debug)]
enum Wanted {
    Equal(Vec<Template>, bool),
    Like(Vec<Template>),
    Arn(Vec<ArnTemplate>),
    Bool(Vec<bool>),
    Binary(Vec<Vec<u8>>),
    Ip(Vec<IpRange>),
    Date(Vec<OffsetDateTime>, Ordering),
    Number(Vec<Decimal>, Ordering),
    Null(Vec<bool>),
}

impl Condition {
    /// Reads the values of a condition. `variables` is whether the document's version has any.
    pub(super) fn parse(
        operator_name: &str,
        key_name: &str,
        values: &[&str],
        variables: bool,
    ) -> Result<Self, PolicyFault> {
        let operator = Operator::parse(operator_name)?;
        if key_name.is_empty() || key_name.len() > KEY_BYTES_MAX || key_name.contains(char::is_whitespace) {
            return Err(PolicyFault::Value {
                value: key_name.to_owned(),
                expected: "the name of a condition key",
            });
        }
        let wanted = match operator.test {
            Test::StringEquals { ignore_case } => {
                Wanted::Equal(each(values, |text| Template::parse(text, variables))?, ignore_case)
            }
            Test::StringLike => Wanted::Like(each(values, |text| Template::parse(text, variables))?),
            Test::Arn => Wanted::Arn(each(values, |text| {
                ArnTemplate::parse(text, variables)?.ok_or_else(|| bad(text, "an ARN of six sections, or *"))
            })?),
            Test::Bool => Wanted::Bool(each(values, |text| read(text, "true or false", boolean))?),
            Test::Binary => Wanted::Binary(each(values, |text| {
                read(text, "base64 of the bytes to compare with", |text| STANDARD.decode(text).ok())
            })?),
            Test::Null => Wanted::Null(each(values, |text| read(text, "true or false", boolean))?),
            Test::Ip => {
                Wanted::Ip(each(values, |text| read(text, "an IP address or CIDR range", IpRange::parse))?)
            }
            Test::Date(order) => {
                let dates = each(values, |text| {
                    read(text, "a date such as 2026-01-01T00:00:00Z, or epoch seconds", date)
                })?;
                Wanted::Date(dates, order)
            }
            Test::Number(order) => {
                Wanted::Number(each(values, |text| read(text, "a number", Decimal::parse))?, order)
            }
        };
        Ok(Self {
            operator,
            operator_name: operator_name.into(),
            key_name: key_name.into(),
            key: key_name.to_ascii_lowercase().into(),
            wanted,
        })
    }

    /// What a key's value has to begin with: of each wanted text the part before its first wildcard or variable, and whether
    /// that is the whole of it. None where the condition asks for no text of this key, or holds without it, or only excludes.
    pub(super) fn wanted_texts(&self, key: &str) -> Option<Vec<(String, bool)>> {
        let Operator { quantifier, negated, if_exists, .. } = self.operator;
        let demands = !negated && !if_exists && quantifier != Some(Quantifier::AllValues);
        if !demands || !self.key.eq_ignore_ascii_case(key) {
            return None;
        }
        match &self.wanted {
            Wanted::Equal(wanted, _) => Some(wanted.iter().map(|one| one.fixed_beginning(false)).collect()),
            Wanted::Like(wanted) => Some(wanted.iter().map(|one| one.fixed_beginning(true)).collect()),
            _ => None,
        }
    }

    /// Whether the condition holds for a statement of this effect. Where the document leaves the answer open, an allow
    /// does not hold and a deny does.
    pub(super) fn holds(&self, keys: &ConditionKeys, effect: Effect) -> bool {
        if keys.is_open(&self.key) {
            return effect == Effect::Allow;
        }
        let found = keys.get_folded(&self.key);
        if let Wanted::Null(wanted) = &self.wanted {
            return wanted.contains(&found.is_none());
        }
        let Some(found) = found else { return self.holds_without_key() };
        let mut each = found.iter().map(|value| self.holds_for(value, keys, effect));
        match (self.operator.quantifier, effect) {
            (Some(Quantifier::AnyValue), _) | (None, Effect::Deny) => each.any(|holds| holds),
            (Some(Quantifier::AllValues), _) | (None, Effect::Allow) => each.all(|holds| holds),
        }
    }

    fn holds_without_key(&self) -> bool {
        self.operator.if_exists
            || match self.operator.quantifier {
                Some(Quantifier::AllValues) => true,
                Some(Quantifier::AnyValue) => false,
                None => self.operator.negated,
            }
    }

    /// For one value of the request: it is among the wanted ones, or, negated, among none of them.
    fn holds_for(&self, value: &str, keys: &ConditionKeys, effect: Effect) -> bool {
        match self.is_wanted(value, keys) {
            Ok(wanted) => wanted != self.operator.negated,
            // Some wanted value cannot be known, and no other one decided: an allow fails, a deny compares as unequal.
            Err(Unresolved) => effect == Effect::Deny && self.operator.negated,
        }
    }

    fn is_wanted(&self, value: &str, keys: &ConditionKeys) -> Result<bool, Unresolved> {
        Ok(match &self.wanted {
            Wanted::Equal(wanted, ignore_case) => {
                return any_known(wanted.iter().map(|template| template.equals(value, *ignore_case, keys)));
            }
            Wanted::Like(wanted) => {
                return any_known(wanted.iter().map(|template| template.matches(value, keys)));
            }
            Wanted::Arn(wanted) => {
                return any_known(wanted.iter().map(|template| template.matches(value, keys)));
            }
            Wanted::Bool(wanted) => boolean(value).is_some_and(|found| wanted.contains(&found)),
            Wanted::Binary(wanted) => wanted.iter().any(|wanted| wanted == value.as_bytes()),
            Wanted::Ip(wanted) => value
                .parse::<IpAddr>()
                .is_ok_and(|address| wanted.iter().any(|range| range.contains(address.to_canonical()))),
            Wanted::Date(wanted, order) => {
                date(value).is_some_and(|found| wanted.iter().any(|wanted| order.holds(&found, wanted)))
            }
            Wanted::Number(wanted, order) => Decimal::parse(value)
                .is_some_and(|found| wanted.iter().any(|wanted| order.holds(&found, wanted))),
            Wanted::Null(_) => false,
        })
    }
}

/// Whether any answer is yes; open when none is and one is not known.
fn any_known(answers: impl Iterator<Item = Result<bool, Unresolved>>) -> Result<bool, Unresolved> {
    let mut open = false;
    for answer in answers {
        match answer {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(Unresolved) => open = true,
        }
    }
    if open { Err(Unresolved) } else { Ok(false) }
}

fn each<T>(values: &[&str], parse: impl Fn(&str) -> Result<T, PolicyFault>) -> Result<Vec<T>, PolicyFault> {
    values.iter().map(|text| parse(text)).collect()
}

fn read<T>(text: &str, expected: &'static str, parse: impl Fn(&str) -> Option<T>) -> Result<T, PolicyFault> {
    parse(text).ok_or_else(|| bad(text, expected))
}

fn bad(text: &str, expected: &'static str) -> PolicyFault {
    PolicyFault::Value { value: text.to_owned(), expected }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// A date of ISO 8601 as W3C profiles it (IAM: "Date condition operators"), or epoch seconds. A year alone is epoch seconds.
fn date(text: &str) -> Option<OffsetDateTime> {
    if let Ok(seconds) = text.parse::<i64>() {
        return OffsetDateTime::from_unix_timestamp(seconds).ok();
    }
    let whole = match text.split_at_checked(MINUTES_END) {
        // Hours and minutes, with the zone right behind them.
        Some((minutes, zone)) if zone.starts_with(['Z', '+', '-']) => {
            Cow::Owned(format!("{minutes}:00{zone}"))
        }
        _ if text.len() == "2026-01".len() => Cow::Owned(format!("{text}-01T00:00:00Z")),
        _ if text.len() == "2026-01-01".len() => Cow::Owned(format!("{text}T00:00:00Z")),
        _ => Cow::Borrowed(text),
    };
    OffsetDateTime::parse(&whole, &Rfc3339).ok()
}

/// An address, or all of a range.
#[derive(Clone, Copy, Debug)]
struct IpRange {
    bits: u128,
    mask: u128,
    is_v4: bool,
}

impl IpRange {
    fn parse(text: &str) -> Option<Self> {
        let (address, length) =
            text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let address: IpAddr = address.parse().ok()?;
        let width: u32 = if address.is_ipv4() { IPV4_BITS } else { 128 };
        let length = match length {
            None => width,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok()?,
            Some(_) => return None,
        };
        let host_bits = width.checked_sub(length)?;
        // Callers of IPv4 are compared as such, however their address came; so is a range of theirs written as IPv6.
        let address = if host_bits <= IPV4_BITS { address.to_canonical() } else { address };
        let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
        Some(Self { bits: bits_of(address) & mask, mask, is_v4: address.is_ipv4() })
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.is_v4 == address.is_ipv4() && bits_of(address) & self.mask == self.bits
    }
}

fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

#[cfg(test)]
mod tests;
