//! How a condition compares, read off IAM's documents (User Guide: "IAM JSON policy elements: Condition operators",
//! "Single-valued vs. multivalued context keys", "IAM policy elements: Variables and tags").

use std::net::IpAddr;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::glob;

/// The request's keys, in the order in which they were set.
pub(super) type Keys = [(String, Vec<String>)];

/// The values of a key; names ignore letter case.
pub(super) fn values<'a>(keys: &'a Keys, key: &str) -> Option<&'a Vec<String>> {
    keys.iter().rfind(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, values)| values)
}

/// A value with its variables filled in: each character, and whether it is meant as itself. None where a variable has no
/// single value and no default.
fn filled_in(text: &str, keys: &Keys) -> Option<Vec<(char, bool)>> {
    let Some((before, rest)) = text.split_once("${") else {
        return Some(text.chars().map(|character| (character, false)).collect());
    };
    let (variable, after) = rest.split_once('}').unwrap();
    let (name, default) = match variable.split_once(", ") {
        Some((name, default)) => (name, Some(default.trim_matches('\''))),
        None => (variable, None),
    };
    let value = match (name, values(keys, name).map(Vec::as_slice)) {
        ("*" | "?" | "$", _) => name.to_owned(),
        (_, Some([one])) => one.clone(),
        (_, Some(_)) => return None,
        (_, None) => default?.to_owned(),
    };
    let mut all: Vec<_> = before.chars().map(|character| (character, false)).collect();
    all.extend(value.chars().map(|character| (character, true)));
    all.extend(filled_in(after, keys)?);
    Some(all)
}

/// As text, wildcards being characters like others.
fn text_of(filled: &[(char, bool)]) -> String {
    filled.iter().map(|(character, _)| character).collect()
}

/// As a pattern for [`glob`]: what is meant as itself is put where no pattern has it.
fn fits(filled: &[(char, bool)], text: &str) -> bool {
    let aside = |character: char| match character {
        '*' => '\u{1}',
        '?' => '\u{2}',
        other => other,
    };
    let pattern: String = filled
        .iter()
        .map(|(character, literal)| if *literal { aside(*character) } else { *character })
        .collect();
    // The text's own stars and question marks are either fitted by a wildcard or by a literal one.
    let text: String = text.chars().map(aside).collect();
    glob(&pattern, &text)
}

/// Each of an ARN's six sections by itself; a variable's value reaches into no other.
pub(super) fn fits_arn(pattern: &str, text: &str, keys: &Keys) -> Option<bool> {
    if pattern == "*" {
        return Some(true);
    }
    // The patterns of the model have colons inside `${…}` in no other section than the last.
    let wanted: Vec<&str> = pattern.splitn(6, ':').collect();
    let found: Vec<&str> = text.splitn(6, ':').collect();
    if found.len() != 6 {
        return Some(false);
    }
    let mut all = true;
    for (wanted, found) in wanted.iter().zip(&found) {
        // The first section that is another ends it, before variables behind it matter.
        if all {
            all = fits(&filled_in(wanted, keys)?, found);
        }
    }
    Some(all)
}

/// One value against one of the policy: none where that is not known.
fn is_it(base: &str, value: &str, wanted: &str, keys: &Keys) -> Option<bool> {
    let number = |text: &str| text.parse::<f64>().ok();
    Some(match base {
        "StringEquals" | "StringNotEquals" => text_of(&filled_in(wanted, keys)?) == value,
        "StringEqualsIgnoreCase" | "StringNotEqualsIgnoreCase" => {
            text_of(&filled_in(wanted, keys)?).to_lowercase() == value.to_lowercase()
        }
        "StringLike" | "StringNotLike" => fits(&filled_in(wanted, keys)?, value),
        "ArnEquals" | "ArnLike" | "ArnNotEquals" | "ArnNotLike" => fits_arn(wanted, value, keys)?,
        "Bool" => {
            let known = |text: &str| ["true", "false"].contains(&text.to_lowercase().as_str());
            known(value) && value.to_lowercase() == wanted.to_lowercase()
        }
        "BinaryEquals" => {
            let decoded = match wanted {
                "dQ==" => "u",
                "dnY=" => "vv",
                other => unreachable!("{other}"),
            };
            decoded == value
        }
        "IpAddress" | "NotIpAddress" => in_range(value, wanted),
        _ => match (base.strip_prefix("Numeric"), base.strip_prefix("Date")) {
            (Some(order), _) => in_order(order, number(value), number(wanted)),
            (None, Some(order)) => in_order(order, moment(value), moment(wanted)),
            (None, None) => unreachable!("{base}"),
        },
    })
}

fn in_order<T: PartialOrd>(order: &str, found: Option<T>, wanted: Option<T>) -> bool {
    let (Some(found), Some(wanted)) = (found, wanted) else { return false };
    match order {
        "Equals" | "NotEquals" => found == wanted,
        "LessThan" => found < wanted,
        "LessThanEquals" => found <= wanted,
        "GreaterThan" => found > wanted,
        "GreaterThanEquals" => found >= wanted,
        other => unreachable!("{other}"),
    }
}

fn moment(text: &str) -> Option<OffsetDateTime> {
    match text.parse() {
        Ok(seconds) => OffsetDateTime::from_unix_timestamp(seconds).ok(),
        Err(_) => OffsetDateTime::parse(text, &Rfc3339).ok(),
    }
}

/// The bits of an address, as text; an IPv4 address written as IPv6 is that IPv4 address.
fn bits(text: &str) -> Option<String> {
    Some(match text.parse::<IpAddr>().ok()?.to_canonical() {
        IpAddr::V4(address) => format!("{:032b}", u32::from(address)),
        IpAddr::V6(address) => format!("{:0128b}", u128::from(address)),
    })
}

fn in_range(value: &str, range: &str) -> bool {
    let (start, length) = range.split_once('/').unwrap_or((range, "128"));
    let (Some(value), Some(start)) = (bits(value), bits(start)) else { return false };
    let length: usize = length.parse().unwrap();
    value.len() == start.len() && value.bytes().zip(start.bytes()).take(length).all(|(a, b)| a == b)
}

/// Whether a condition holds.
pub(super) fn holds(keys: &Keys, operator: &str, key: &str, wanted: &[String], denies: bool) -> bool {
    let found = values(keys, key);
    if operator == "Null" {
        return wanted.contains(&found.is_none().to_string());
    }
    let any = operator.starts_with("ForAnyValue:");
    let all = operator.starts_with("ForAllValues:");
    let optional = operator.ends_with("IfExists");
    let base = operator.rsplit(':').next().unwrap().trim_end_matches("IfExists");
    let negative = base.contains("Not");
    let Some(found) = found else { return optional || all || (negative && !any) };
    let one = |value: &String| {
        let answers: Vec<_> = wanted.iter().map(|wanted| is_it(base, value, wanted, keys)).collect();
        match (answers.contains(&Some(true)), answers.contains(&None)) {
            (true, _) => !negative,
            // A value that cannot be known is none that an allow counts on, and for a deny another one.
            (false, true) => denies && negative,
            (false, false) => negative,
        }
    };
    // Many values and no quantifier: an allow needs all of them, a deny any.
    if any || (!all && denies) { found.iter().any(one) } else { found.iter().all(one) }
}
