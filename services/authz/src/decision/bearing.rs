//! Whether a review bears a proof.

use lanyard_api::{Extra, proof::EXTRA_KEY};

/// What stands under our key in a review's `extra`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bearing<'a> {
    /// Nothing: the key is not there.
    Nothing,
    /// One value.
    One(&'a str),
    /// Several values, or none: nothing that mapping makes.
    Unfit,
}

/// Looks for the proof. Front proxies change the letter case of keys, so it does not count; values under several spellings
/// are several values.
pub(crate) fn proof_in(extra: &Extra) -> Bearing<'_> {
    let mut values =
        extra.iter().filter(|(key, _)| key.eq_ignore_ascii_case(EXTRA_KEY)).map(|(_, values)| values);
    match (values.next().map(Vec::as_slice), values.next()) {
        (None, _) => Bearing::Nothing,
        (Some([one]), None) => Bearing::One(one),
        (Some(_), _) => Bearing::Unfit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_is_one_value_under_our_key_in_any_letter_case() {
        type Extra = &'static [(&'static str, &'static [&'static str])];
        let cases: [(Extra, Bearing<'_>); 9] = [
            (&[], Bearing::Nothing),
            (&[("arn", &["x"])], Bearing::Nothing),
            (&[("lanyard.dev/proofs", &["x"])], Bearing::Nothing),
            (&[("lanyard.dev/proof", &["x"])], Bearing::One("x")),
            (&[("Lanyard.Dev/Proof", &["x"]), ("arn", &["y", "z"])], Bearing::One("x")),
            (&[("lanyard.dev/proof", &["x", "y"])], Bearing::Unfit),
            (&[("lanyard.dev/proof", &["x", "x"])], Bearing::Unfit),
            (&[("lanyard.dev/proof", &[])], Bearing::Unfit),
            (&[("lanyard.dev/proof", &["x"]), ("LANYARD.DEV/PROOF", &["x"])], Bearing::Unfit),
        ];
        for (extra, expected) in cases {
            let texts = |values: &[&str]| values.iter().map(ToString::to_string).collect::<Vec<_>>();
            let extra: lanyard_api::Extra =
                extra.iter().map(|(key, values)| (key.to_string().into(), texts(values))).collect();
            assert_eq!(proof_in(&extra), expected, "{extra:?}");
        }
    }
}
