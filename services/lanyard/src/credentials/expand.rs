//! Variables within the value of a variable, as AWS's tools have them in the paths of their files.

/// Puts the values of variables in place of `$NAME` and `${NAME}` (Python's `os.path.expandvars`, by which botocore's
/// `configloader.raw_config_parse` takes a path). One that is not set stands as it is written.
pub(super) fn variables(text: &str, value_of: impl Fn(&str) -> Option<String>) -> String {
    let is_of_a_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        let braced = after.strip_prefix('{').and_then(|inside| inside.split_once('}'));
        let (name, behind) =
            braced.unwrap_or_else(|| after.split_at(after.find(|c| !is_of_a_name(c)).unwrap_or(after.len())));
        match value_of(name) {
            Some(value) => expanded.push_str(&value),
            None => {
                expanded.push('$');
                expanded.push_str(after.strip_suffix(behind).unwrap_or_default());
            }
        }
        rest = behind;
    }
    expanded.push_str(rest);
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With what `os.path.expandvars` answers.
    #[test]
    fn variables_that_are_set_are_put_in_and_others_stand() {
        let value_of = |name: &str| {
            let value = match name {
                "A" => "x",
                "B_1" => "y",
                "E" => "",
                _ => return None,
            };
            Some(value.to_owned())
        };
        for (text, expected) in [
            ("/plain", "/plain"),
            ("$A/b", "x/b"),
            ("${A}b/$B_1", "xb/y"),
            ("$A$A", "xx"),
            ("$E/x", "/x"),
            ("é$Aé", "éxé"),
            ("$NOPE/x", "$NOPE/x"),
            ("${A}${NOPE}z", "x${NOPE}z"),
            ("${A", "${A"),
            ("$-x", "$-x"),
            ("a$", "a$"),
        ] {
            assert_eq!(variables(text, value_of), expected, "{text}");
        }
    }
}
