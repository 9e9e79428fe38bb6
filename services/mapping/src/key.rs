//! Lookup keys made on the stack, so that looking somebody up allocates nothing.

use lanyard_api::Authority;
use lanyard_iam::{CanonicalArn, EntryPrincipal, PrincipalArn, PrincipalKind};

/// Longest key that is made on the stack, in bytes: an authority, and the ARN of a role. Longer ones take the heap.
const INLINE_BYTES: usize = 256;

/// The key of a principal: who vouches, and its canonical ARN in lower case, for IAM tells names apart ignoring case.
pub(crate) fn principal<R>(authority: &Authority, canonical: &str, then: impl FnOnce(&str) -> R) -> R {
    joined([authority_text(authority), "\n", canonical], true, then)
}

/// The same, kept.
pub(crate) fn principal_owned(authority: &Authority, canonical: &str) -> Box<str> {
    principal(authority, canonical, |key| key.into())
}

/// The key of a unique id: exact, and one authority's ids are not another's.
pub(crate) fn unique_id<R>(authority: &Authority, id: &str, then: impl FnOnce(&str) -> R) -> R {
    joined([authority_text(authority), "\n", id], false, then)
}

/// The key of an ARN, or the beginning of one, in which letter case counts.
pub(crate) fn exact<R>(authority: &Authority, arn: &str, then: impl FnOnce(&str) -> R) -> R {
    joined([authority_text(authority), "\n", arn], false, then)
}

/// The key of an ARN in aws-auth: in lower case.
pub(crate) fn arn<R>(canonical: &str, then: impl FnOnce(&str) -> R) -> R {
    joined([canonical, "", ""], true, then)
}

/// The canonical ARN by which a principal is known once it knocks: a role's path is left out there.
pub(crate) fn known_as(principal: &PrincipalArn) -> CanonicalArn {
    match principal.kind {
        PrincipalKind::Role { .. } => principal.without_path().canonical(),
        _ => principal.canonical(),
    }
}

/// What the one principal is known as whom an entry means; nothing where others could be meant too.
pub(crate) fn one_of(principal: &EntryPrincipal) -> Option<CanonicalArn> {
    match principal {
        EntryPrincipal::One(arn) => Some(known_as(arn)),
        EntryPrincipal::PermissionSet(set) if set.suffix().is_some() => {
            CanonicalArn::parse(&set.role_arn()).ok()
        }
        EntryPrincipal::PermissionSet(_) | EntryPrincipal::Pattern(_) => None,
    }
}

/// `aws` and `local` are no names that an STS's own could be taken for: those are kept with a mark before them.
fn authority_text(authority: &Authority) -> &str {
    match authority {
        Authority::Aws => "!aws",
        Authority::Local => "!local",
        Authority::Sts(name) => name,
    }
}

fn joined<R>(parts: [&str; 3], fold: bool, then: impl FnOnce(&str) -> R) -> R {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut inline = [0_u8; INLINE_BYTES];
    if let Some(buffer) = inline.get_mut(..length) {
        let mut rest = &mut *buffer;
        for part in parts {
            let (head, tail) = rest.split_at_mut(part.len());
            head.copy_from_slice(part.as_bytes());
            rest = tail;
        }
        if fold {
            buffer.make_ascii_lowercase();
        }
        if let Ok(text) = std::str::from_utf8(buffer) {
            return then(text);
        }
    }
    let mut text = parts.concat();
    if fold {
        text.make_ascii_lowercase();
    }
    then(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_holds_authority_and_arn_and_ignores_the_case_of_names_alone() {
        let key = |authority: &Authority, arn: &str| principal_owned(authority, arn);
        let dev = key(&Authority::Aws, "arn:aws:iam::111122223333:role/Dev");
        assert_eq!(dev, key(&Authority::Aws, "arn:aws:iam::111122223333:role/dEV"));
        for (authority, arn) in [
            (Authority::Local, "arn:aws:iam::111122223333:role/dev"),
            (Authority::Sts(String::from("aws")), "arn:aws:iam::111122223333:role/dev"),
            (Authority::Aws, "arn:aws:iam::111122223333:user/dev"),
            (Authority::Aws, "arn:aws:iam::444455556666:role/dev"),
            (Authority::Aws, "arn:aws-cn:iam::111122223333:role/dev"),
            (Authority::Aws, "arn:aws:iam::111122223333:role/dev "),
        ] {
            assert_ne!(dev, key(&authority, arn), "{authority} {arn}");
        }
        let id = |id: &str| unique_id(&Authority::Aws, id, str::to_owned);
        assert_ne!(id("AROAX"), id("AROAx"));
    }

    #[test]
    fn a_key_too_long_for_the_stack_is_the_same_key() {
        let long = format!("arn:aws:iam::111122223333:user/{}/Ana", "Path".repeat(120));
        assert_eq!(&*principal_owned(&Authority::Aws, &long), format!("!aws\n{}", long.to_ascii_lowercase()));
        let fits = "A".repeat(INLINE_BYTES - 5);
        assert_eq!(&*principal_owned(&Authority::Aws, &fits), format!("!aws\n{}", fits.to_ascii_lowercase()));
        assert_eq!(arn("É/X", str::to_owned), "É/x");
    }
}
