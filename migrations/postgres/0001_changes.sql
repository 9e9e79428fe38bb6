-- Revisions, change lines, and what a mutation leaves beside its records.

-- A counter for each scope. A mutation locks its scopes' rows first, so that revisions commit in order.
CREATE TABLE scopes (
    scope TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL CHECK (revision >= 0),
    -- The MAC of the scope's last line; empty before the first.
    mac BYTEA NOT NULL
);

-- One line for each record that a mutation changed. `mac` chains it to the scope's line before.
CREATE TABLE changes (
    scope TEXT COLLATE "C" NOT NULL REFERENCES scopes (scope),
    revision BIGINT NOT NULL CHECK (revision > 0),
    sequence BIGINT NOT NULL CHECK (sequence >= 0),
    at BIGINT NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C",
    kind TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    before BYTEA,
    after BYTEA,
    mac_version BIGINT NOT NULL CHECK (mac_version > 0),
    mac BYTEA NOT NULL CHECK (length(mac) = 32),
    PRIMARY KEY (scope, revision, sequence),
    CHECK (before IS NOT NULL OR after IS NOT NULL)
);

-- Signatures of mutations, each of which counts once.
CREATE TABLE signature_uses (
    digest BYTEA NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    expires_at BIGINT NOT NULL,
    -- The revisions that the mutation left, `hub@3 cluster/…@7`; what it answered, unless that held a secret.
    revisions TEXT COLLATE "C" NOT NULL,
    answer BYTEA
);

CREATE INDEX signature_uses_by_end ON signature_uses (expires_at);

-- One row for each rule over several scopes: who is about to weigh the rule locks it, after its scopes.
CREATE TABLE guards (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY
);

INSERT INTO guards (name) VALUES ('keys'), ('lockout');

-- The purposes' keys, each sealed under an envelope key that is not in the database.
CREATE TABLE purpose_keys (
    purpose TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL CHECK (version > 0),
    envelope TEXT COLLATE "C" NOT NULL,
    sealed BYTEA NOT NULL,
    PRIMARY KEY (purpose, version, envelope)
);

-- Sealed values by the place that they are bound to.
CREATE TABLE secrets (
    place_table TEXT COLLATE "C" NOT NULL,
    place_row TEXT COLLATE "C" NOT NULL,
    place_owner TEXT COLLATE "C" NOT NULL,
    sealed BYTEA NOT NULL,
    PRIMARY KEY (place_table, place_owner, place_row)
);
