-- Access entries, their policies, the administrators that these make, and blocks.

CREATE TABLE access_entries (
    cluster TEXT NOT NULL REFERENCES clusters (uid),
    id TEXT NOT NULL UNIQUE,
    body BLOB NOT NULL,
    authority TEXT NOT NULL,
    -- Without path for roles: two roles that differ in the path alone cannot be told apart once they log in.
    canonical_arn TEXT NOT NULL,
    ends_at INTEGER,
    PRIMARY KEY (cluster, id),
    UNIQUE (cluster, authority, canonical_arn)
) STRICT;

CREATE TABLE policy_associations (
    cluster TEXT NOT NULL,
    key TEXT NOT NULL,
    body BLOB NOT NULL,
    entry TEXT NOT NULL,
    policy_name TEXT NOT NULL,
    is_cluster_wide INTEGER NOT NULL CHECK (is_cluster_wide IN (0, 1)),
    ends_at INTEGER,
    PRIMARY KEY (cluster, key),
    UNIQUE (cluster, entry, policy_name),
    FOREIGN KEY (cluster, entry) REFERENCES access_entries (cluster, id)
) STRICT;

-- What the lockout guard counts. ARNs and names are in lower case, as IAM tells names apart.
CREATE TABLE administrators (
    cluster TEXT NOT NULL REFERENCES clusters (uid),
    source TEXT NOT NULL,
    body BLOB NOT NULL,
    -- Absent for a line of aws-auth.
    entry TEXT,
    authority TEXT NOT NULL,
    account TEXT NOT NULL,
    partition_name TEXT NOT NULL,
    arn_folded TEXT NOT NULL,
    principal_kind TEXT NOT NULL CHECK (principal_kind IN ('user', 'role', 'other')),
    principal_path TEXT NOT NULL,
    principal_name TEXT NOT NULL,
    principal_id TEXT,
    ends_at INTEGER,
    PRIMARY KEY (cluster, source),
    FOREIGN KEY (cluster, entry) REFERENCES access_entries (cluster, id)
) STRICT;

CREATE TABLE blocks (
    scope TEXT NOT NULL,
    id TEXT NOT NULL UNIQUE,
    body BLOB NOT NULL,
    -- What the scope names.
    account TEXT REFERENCES accounts (id),
    cluster TEXT REFERENCES clusters (uid),
    target_kind TEXT NOT NULL CHECK (target_kind IN ('principal', 'account', 'access_key', 'session')),
    target_authority TEXT,
    target_account TEXT,
    target_arn_folded TEXT,
    target_access_key TEXT,
    target_session TEXT,
    PRIMARY KEY (scope, id),
    CHECK (account IS NULL OR cluster IS NULL)
) STRICT;

CREATE INDEX blocks_by_account ON blocks (account);
CREATE INDEX blocks_by_cluster ON blocks (cluster);
CREATE INDEX blocks_by_access_key ON blocks (target_access_key);
