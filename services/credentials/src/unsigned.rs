//! How often a stranger may ask. Whoever asks without a signature is known by nothing but the address that the door saw, until a token
//! is verified: then it is whom the token names that has asked, and not the address, which a whole cluster may have.

use std::{net::IpAddr, sync::Arc, time::Instant};

use lanyard_api::Fault;
use lanyard_iam::TokenDigest;
use lanyard_kit::limits::{Buckets, network_of};
use quick_cache::sync::Cache;

use crate::{
    config::{UnsignedConfig, WebIdentityConfig},
    shares::{Parts, Quotas, Shares, throttled},
};

/// Addresses that are remembered at once, each in about 50 bytes.
const ADDRESSES_MAX: usize = 65_536;
/// What one subscriber has of IPv6 at least (RFC 6177), in bits: any number of addresses in it costs nothing.
const V6_PREFIX_BITS: u32 = 64;

/// Tokens that were verified and are remembered, by their hashes, those used last; each in some 200 bytes.
const KNOWN_MAX: usize = 16_384;
/// What the subjects of ServiceAccounts begin with, before the namespace.
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";
/// Most characters of a subject that tell tenants apart.
const TENANT_CHARS_MAX: usize = 256;

/// Whose a verified token is, as far as its bursts go.
#[derive(Debug, PartialEq, Eq)]
struct Bearer {
    issuer: String,
    tenant: String,
}

/// The buckets of strangers, and of those whose tokens were verified.
pub(crate) struct Strangers {
    of_address: Buckets<Option<IpAddr>>,
    of_all: Buckets<()>,
    of_bearers: Shares<String>,
    known: Cache<TokenDigest, Arc<Bearer>>,
}

impl Strangers {
    pub(crate) fn new(unsigned: &UnsignedConfig, web_identity: &WebIdentityConfig) -> Self {
        let quotas = Quotas {
            of_one: web_identity.per_namespace,
            guaranteed: web_identity.per_namespace_guaranteed,
            of_all: web_identity.per_issuer,
        };
        let parts = Parts {
            of_one: "this namespace's share of sessions by web identity",
            of_all: "what the namespaces of this issuer share of sessions by web identity",
        };
        Self {
            of_address: Buckets::new(unsigned.per_address, ADDRESSES_MAX),
            of_all: Buckets::new(unsigned.all, 1),
            of_bearers: Shares::new(quotas, parts),
            known: Cache::new(KNOWN_MAX),
        }
    }

    /// Takes one call. Whoever is over the limit of an address takes nothing of what all share; those without an address share one.
    pub(crate) fn admit(&self, from: Option<IpAddr>, now: Instant) -> Result<(), Fault> {
        let of_address = self.of_address.take(from.map(network), now);
        of_address.map_err(throttled("this address's share of unsigned calls"))?;
        self.of_all.take((), now).map_err(throttled("the hub's share of unsigned calls"))
    }

    /// Takes one call of whoever bears a token. One that was verified before, of a tenant who is over their limit, takes nothing of what
    /// the others at that address have, nor is it verified again.
    pub(crate) fn admit_bearer(
        &self,
        from: Option<IpAddr>,
        token: TokenDigest,
        now: Instant,
    ) -> Result<(), Fault> {
        if let Some(bearer) = self.known.get(&token) {
            self.of_bearers.has_room(&bearer.issuer, &bearer.tenant, now)?;
        }
        self.admit(from, now)
    }

    /// A call that was admitted as a stranger's turns out to be of a verified identity: it counts as that one's, and no longer as the
    /// address's.
    pub(crate) fn verified(
        &self,
        from: Option<IpAddr>,
        token: TokenDigest,
        (issuer, subject): (&str, &str),
        now: Instant,
    ) -> Result<(), Fault> {
        self.of_address.give_back(&from.map(network), now);
        self.of_all.give_back(&(), now);
        let bearer = Bearer { issuer: issuer.to_owned(), tenant: tenant(subject) };
        let taken = self.of_bearers.take(&bearer.issuer, &bearer.tenant, now);
        self.known.insert(token, Arc::new(bearer));
        taken
    }
}

/// Whose burst a subject's is: its namespace's where it is a ServiceAccount, and otherwise that of what stands before its second colon, as
/// `repo:octo-org/octo-repo` of a job at GitHub, or of all of it.
fn tenant(subject: &str) -> String {
    let colons = if subject.starts_with(SERVICE_ACCOUNT) { 3 } else { 2 };
    let parts: Vec<&str> = subject.splitn(colons + 1, ':').take(colons).collect();
    parts.join(":").chars().take(TENANT_CHARS_MAX).collect()
}

/// What counts as one address.
fn network(address: IpAddr) -> IpAddr {
    network_of(address, V6_PREFIX_BITS)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lanyard_kit::limits::Quota;

    use super::*;

    fn strangers(per_address: u32, all: u32) -> Strangers {
        let quota = |burst| Quota { per_second: 1, burst };
        let web_identity = WebIdentityConfig {
            per_namespace: quota(4),
            per_namespace_guaranteed: quota(2),
            per_issuer: quota(3),
        };
        Strangers::new(&UnsignedConfig { per_address: quota(per_address), all: quota(all) }, &web_identity)
    }

    #[test]
    fn immunity_28_an_address_has_its_share_and_leaves_others_theirs() {
        let (strangers, now) = (strangers(2, 100), Instant::now());
        let ask = |from: &str| strangers.admit(Some(from.parse().unwrap()), now);
        let cases = [
            ("192.0.2.1", true),
            ("192.0.2.1", true),
            ("192.0.2.1", false),
            ("::ffff:192.0.2.1", false),
            ("192.0.2.2", true),
            ("2001:db8:0:1::1", true),
            ("2001:db8:0:1:ffff::2", true),
            ("2001:db8:0:1::3", false),
            ("2001:db8:0:2::1", true),
        ];
        for (from, is_let_in) in cases {
            assert_eq!(ask(from).is_ok(), is_let_in, "{from}");
        }
        let fault = ask("192.0.2.1").unwrap_err();
        assert!(matches!(fault, Fault::Throttled { retry_after: Some(_), .. }), "{fault:?}");
        assert!(strangers.admit(Some("192.0.2.1".parse().unwrap()), now + Duration::from_secs(1)).is_ok());
    }

    #[test]
    fn immunity_28_all_together_have_a_share_and_so_have_those_without_an_address() {
        let (few, now) = (strangers(2, 3), Instant::now());
        let from = |last: u8| Some(IpAddr::from([192, 0, 2, last]));
        assert!((1..=3).all(|last| few.admit(from(last), now).is_ok()));
        assert!(few.admit(from(4), now).is_err());
        let one = strangers(1, 100);
        assert!(one.admit(None, now).is_ok() && one.admit(None, now).is_err());
    }

    #[test]
    fn a_subjects_tenant_is_its_namespace_or_what_stands_before_its_second_colon() {
        for (subject, expected) in [
            ("system:serviceaccount:team-a:bot", "system:serviceaccount:team-a"),
            ("system:serviceaccount:team-a", "system:serviceaccount:team-a"),
            ("repo:octo-org/octo-repo:ref:refs/heads/main", "repo:octo-org/octo-repo"),
            ("project_path:group/project:ref_type:branch", "project_path:group/project"),
            ("auth0|123", "auth0|123"),
            ("", ""),
            (&*"é".repeat(1_000), &*"é".repeat(TENANT_CHARS_MAX)),
        ] {
            assert_eq!(tenant(subject), expected, "{subject}");
        }
    }

    #[test]
    fn immunity_28_behind_one_address_a_namespaces_burst_leaves_others_theirs() {
        const ISSUER: &str = "https://issuer.example";
        let (strangers, now) = (strangers(2, 2), Instant::now());
        let nat = Some("192.0.2.1".parse().unwrap());
        // A namespace's one token, or one that was made for each call.
        let ask = |issuer: &str, namespace: &str, number: u32| {
            let token = TokenDigest::of(&format!("{issuer} {namespace} {number}"));
            strangers.admit_bearer(nat, token, now)?;
            let subject = format!("system:serviceaccount:{namespace}:bot");
            strangers.verified(nat, token, (issuer, &subject), now)
        };
        let vended = |namespace: &str, is_fresh: bool| {
            (0..50).filter(|number| ask(ISSUER, namespace, number * u32::from(is_fresh)).is_ok()).count()
        };
        assert_eq!(vended("loud-1", false), 4, "more than a stranger has, and its own limit");
        assert_eq!(vended("loud-2", true), 3, "two of its own, and what is left of the issuer's");
        assert_eq!(vended("quiet", false), 2, "two of its own");
        assert!(ask("https://other.example", "loud-1", 0).is_ok(), "another issuer's is another");
        let fault = ask(ISSUER, "loud-1", 0).unwrap_err();
        assert!(fault.to_string().starts_with("this namespace's share"), "{fault}");
        // Junk has what a stranger has, and takes nothing of those whose limit it is not.
        let junk = || strangers.admit_bearer(nat, TokenDigest::of("x.y.z"), now).is_ok();
        assert_eq!((0..10).filter(|_| junk()).count(), 2);
        assert!(ask("https://third.example", "quiet", 0).is_err(), "until it is verified it is a stranger's");
    }
}
