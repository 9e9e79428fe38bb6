-- Access entries, their policies, the administrators that these make, and blocks.

CREATE TABLE access_entries (
    cluster TEXT COLLATE "C" NOT NULL REFERENCES clusters (uid),
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    body BYTEA NOT NULL,
    authority TEXT COLLATE "C" NOT NULL,
    -- Without path for roles: two roles that differ in the path alone cannot be told apart once they log in.
    canonical_arn TEXT COLLATE "C" NOT NULL,
    ends_at BIGINT,
    PRIMARY KEY (cluster, id),
    UNIQUE (cluster, authority, canonical_arn)
);

CREATE TABLE policy_associations (
    cluster TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    body BYTEA NOT NULL,
    entry TEXT COLLATE "C" NOT NULL,
    policy_name TEXT COLLATE "C" NOT NULL,
    is_cluster_wide BIGINT NOT NULL CHECK (is_cluster_wide IN (0, 1)),
    ends_at BIGINT,
    PRIMARY KEY (cluster, key),
    UNIQUE (cluster, entry, policy_name),
    FOREIGN KEY (cluster, entry) REFERENCES access_entries (cluster, id)
);

-- What the lockout guard counts. ARNs and names are in lower case, as IAM tells names apart.
CREATE TABLE administrators (
    cluster TEXT COLLATE "C" NOT NULL REFERENCES clusters (uid),
    source TEXT COLLATE "C" NOT NULL,
    body BYTEA NOT NULL,
    -- Absent for a line of aws-auth.
    entry TEXT COLLATE "C",
    authority TEXT COLLATE "C" NOT NULL,
    account TEXT COLLATE "C" NOT NULL,
    partition_name TEXT COLLATE "C" NOT NULL,
    arn_folded TEXT COLLATE "C" NOT NULL,
    principal_kind TEXT COLLATE "C" NOT NULL CHECK (principal_kind IN ('user', 'role', 'other')),
    principal_path TEXT COLLATE "C" NOT NULL,
    principal_name TEXT COLLATE "C" NOT NULL,
    principal_id TEXT COLLATE "C",
    ends_at BIGINT,
    PRIMARY KEY (cluster, source),
    FOREIGN KEY (cluster, entry) REFERENCES access_entries (cluster, id)
);

CREATE TABLE blocks (
    scope TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    body BYTEA NOT NULL,
    -- What the scope names.
    account TEXT COLLATE "C" REFERENCES accounts (id),
    cluster TEXT COLLATE "C" REFERENCES clusters (uid),
    target_kind TEXT COLLATE "C" NOT NULL CHECK (target_kind IN ('principal', 'account', 'access_key', 'session')),
    target_authority TEXT COLLATE "C",
    target_account TEXT COLLATE "C",
    target_arn_folded TEXT COLLATE "C",
    target_access_key TEXT COLLATE "C",
    target_session TEXT COLLATE "C",
    PRIMARY KEY (scope, id),
    CHECK (account IS NULL OR cluster IS NULL)
);

CREATE INDEX blocks_by_account ON blocks (account);
CREATE INDEX blocks_by_cluster ON blocks (cluster);
CREATE INDEX blocks_by_access_key ON blocks (target_access_key);
