//! Vouchers: how a service knows that authn said so, though the answer came through a door.
//!
//! Authn derives one key for each service that it vouches to, and each service holds its own alone. A voucher is a value
//! under a MAC of that key, for one audience, at most one cluster, and a short time; a door carries it and can make up none.

use std::sync::Arc;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Serialize, de::DeserializeOwned};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::{
    identity::{Actor, Identity, Vouched},
    ids::ClusterUid,
};

/// How long authn's answers may be carried about: a call takes seconds.
pub const VOUCHER_LIFETIME: Duration = Duration::minutes(1);

/// Largest voucher: an identity with all its tags, or an actor.
pub const VOUCHER_BYTES_MAX: usize = 32 * 1024;

const VERSION: u8 = 1;
const MAC_BYTES: usize = 32;

/// Where the time comes from.
pub type Now = Arc<dyn Fn() -> OffsetDateTime + Send + Sync>;

/// The services that authn vouches to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// authn itself, for its accounts.
    Authn,
    /// mapping.
    Mapping,
    /// authz.
    Authz,
    /// credentials.
    Credentials,
    /// gateway, for explanations.
    Gateway,
}

impl Audience {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Authn, Self::Mapping, Self::Authz, Self::Credentials, Self::Gateway];

    /// The service that a gRPC method belongs to (`/lanyard.<service>.v1.…`).
    pub fn of_method(path: &str) -> Option<Self> {
        match path.strip_prefix("/lanyard.")?.split_once(".v1.")?.0 {
            "authn" => Some(Self::Authn),
            "mapping" => Some(Self::Mapping),
            "authz" => Some(Self::Authz),
            "credentials" => Some(Self::Credentials),
            "gateway" => Some(Self::Gateway),
            _ => None,
        }
    }

    fn byte(self) -> u8 {
        match self {
            Self::Authn => 1,
            Self::Mapping => 2,
            Self::Authz => 3,
            Self::Credentials => 4,
            Self::Gateway => 5,
        }
    }
}

/// What can be vouched for.
pub trait Vouchable: Serialize + DeserializeOwned {
    /// Keeps vouchers of one kind from being read as another.
    const KIND: u8;
}

impl Vouchable for Identity {
    const KIND: u8 = 1;
}

impl Vouchable for Arc<Identity> {
    const KIND: u8 = Identity::KIND;
}

impl Vouchable for Actor {
    const KIND: u8 = 2;
}

/// Why a voucher does not count. The holder is told no more than that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VoucherError {
    /// Not of the layout, or longer than [`VOUCHER_BYTES_MAX`].
    #[error("not a voucher")]
    Malformed,
    /// Made with another key, altered, or for another service, kind or cluster.
    #[error("the voucher does not fit this service, kind and cluster")]
    Mismatch,
    /// Its end has passed.
    #[error("the voucher is too old")]
    Expired,
}

/// What authn and one service share. Prints nothing of itself.
#[derive(Clone)]
pub struct VouchKey {
    audience: Audience,
    mac: Hmac<Sha256>,
    /// Of other versions of the key, which open and do not vouch.
    others: Vec<Hmac<Sha256>>,
}

impl std::fmt::Debug for VouchKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VouchKey({:?})", self.audience)
    }
}

impl VouchKey {
    /// The key of one service, from authn's secret.
    pub fn derive(secret: &[u8; 32], audience: Audience) -> Self {
        let mut mac = keyed(secret);
        mac.update(b"lanyard voucher key");
        mac.update(&[audience.byte()]);
        Self::from_bytes(audience, &mac.finalize().into_bytes().into())
    }

    /// The key of one service, as that service keeps it.
    pub fn from_bytes(audience: Audience, key: &[u8; 32]) -> Self {
        Self { audience, mac: keyed(key), others: Vec::new() }
    }

    /// The same, that opens by these other versions of the key as well: while one takes the other's place, both are met.
    #[must_use]
    pub fn opening<'k>(self, others: impl IntoIterator<Item = &'k [u8; 32]>) -> Self {
        Self { others: others.into_iter().map(keyed).collect(), ..self }
    }

    /// Vouches for a value until `not_after`, which counts in whole seconds.
    ///
    /// # Errors
    /// [`VoucherError::Malformed`] when the value is larger than a voucher may be.
    pub fn vouch<T: Vouchable>(
        &self,
        value: &T,
        cluster: Option<ClusterUid>,
        not_after: OffsetDateTime,
    ) -> Result<Bytes, VoucherError> {
        let mut voucher = self.head(T::KIND, cluster);
        voucher.extend(not_after.unix_timestamp().to_be_bytes());
        serde_json::to_writer(&mut voucher, value).map_err(|_| VoucherError::Malformed)?;
        let mac = mac_of(&self.mac, &voucher);
        voucher.extend(mac);
        if voucher.len() > VOUCHER_BYTES_MAX { Err(VoucherError::Malformed) } else { Ok(voucher.into()) }
    }

    /// The value, if this very service was given it, for this cluster, and in time.
    ///
    /// # Errors
    /// As [`VoucherError`] says.
    pub fn open<T: Vouchable>(
        &self,
        voucher: &[u8],
        cluster: Option<ClusterUid>,
        now: OffsetDateTime,
    ) -> Result<T, VoucherError> {
        if voucher.len() > VOUCHER_BYTES_MAX {
            return Err(VoucherError::Malformed);
        }
        let (body, mac) = voucher.split_last_chunk::<MAC_BYTES>().ok_or(VoucherError::Malformed)?;
        let fits = |key: &Hmac<Sha256>| bool::from(mac_of(key, body).ct_eq(mac));
        if !fits(&self.mac) && !self.others.iter().any(fits) {
            return Err(VoucherError::Mismatch);
        }
        let rest = body.strip_prefix(&*self.head(T::KIND, cluster)).ok_or(VoucherError::Mismatch)?;
        let (not_after, value) = rest.split_first_chunk().ok_or(VoucherError::Malformed)?;
        if now.unix_timestamp() > i64::from_be_bytes(*not_after) {
            return Err(VoucherError::Expired);
        }
        serde_json::from_slice(value).map_err(|_| VoucherError::Malformed)
    }

    fn head(&self, kind: u8, cluster: Option<ClusterUid>) -> Vec<u8> {
        let mut head = vec![VERSION, self.audience.byte(), kind, u8::from(cluster.is_some())];
        head.extend(cluster.map_or(Uuid::nil(), |uid| uid.0).as_bytes());
        head
    }
}

fn mac_of(key: &Hmac<Sha256>, body: &[u8]) -> [u8; MAC_BYTES] {
    let mut mac = key.clone();
    mac.update(body);
    mac.finalize().into_bytes().into()
}

/// HMAC under a key.
pub(crate) fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    let mut block = [0; 64];
    for (to, from) in block.iter_mut().zip(key) {
        *to = *from;
    }
    Hmac::new(&block.into())
}

/// What authn alone holds: it vouches to every service.
#[derive(Clone)]
pub struct Vouchers {
    /// In the order of [`Audience::ALL`].
    keys: [VouchKey; 5],
    now: Now,
}

/// The secrets that authn shares with each service, each of which holds its own alone.
#[derive(Clone, Copy)]
pub struct ServiceSecrets<'a> {
    /// authn's own.
    pub authn: &'a [u8; 32],
    /// mapping's.
    pub mapping: &'a [u8; 32],
    /// authz's.
    pub authz: &'a [u8; 32],
    /// credentials'.
    pub credentials: &'a [u8; 32],
}

impl std::fmt::Debug for ServiceSecrets<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServiceSecrets(..)")
    }
}

impl std::fmt::Debug for Vouchers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vouchers(..)")
    }
}

impl Vouchers {
    /// From one secret and authn's clock: for authn, and services in the same process.
    pub fn new(secret: [u8; 32], now: Now) -> Self {
        let secret = zeroize::Zeroizing::new(secret);
        Self { keys: Audience::ALL.map(|audience| VouchKey::derive(&secret, audience)), now }
    }

    /// From the secrets that services of other processes hold, each its own.
    pub fn of_services(secrets: ServiceSecrets<'_>, now: Now) -> Self {
        let key = |audience| match audience {
            Audience::Authn => VouchKey::from_bytes(audience, secrets.authn),
            Audience::Mapping => VouchKey::from_bytes(audience, secrets.mapping),
            Audience::Authz => VouchKey::from_bytes(audience, secrets.authz),
            Audience::Credentials => VouchKey::from_bytes(audience, secrets.credentials),
            // A gateway takes authn's answers from authn alone, and needs no voucher of them.
            Audience::Gateway => VouchKey::derive(secrets.authn, audience),
        };
        Self { keys: Audience::ALL.map(key), now }
    }

    /// The key of one service, for that service to keep.
    pub fn key(&self, audience: Audience) -> VouchKey {
        let [authn, mapping, authz, credentials, gateway] = &self.keys;
        match audience {
            Audience::Authn => authn,
            Audience::Mapping => mapping,
            Audience::Authz => authz,
            Audience::Credentials => credentials,
            Audience::Gateway => gateway,
        }
        .clone()
    }

    /// The same value with a voucher for a service, good for [`VOUCHER_LIFETIME`]; one that has a voucher keeps it.
    ///
    /// # Errors
    /// As [`VouchKey::vouch`] says.
    pub fn vouched<T: Vouchable>(
        &self,
        answer: Vouched<T>,
        audience: Audience,
        cluster: Option<ClusterUid>,
    ) -> Result<Vouched<T>, VoucherError> {
        if !answer.voucher.is_empty() {
            return Ok(answer);
        }
        let not_after = (self.now)() + VOUCHER_LIFETIME;
        let voucher = self.key(audience).vouch(&answer.value, cluster, not_after)?;
        Ok(Vouched { value: answer.value, voucher })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: Option<ClusterUid> = Some(ClusterUid(Uuid::from_u128(7)));

    fn key(audience: Audience) -> VouchKey {
        VouchKey::derive(&[9; 32], audience)
    }

    fn now() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
    }

    fn voucher() -> Bytes {
        key(Audience::Mapping).vouch(&Actor::system("test"), CLUSTER, now() + VOUCHER_LIFETIME).unwrap()
    }

    #[test]
    fn the_service_addressed_reads_what_authn_said_until_the_end() {
        for at in [now(), now() + VOUCHER_LIFETIME] {
            assert_eq!(
                key(Audience::Mapping).open(&voucher(), CLUSTER, at),
                Ok(Actor::system("test")),
                "{at}"
            );
        }
        let late = now() + VOUCHER_LIFETIME + Duration::seconds(1);
        assert_eq!(
            key(Audience::Mapping).open::<Actor>(&voucher(), CLUSTER, late),
            Err(VoucherError::Expired)
        );
    }

    #[test]
    fn immunity_41_a_voucher_is_for_one_service_kind_and_cluster() {
        let open = |key: VouchKey, cluster| key.open::<Actor>(&voucher(), cluster, now()).map(|_| ());
        let other_cluster = Some(ClusterUid(Uuid::from_u128(8)));
        assert_eq!(open(key(Audience::Authz), CLUSTER), Err(VoucherError::Mismatch));
        assert_eq!(open(VouchKey::derive(&[8; 32], Audience::Mapping), CLUSTER), Err(VoucherError::Mismatch));
        assert_eq!(open(key(Audience::Mapping), other_cluster), Err(VoucherError::Mismatch));
        assert_eq!(open(key(Audience::Mapping), None), Err(VoucherError::Mismatch));
        let as_identity = key(Audience::Mapping).open::<Identity>(&voucher(), CLUSTER, now());
        assert_eq!(as_identity, Err(VoucherError::Mismatch));
        // The same secret under another audience's name is not the same key.
        let renamed = VouchKey { audience: Audience::Authz, ..key(Audience::Mapping) };
        assert_eq!(open(renamed, CLUSTER), Err(VoucherError::Mismatch));
    }

    #[test]
    fn one_changed_byte_anywhere_is_refused() {
        let good = voucher();
        for at in 0..good.len() {
            let mut bytes = good.to_vec();
            bytes[at] ^= 1;
            let read = key(Audience::Mapping).open::<Actor>(&bytes, CLUSTER, now());
            assert_eq!(read, Err(VoucherError::Mismatch), "{at}");
        }
        for end in 0..good.len() {
            assert!(key(Audience::Mapping).open::<Actor>(&good[..end], CLUSTER, now()).is_err(), "{end}");
        }
        let long = vec![0; VOUCHER_BYTES_MAX + 1];
        assert_eq!(key(Audience::Mapping).open::<Actor>(&long, CLUSTER, now()), Err(VoucherError::Malformed));
    }

    #[test]
    fn while_a_key_takes_anothers_place_both_open_and_one_vouches() {
        let (old, new) = ([1; 32], [2; 32]);
        let key = |first: &[u8; 32]| VouchKey::from_bytes(Audience::Authz, first);
        let vouch = |key: VouchKey| key.vouch(&Actor::system("test"), None, now()).unwrap();
        let opens = |key: VouchKey, voucher: &Bytes| key.open::<Actor>(voucher, None, now()).is_ok();
        let (by_old, by_new) = (vouch(key(&old).opening([&new])), vouch(key(&new).opening([&old])));
        assert_ne!(by_old, by_new);
        for voucher in [&by_old, &by_new] {
            assert!(opens(key(&old).opening([&new]), voucher) && opens(key(&new).opening([&old]), voucher));
            assert!(!opens(key(&[3; 32]).opening([&[4; 32]]), voucher));
        }
        assert_eq!((opens(key(&old), &by_old), opens(key(&old), &by_new)), (true, false));
    }

    #[test]
    fn a_value_larger_than_a_voucher_may_be_is_not_vouched_for() {
        let large = Actor::system(&"x".repeat(VOUCHER_BYTES_MAX));
        assert_eq!(key(Audience::Authz).vouch(&large, None, now()), Err(VoucherError::Malformed));
    }

    #[test]
    fn a_method_names_the_service_that_it_belongs_to() {
        let cases = [
            ("/lanyard.mapping.v1.Entries/CreateAccessEntry", Some(Audience::Mapping)),
            ("/lanyard.authn.v1.Accounts/GetUser", Some(Audience::Authn)),
            ("/lanyard.gateway.v1.Explain/Explain", Some(Audience::Gateway)),
            ("/lanyard.mapping.v2.Entries/X", None),
            ("/grpc.health.v1.Health/Check", None),
            ("", None),
        ];
        for (path, audience) in cases {
            assert_eq!(Audience::of_method(path), audience, "{path}");
        }
    }

    #[test]
    fn immunity_27_keys_print_nothing_of_themselves() {
        assert_eq!(format!("{:?}", key(Audience::Authn)), "VouchKey(Authn)");
        let vouchers = Vouchers::new([9; 32], Arc::new(now));
        assert_eq!(format!("{vouchers:?}"), "Vouchers(..)");
    }

    #[test]
    fn immunity_61_each_service_opens_by_its_own_secret_what_is_for_it_alone() {
        let secrets =
            ServiceSecrets { authn: &[1; 32], mapping: &[2; 32], authz: &[3; 32], credentials: &[4; 32] };
        let vouchers = Vouchers::of_services(secrets, Arc::new(now));
        let services =
            [(Audience::Authn, 1), (Audience::Mapping, 2), (Audience::Authz, 3), (Audience::Credentials, 4)];
        for (audience, _) in services {
            let actor = Vouched::in_process(Actor::system("test"));
            let voucher = vouchers.vouched(actor, audience, None).unwrap().voucher;
            for (other, byte) in services {
                let opened = VouchKey::from_bytes(other, &[byte; 32]).open::<Actor>(&voucher, None, now());
                assert_eq!(opened.is_ok(), other == audience, "{audience:?} {other:?}");
            }
        }
    }

    #[test]
    fn an_answer_of_this_process_gets_a_voucher_and_one_that_has_it_keeps_it() {
        let vouchers = Vouchers::new([9; 32], Arc::new(now));
        let actor = Vouched::in_process(Actor::system("test"));
        let vouched = vouchers.vouched(actor, Audience::Mapping, CLUSTER).unwrap();
        assert_eq!(vouched.voucher, voucher());
        assert_eq!(vouchers.vouched(vouched.clone(), Audience::Authz, None), Ok(vouched));
    }
}
