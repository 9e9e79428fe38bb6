//! Where entries stand in the lists of a cluster.

use std::borrow::Cow;

use lanyard_api::Authority;

/// What lists are ordered by: whom an entry names, as it is written, and the authority where accounts changed theirs, which sorts as
/// its text does.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place<'a> {
    principals: &'a str,
    authority: Option<Cow<'a, Authority>>,
}

impl<'a> Place<'a> {
    pub(super) fn new(principals: &'a str, authority: &'a Authority) -> Self {
        Self { principals, authority: Some(Cow::Borrowed(authority)) }
    }

    /// The token of a page that ends here. No ARN and no authority holds a blank.
    pub(crate) fn token(&self) -> String {
        match &self.authority {
            Some(authority) => format!("{} {authority}", self.principals),
            None => self.principals.to_owned(),
        }
    }

    /// Where a page ended. Any text is some place: over gRPC tokens are not sealed, and whoever makes one up sees no more than what
    /// they may list.
    pub(crate) fn of_token(token: &'a str) -> Self {
        match token.rsplit_once(' ') {
            Some((principals, authority)) => {
                Self { principals, authority: authority.parse().ok().map(Cow::Owned) }
            }
            None => Self { principals: token, authority: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_in_the_order_of_their_tokens_and_found_by_them() {
        let authorities = ["aws", "local", "sts:a", "sts:b"].map(|text| text.parse::<Authority>().unwrap());
        let principals = [
            "arn:aws:iam::111122223333:role/!/ops",
            "arn:aws:iam::111122223333:role/ops",
            "arn:aws:iam::111122223333:role/ops*",
            "arn:aws:iam::111122223333:role/ops-2",
            "arn:aws:iam::111122223333:user/ana",
        ];
        let places: Vec<_> = principals
            .iter()
            .flat_map(|principals| authorities.iter().map(move |authority| Place::new(principals, authority)))
            .collect();
        assert!(places.is_sorted());
        let tokens: Vec<_> = places.iter().map(Place::token).collect();
        assert!(tokens.is_sorted(), "{tokens:?}");
        for (place, token) in places.iter().zip(&tokens) {
            assert_eq!(Place::of_token(token), *place);
        }
    }

    #[test]
    fn a_text_of_nobodys_making_is_some_place() {
        let ana = "arn:aws:iam::111122223333:user/ana";
        let place = Place::new(ana, &Authority::Aws);
        for before in ["", " ", "a", ana, "arn:aws:iam::111122223333:user/ana nobody"] {
            assert!(Place::of_token(before) < place, "{before}");
        }
        for after in ["b", "arn:aws:iam::111122223333:user/ana local", "ä ä"] {
            assert!(Place::of_token(after) > place, "{after}");
        }
    }
}
