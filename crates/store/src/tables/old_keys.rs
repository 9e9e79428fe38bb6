//! The end of older versions of the purposes' keys: what they sealed is sealed anew, and what nothing needs any more goes.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use lanyard_api::{Mutation, Scope};
use time::OffsetDateTime;

use crate::{
    error::StoreError,
    keyring::{Keyring, KeyringError, Needed, Place, Purpose, Sealed},
    kind::Kind,
    sql::Connection,
    store::Store,
    tables::{
        purpose_keys::{KEY_SETTING, KeyVersion, delete_version, stored_keys, versions_of},
        secrets::{page_of_kind, replace},
        settings::Setting,
    },
};

/// Sealed values that are in memory at once.
const PAGE: u32 = 500;

/// How late a process may take a version that seals, and how long a write that sealed under the one before may be on its way: far
/// beyond any process that others still answer.
const BEHIND_MAX: Duration = Duration::from_secs(600);

/// What became of values at rest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resealed {
    /// How many are sealed under the newest version now that were not before.
    pub resealed: u64,
    /// How many do not open: they were moved or altered, and lie as they lay.
    pub unopened: u64,
}

impl Store {
    /// Seals anew what lies at rest under an older version of a purpose's key than the one that seals now. What others write
    /// meanwhile stays as they wrote it. Nothing where the purpose seals nothing at rest.
    ///
    /// # Errors
    /// As any mutation.
    pub async fn reseal(&self, mutation: &Mutation, purpose: Purpose) -> Result<Resealed, StoreError> {
        let mut done = Resealed::default();
        let Needed::AtRest(kind) = purpose.older_versions() else { return Ok(done) };
        // Another process may have made the version since this one opened the store.
        self.reload_keys().await?;
        let mut transaction = self.begin("reseal_secrets", mutation, &[Scope::Hub]).await?;
        let resealed = reseal_all(transaction.connection(), self.keyring(), (purpose, kind), &mut done).await;
        transaction.noted(resealed)?;
        if done.resealed > 0 {
            // With the moment in it, so that every time is a line of the chain.
            let value = format!("{} at {}", done.resealed, transaction.now());
            transaction.put(&Setting::new(format!("{KEY_SETTING}{purpose}/resealed"), value)).await?;
        }
        transaction.commit_unrecorded().await?;
        Ok(done)
    }

    /// Deletes the versions of some purposes' keys that nothing needs any more, and answers them: a later one has sealed for
    /// longer than what the older one made can live, and nothing at rest lies under it. The version that seals stays, and so does
    /// each that is still needed.
    ///
    /// # Errors
    /// As any mutation.
    pub async fn retire(
        &self,
        mutation: &Mutation,
        purposes: &[Purpose],
    ) -> Result<Vec<KeyVersion>, StoreError> {
        let is_asked = |purpose: &Purpose| {
            purposes.contains(purpose) || purpose.made_of().is_some_and(|of| purposes.contains(&of))
        };
        let mut transaction = self.begin("retire_purpose_keys", mutation, &[Scope::Hub]).await?;
        let stored = stored_keys(transaction.connection()).await;
        let versions = versions_of(transaction.noted(stored)?);
        let now = transaction.now();
        let mut retired = Vec::new();
        for purpose in Purpose::ALL.into_iter().filter(is_asked) {
            let of_purpose: Vec<_> = versions.iter().copied().filter(|one| one.purpose == purpose).collect();
            let mut outlived = outlived(&of_purpose, purpose.older_versions(), now);
            if let Needed::AtRest(kind) = purpose.older_versions()
                && !outlived.is_empty()
            {
                let used = versions_at_rest(transaction.connection(), kind).await;
                let used = transaction.noted(used)?;
                outlived.retain(|one| !used.contains(&one.version));
            }
            let Some(newest) = outlived.last().copied() else { continue };
            for version in &outlived {
                let deleted = delete_version(transaction.connection(), *version).await;
                transaction.noted(deleted)?;
            }
            let name = format!("{KEY_SETTING}{purpose}/retired");
            transaction.put(&Setting::new(name, newest.version.to_string())).await?;
            retired.extend(outlived);
        }
        transaction.commit_unrecorded().await?;
        Ok(retired)
    }
}

async fn reseal_all(
    connection: &mut Connection,
    keyring: &Keyring,
    (purpose, kind): (Purpose, Kind),
    done: &mut Resealed,
) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let page = page_of_kind(connection, kind, after.as_ref(), PAGE).await?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = Some(last.clone());
        for (place, before) in &page {
            match sealed_anew(keyring, purpose, place, before) {
                Ok(None) => {}
                Ok(Some(sealed)) => {
                    done.resealed += u64::from(replace(connection, place, before, &sealed).await?);
                }
                Err(KeyringError::Unopened(_)) => {
                    tracing::error!(%purpose, row = place.row, owner = place.owner, "a sealed value does not open");
                    done.unopened += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// A value under the version that seals; none where it is that already.
fn sealed_anew(
    keyring: &Keyring,
    purpose: Purpose,
    place: &Place,
    sealed: &Sealed,
) -> Result<Option<Sealed>, KeyringError> {
    let keys = keyring.purpose_keys(purpose)?;
    let sealing = keys.first().map(|(version, _)| *version);
    if sealed.version() == sealing {
        return Ok(None);
    }
    let plain = keyring.open(purpose, place, sealed)?;
    keyring.seal(purpose, place, &plain).map(Some)
}

/// The versions under which something of a kind lies.
async fn versions_at_rest(connection: &mut Connection, kind: Kind) -> Result<BTreeSet<u32>, StoreError> {
    let (mut versions, mut after) = (BTreeSet::new(), None);
    loop {
        let page = page_of_kind(connection, kind, after.as_ref(), PAGE).await?;
        versions.extend(page.iter().filter_map(|(_, sealed)| sealed.version()));
        let Some((last, _)) = page.last() else { return Ok(versions) };
        after = Some(last.clone());
    }
}

/// Of a purpose's versions those that made nothing that still lives: a later one has sealed for long enough.
fn outlived(versions: &[KeyVersion], needed: Needed, now: OffsetDateTime) -> Vec<KeyVersion> {
    let life = match needed {
        Needed::Always => return Vec::new(),
        Needed::AtRest(_) => Duration::ZERO,
        Needed::For(life) => life,
    };
    let seals_from: BTreeMap<u32, OffsetDateTime> =
        versions.iter().map(|one| (one.version, one.seals_from)).collect();
    let is_outlived = |one: &KeyVersion| {
        let later = seals_from.range(one.version.saturating_add(1)..).map(|(_, seals_from)| *seals_from);
        later.min().is_some_and(|seals_from| seals_from + life + BEHIND_MAX <= now)
    };
    versions.iter().copied().filter(is_outlived).collect()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_version_is_outlived_once_a_later_one_has_sealed_for_longer_than_what_it_made_lives() {
        const NOON: OffsetDateTime = datetime!(2026-11-24 12:00 UTC);
        const MINUTE: Duration = Duration::from_secs(60);
        let all = |versions: &[(u32, OffsetDateTime)]| -> Vec<KeyVersion> {
            let version =
                |&(version, seals_from)| KeyVersion { purpose: Purpose::Proof, version, seals_from };
            versions.iter().map(version).collect()
        };
        let first = (1, OffsetDateTime::UNIX_EPOCH);
        let just = NOON - BEHIND_MAX - MINUTE;
        let cases = [
            ("one alone", vec![first], Needed::For(MINUTE), vec![]),
            ("long enough", vec![first, (2, just)], Needed::For(MINUTE), vec![1]),
            ("a second less", vec![first, (2, just + Duration::from_secs(1))], Needed::For(MINUTE), vec![]),
            ("a longer life", vec![first, (2, just)], Needed::For(2 * MINUTE), vec![]),
            ("for good", vec![first, (2, just)], Needed::Always, vec![]),
            ("at rest", vec![first, (2, NOON - BEHIND_MAX)], Needed::AtRest(Kind::AccessKey), vec![1]),
            ("it waits", vec![first, (2, NOON + MINUTE)], Needed::AtRest(Kind::AccessKey), vec![]),
            ("the newest stays", vec![first, (2, just), (3, just)], Needed::For(MINUTE), vec![1, 2]),
            ("the next waits", vec![first, (2, just), (3, NOON + MINUTE)], Needed::For(MINUTE), vec![1]),
            // It never sealed: the one after it began before.
            ("passed over", vec![first, (2, NOON + MINUTE), (3, just)], Needed::For(MINUTE), vec![1, 2]),
        ];
        for (what, versions, needed, expected) in cases {
            let gone: Vec<u32> =
                outlived(&all(&versions), needed, NOON).iter().map(|one| one.version).collect();
            assert_eq!(gone, expected, "{what}");
        }
    }

    #[test]
    fn what_is_sealed_at_rest_is_of_three_kinds_and_the_chain_is_kept_for_good() {
        let at_rest: Vec<_> = Purpose::ALL
            .into_iter()
            .filter(|purpose| matches!(purpose.older_versions(), Needed::AtRest(_)))
            .collect();
        assert_eq!(at_rest, [Purpose::AccessKeySecret, Purpose::SpokeKubeconfig, Purpose::IssuerSigning]);
        assert_eq!(Purpose::Chain.older_versions(), Needed::Always);
        // A session is made of several keys, which go together.
        let life = Purpose::SessionSigning.older_versions();
        for purpose in [Purpose::SessionVerifying, Purpose::SessionOpening, Purpose::SessionSecret] {
            assert_eq!(purpose.older_versions(), life, "{purpose}");
        }
    }
}
