//! The chain of a scope's change lines.

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use lanyard_api::{Revision, Scope};
use sha2::{Digest, Sha256};

use crate::{
    change::{ChainFault, ChainReport, Change},
    error::StoreError,
    keyring::{Purpose, PurposeKey},
    kind::Kind,
    sql::{Connection, millis},
    store::Store,
    tables::changes::{ChainedChange, counter_of, lines_after, rows_of},
};

/// Revisions read at a time.
const REVISIONS_PAGE: u64 = 500;

/// The MAC of a line: over the MAC of the line before it in its scope (empty for the first), and all that the line says. Every
/// part has its length before it, so that none can lend bytes to the next.
pub(crate) fn mac_of(key: &[u8; 32], before: &[u8], change: &Change) -> [u8; 32] {
    let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    let mut part = |bytes: Option<&[u8]>| {
        let Some(bytes) = bytes else { return mac.update(&[0]) };
        mac.update(&[1]);
        mac.update(&(bytes.len() as u64).to_be_bytes());
        mac.update(bytes);
    };
    part(Some(b"lanyard change line"));
    part(Some(before));
    part(Some(change.scope.to_string().as_bytes()));
    part(Some(&change.revision.0.to_be_bytes()));
    part(Some(&change.sequence.to_be_bytes()));
    part(Some(&millis(change.at).to_be_bytes()));
    part(Some(change.actor.as_bytes()));
    part(change.reason.as_deref().map(str::as_bytes));
    part(Some(change.kind.as_str().as_bytes()));
    part(Some(change.key.as_bytes()));
    part(change.before.as_deref());
    part(change.after.as_deref());
    let mut digest = [0; 32];
    for (to, from) in digest.iter_mut().zip(mac.sign().as_ref()) {
        *to = *from;
    }
    digest
}

impl Store {
    /// Reads a scope's whole chain and its records, and says what does not fit: a line changed, removed or moved; a counter that
    /// is not that of the last line; a record that is not as its last line left it. Lines cut off at the end together with
    /// their counter are noticed by processes that have seen them ([`StoreError::Regressed`]), not here.
    ///
    /// # Errors
    /// When the database does not answer. A fault in the chain is an answer.
    pub async fn verify_chain(&self, scope: Scope) -> Result<ChainReport, StoreError> {
        // Another process may have made a key meanwhile.
        self.reload_keys().await?;
        let mut connection = self.read().await?;
        let (revision, mac) = counter_of(&mut connection, scope).await?;
        let mut reader = Reader::new(scope);
        let keys = self.keyring().purpose_keys(Purpose::Chain)?.into_iter().collect();
        let mut fault = reader.read_lines(&mut connection, &keys).await?;
        if fault.is_none() && (reader.revision, &reader.mac) != (revision, &mac) {
            fault = Some(if reader.revision < revision { reader.gap() } else { ChainFault::Counter });
        }
        if fault.is_none() {
            fault = reader.read_records(&mut connection).await?;
        }
        Ok(ChainReport { scope, revision, lines: reader.lines, fault })
    }
}

type Keys = BTreeMap<u32, PurposeKey>;

struct Reader {
    scope: Scope,
    /// Of the last line read.
    revision: Revision,
    mac: Vec<u8>,
    lines: u64,
    /// A hash of what each record's last line left.
    left: BTreeMap<(Kind, String), [u8; 32]>,
}

impl Reader {
    fn new(scope: Scope) -> Self {
        Self { scope, revision: Revision(0), mac: Vec::new(), lines: 0, left: BTreeMap::new() }
    }

    fn gap(&self) -> ChainFault {
        ChainFault::Gap(Revision(self.revision.0 + 1))
    }

    async fn read_lines(
        &mut self,
        connection: &mut Connection,
        keys: &Keys,
    ) -> Result<Option<ChainFault>, StoreError> {
        loop {
            let lines = lines_after(connection, self.scope, self.revision, REVISIONS_PAGE).await?;
            if lines.is_empty() {
                return Ok(None);
            }
            for line in lines {
                if let Some(fault) = self.take(line, keys) {
                    return Ok(Some(fault));
                }
            }
        }
    }

    fn take(&mut self, line: ChainedChange, keys: &Keys) -> Option<ChainFault> {
        let ChainedChange { change, mac, mac_version } = line;
        if change.revision.0 > self.revision.0 + 1 {
            return Some(self.gap());
        }
        let key = keys.get(&mac_version);
        if key.is_none_or(|key| mac_of(key, &self.mac, &change)[..] != mac[..]) {
            return Some(ChainFault::Line { revision: change.revision, sequence: change.sequence });
        }
        self.revision = change.revision;
        self.mac = mac;
        self.lines += 1;
        let key = (change.kind, change.key);
        match change.after {
            Some(after) => self.left.insert(key, Sha256::digest(&after).into()),
            None => self.left.remove(&key),
        };
        None
    }

    async fn read_records(&mut self, connection: &mut Connection) -> Result<Option<ChainFault>, StoreError> {
        for kind in Kind::ALL {
            for (key, body) in rows_of(connection, kind, self.scope).await? {
                let digest: [u8; 32] = Sha256::digest(&body).into();
                if self.left.remove(&(kind, key.clone())) != Some(digest) {
                    return Ok(Some(ChainFault::Record { kind, key }));
                }
            }
        }
        // What is left over is a record that was removed past Lanyard.
        let first = self.left.pop_first();
        Ok(first.map(|((kind, key), _)| ChainFault::Record { kind, key }))
    }
}
