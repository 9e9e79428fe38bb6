-- OIDC: whose tokens each cluster takes, and blocks that reach the people of an issuer.

CREATE TABLE identity_provider_configs (
    cluster TEXT COLLATE "C" NOT NULL REFERENCES clusters (uid),
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    body BYTEA NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    -- Byte for byte: issuers that differ in letter case or a slash are different issuers.
    issuer_url TEXT COLLATE "C" NOT NULL,
    client_id TEXT COLLATE "C" NOT NULL,
    is_shared BIGINT NOT NULL CHECK (is_shared IN (0, 1)),
    PRIMARY KEY (cluster, id),
    UNIQUE (cluster, name),
    UNIQUE (cluster, issuer_url)
);

-- An audience belongs to one cluster, unless all that take it say that it is shared.
CREATE INDEX identity_provider_configs_by_audience ON identity_provider_configs (issuer_url, client_id);
CREATE UNIQUE INDEX identity_provider_configs_by_own_audience ON identity_provider_configs (issuer_url, client_id)
    WHERE is_shared = 0;

-- The same table with two more kinds of target, for a CHECK cannot be changed in its place.
CREATE TABLE blocks_of_all_kinds (
    scope TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    body BYTEA NOT NULL,
    -- What the scope names.
    account TEXT COLLATE "C" REFERENCES accounts (id),
    cluster TEXT COLLATE "C" REFERENCES clusters (uid),
    target_kind TEXT COLLATE "C" NOT NULL CHECK (
        target_kind IN ('principal', 'account', 'access_key', 'session', 'oidc_subject', 'oidc_issuer')
    ),
    target_authority TEXT COLLATE "C",
    target_account TEXT COLLATE "C",
    target_arn_folded TEXT COLLATE "C",
    target_access_key TEXT COLLATE "C",
    target_session TEXT COLLATE "C",
    target_issuer TEXT COLLATE "C",
    target_subject TEXT COLLATE "C",
    PRIMARY KEY (scope, id),
    CHECK (account IS NULL OR cluster IS NULL)
);

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
