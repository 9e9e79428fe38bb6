-- OIDC: whose tokens each cluster takes, and blocks that reach the people of an issuer.

CREATE TABLE identity_provider_configs (
    cluster TEXT NOT NULL REFERENCES clusters (uid),
    id TEXT NOT NULL UNIQUE,
    body BLOB NOT NULL,
    name TEXT NOT NULL,
    -- Byte for byte: issuers that differ in letter case or a slash are different issuers.
    issuer_url TEXT NOT NULL,
    client_id TEXT NOT NULL,
    is_shared INTEGER NOT NULL CHECK (is_shared IN (0, 1)),
    PRIMARY KEY (cluster, id),
    UNIQUE (cluster, name),
    UNIQUE (cluster, issuer_url)
) STRICT;

-- An audience belongs to one cluster, unless all that take it say that it is shared.
CREATE INDEX identity_provider_configs_by_audience ON identity_provider_configs (issuer_url, client_id);
CREATE UNIQUE INDEX identity_provider_configs_by_own_audience ON identity_provider_configs (issuer_url, client_id)
    WHERE is_shared = 0;

-- The same table with two more kinds of target, for a CHECK cannot be changed in its place.
CREATE TABLE blocks_of_all_kinds (
    scope TEXT NOT NULL,
    id TEXT NOT NULL UNIQUE,
    body BLOB NOT NULL,
    -- What the scope names.
    account TEXT REFERENCES accounts (id),
    cluster TEXT REFERENCES clusters (uid),
    target_kind TEXT NOT NULL CHECK (
        target_kind IN ('principal', 'account', 'access_key', 'session', 'oidc_subject', 'oidc_issuer')
    ),
    target_authority TEXT,
    target_account TEXT,
    target_arn_folded TEXT,
    target_access_key TEXT,
    target_session TEXT,
    target_issuer TEXT,
    target_subject TEXT,
    PRIMARY KEY (scope, id),
    CHECK (account IS NULL OR cluster IS NULL)
) STRICT;

INSERT INTO blocks_of_all_kinds (
    scope, id, body, account, cluster, target_kind, target_authority, target_account, target_arn_folded,
    target_access_key, target_session
)
SELECT
    scope, id, body, account, cluster, target_kind, target_authority, target_account, target_arn_folded,
    target_access_key, target_session
FROM blocks;

DROP TABLE blocks;

ALTER TABLE blocks_of_all_kinds RENAME TO blocks;

CREATE INDEX blocks_by_account ON blocks (account);
CREATE INDEX blocks_by_cluster ON blocks (cluster);
CREATE INDEX blocks_by_access_key ON blocks (target_access_key);
