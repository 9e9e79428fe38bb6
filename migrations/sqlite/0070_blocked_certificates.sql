-- Blocks that reach one client certificate. The same table with one more kind of target, for a CHECK cannot be changed in its
-- place.

CREATE TABLE blocks_of_every_kind (
    scope TEXT NOT NULL,
    id TEXT NOT NULL UNIQUE,
    body BLOB NOT NULL,
    -- What the scope names.
    account TEXT REFERENCES accounts (id),
    cluster TEXT REFERENCES clusters (uid),
    target_kind TEXT NOT NULL CHECK (
        target_kind IN ('principal', 'account', 'access_key', 'session', 'oidc_subject', 'oidc_issuer', 'certificate')
    ),
    target_authority TEXT,
    target_account TEXT,
    target_arn_folded TEXT,
    target_access_key TEXT,
    target_session TEXT,
    target_issuer TEXT,
    target_subject TEXT,
    target_certificate TEXT,
    PRIMARY KEY (scope, id),
    CHECK (account IS NULL OR cluster IS NULL)
) STRICT;

INSERT INTO blocks_of_every_kind (
    scope, id, body, account, cluster, target_kind, target_authority, target_account, target_arn_folded,
    target_access_key, target_session, target_issuer, target_subject
)
SELECT
    scope, id, body, account, cluster, target_kind, target_authority, target_account, target_arn_folded,
    target_access_key, target_session, target_issuer, target_subject
FROM blocks;

DROP TABLE blocks;

ALTER TABLE blocks_of_every_kind RENAME TO blocks;

CREATE INDEX blocks_by_account ON blocks (account);
CREATE INDEX blocks_by_cluster ON blocks (cluster);
CREATE INDEX blocks_by_access_key ON blocks (target_access_key);
