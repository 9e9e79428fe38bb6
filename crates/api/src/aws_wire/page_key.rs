//! Page tokens: sealed for one caller and one list, so that nobody reads, makes up or hands on one.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::voucher::keyed;

/// Bytes of the MAC before the sealed text: as many as an AES block, which nobody guesses online.
const MAC_BYTES: usize = 16;

/// Longest token that is looked at, in bytes: the keys of lists are ARNs and names.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// Seals the page tokens of one list of one caller: the key is made of the caller, the operation and all of its parameters but the
/// page's own. The token is sealed as in SIV mode, so that the same page has the same token on every replica.
#[derive(Clone, PartialEq, Eq)]
pub struct PageKey([u8; 32]);

impl fmt::Debug for PageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PageKey(..)")
    }
}

impl PageKey {
    /// The key of a list, from the hub's secret for page tokens. All parts count, in this order.
    pub fn derive<'p>(secret: &[u8; 32], parts: impl IntoIterator<Item = &'p str>) -> Self {
        let mut mac = keyed(secret);
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        Self(mac.finalize().into_bytes().into())
    }

    /// A key as it came over the wire between services.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key's bytes, for that wire.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The token for the page after `last`.
    #[must_use]
    pub fn seal(&self, last: &str) -> String {
        let keyed = keyed(&self.0);
        let mac = mac_of(&keyed, last.as_bytes());
        let mut sealed = mac.to_vec();
        sealed.extend_from_slice(last.as_bytes());
        mask(&keyed, &mac, sealed.get_mut(MAC_BYTES..).unwrap_or_default());
        URL_SAFE_NO_PAD.encode(sealed)
    }

    /// Where the page before ended; none for a token of another list, caller or hub, or of nobody's making.
    #[must_use]
    pub fn open(&self, token: &str) -> Option<String> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let mut sealed = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (mac, text) = sealed.split_at_mut_checked(MAC_BYTES)?;
        let mac: [u8; MAC_BYTES] = (&*mac).try_into().ok()?;
        let keyed = keyed(&self.0);
        mask(&keyed, &mac, text);
        bool::from(mac_of(&keyed, text).ct_eq(&mac)).then(|| String::from_utf8(text.to_vec()).ok()).flatten()
    }
}

/// Under a list's key, which is taken in once for all that is made by it.
fn mac_of(keyed: &Hmac<Sha256>, text: &[u8]) -> [u8; MAC_BYTES] {
    let mut mac = keyed.clone();
    mac.update(b"text");
    mac.update(text);
    let whole: [u8; 32] = mac.finalize().into_bytes().into();
    std::array::from_fn(|at| whole.get(at).copied().unwrap_or_default())
}

/// The same in both directions.
fn mask(keyed: &Hmac<Sha256>, mac: &[u8; MAC_BYTES], text: &mut [u8]) {
    for (number, block) in text.chunks_mut(32).enumerate() {
        let mut stream = keyed.clone();
        stream.update(b"mask");
        stream.update(mac);
        stream.update(&(number as u64).to_be_bytes());
        let stream = stream.finalize().into_bytes();
        block.iter_mut().zip(stream).for_each(|(byte, mask)| *byte ^= mask);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(parts: &[&str]) -> PageKey {
        PageKey::derive(&[7; 32], parts.iter().copied())
    }

    #[test]
    fn a_token_is_of_one_list_of_one_caller_and_cannot_be_read() {
        let own = key(&["AIDA1", "ListAccessEntries", "dev"]);
        let last = LAST;
        let token = own.seal(last);
        assert_eq!(own.open(&token).as_deref(), Some(last));
        let shown = String::from_utf8_lossy(&URL_SAFE_NO_PAD.decode(&token).unwrap()).into_owned();
        assert!(!shown.contains("ana") && !token.contains("ana"), "{shown}");
        let others = [
            key(&["AIDA2", "ListAccessEntries", "dev"]),
            key(&["AIDA1", "ListClusters", "dev"]),
            key(&["AIDA1", "ListAccessEntries", "prod"]),
            key(&["AIDA1", "ListAccessEntriesdev"]),
            PageKey::derive(&[8; 32], ["AIDA1", "ListAccessEntries", "dev"]),
        ];
        for (number, other) in others.iter().enumerate() {
            assert_eq!(other.open(&token), None, "{number}");
        }
        for bad in ["", "x", "AAAA", last, &"A".repeat(9000), &format!("{token}A"), &token[1..]] {
            assert_eq!(own.open(bad), None, "{bad}");
        }
        assert_eq!(format!("{own:?}"), "PageKey(..)");
    }

    /// Where a page ended, and its token by another implementation of the same rule.
    const LAST: &str = "arn:aws:iam::111122223333:user/ana-with-a-name-longer-than-one-block";
    const SEALED: &str = "7cuqnxIEqMqm9mE8BfxbcZHB5D03W4FOOj5PSnUvaX6_fGeJh7VZU4PyzSFLL11S6h0rQJaHAoBviysoERtiTtZNXRnpbeUeP-KYggIr55K--MTa";

    #[test]
    fn a_token_stays_what_it_was_for_those_who_go_on_with_theirs_at_a_newer_hub() {
        let token = key(&["AIDA1", "ListAccessEntries", "dev"]).seal(LAST);
        assert_eq!(token, SEALED);
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_and_nothing_else_does(last in "\\PC{0,80}", at in 0_usize..200, bit in 0_u8..8) {
            let own = key(&["a"]);
            let token = own.seal(&last);
            prop_assert_eq!(own.open(&token), Some(last));
            let mut altered = URL_SAFE_NO_PAD.decode(&token).unwrap();
            let at = at % altered.len();
            altered[at] ^= 1 << bit;
            prop_assert_eq!(own.open(&URL_SAFE_NO_PAD.encode(altered)), None);
        }

        #[test]
        fn any_text_is_opened_or_refused(token in "\\PC{0,80}") {
            let _ = key(&["a"]).open(&token);
        }
    }
}
