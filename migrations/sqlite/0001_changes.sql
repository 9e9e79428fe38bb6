-- Revisions, change lines, and what a mutation leaves beside its records.

-- A counter for each scope. A mutation locks its scopes' rows first, so that revisions commit in order.
CREATE TABLE scopes (
    scope TEXT NOT NULL PRIMARY KEY,
    revision INTEGER NOT NULL CHECK (revision >= 0),
    -- The MAC of the scope's last line; empty before the first.
    mac BLOB NOT NULL
) STRICT;

-- One line for each record that a mutation changed. `mac` chains it to the scope's line before.
CREATE TABLE changes (
    scope TEXT NOT NULL REFERENCES scopes (scope),
    revision INTEGER NOT NULL CHECK (revision > 0),
    sequence INTEGER NOT NULL CHECK (sequence >= 0),
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    reason TEXT,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    before BLOB,
    after BLOB,
    mac_version INTEGER NOT NULL CHECK (mac_version > 0),
    mac BLOB NOT NULL CHECK (length(mac) = 32),
    PRIMARY KEY (scope, revision, sequence),
    CHECK (before IS NOT NULL OR after IS NOT NULL)
) STRICT;

-- Signatures of mutations, each of which counts once.
CREATE TABLE signature_uses (
    digest BLOB NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    expires_at INTEGER NOT NULL,
    -- The revisions that the mutation left, `hub@3 cluster/…@7`; what it answered, unless that held a secret.
    revisions TEXT NOT NULL,
    answer BLOB
) STRICT;

CREATE INDEX signature_uses_by_end ON signature_uses (expires_at);

-- One row for each rule over several scopes: who is about to weigh the rule locks it, after its scopes.
CREATE TABLE guards (
    name TEXT NOT NULL PRIMARY KEY
) STRICT;

INSERT INTO guards (name) VALUES ('keys'), ('lockout');

-- The purposes' keys, each sealed under an envelope key that is not in the database.
CREATE TABLE purpose_keys (
    purpose TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    envelope TEXT NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (purpose, version, envelope)
) STRICT;

-- Sealed values by the place that they are bound to.
CREATE TABLE secrets (
    place_table TEXT NOT NULL,
    place_row TEXT NOT NULL,
    place_owner TEXT NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (place_table, place_owner, place_row)
) STRICT;
