-- Clusters and what belongs to one alone.

-- Every uid that a cluster ever had. Rows stay when the cluster goes, so that none is used twice.
CREATE TABLE cluster_uids (
    uid TEXT NOT NULL PRIMARY KEY CHECK (length(uid) = 36),
    used_at INTEGER NOT NULL
) STRICT;

CREATE TABLE clusters (
    uid TEXT NOT NULL PRIMARY KEY REFERENCES cluster_uids (uid),
    body BLOB NOT NULL,
    id TEXT NOT NULL UNIQUE,
    partition_name TEXT NOT NULL,
    account TEXT NOT NULL REFERENCES accounts (id),
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    authentication_mode TEXT NOT NULL CHECK (authentication_mode IN ('CONFIG_MAP', 'API_AND_CONFIG_MAP', 'API')),
    allows_lockout INTEGER NOT NULL CHECK (allows_lockout IN (0, 1)),
    UNIQUE (partition_name, account, region, name)
) STRICT;

CREATE INDEX clusters_by_account ON clusters (account);

-- Whose identities a cluster lets in. The account need not be registered (yet, or any more): then nobody vouches for it.
CREATE TABLE cluster_trusts (
    cluster TEXT NOT NULL REFERENCES clusters (uid),
    authority TEXT NOT NULL,
    account TEXT NOT NULL CHECK (length(account) = 12),
    PRIMARY KEY (cluster, authority, account)
) STRICT;

CREATE TABLE spoke_credentials (
    key TEXT NOT NULL PRIMARY KEY,
    body BLOB NOT NULL,
    cluster TEXT NOT NULL REFERENCES clusters (uid),
    token_sha256 TEXT NOT NULL UNIQUE
) STRICT;

CREATE INDEX spoke_credentials_by_cluster ON spoke_credentials (cluster);

CREATE TABLE aws_auth_versions (
    cluster TEXT NOT NULL REFERENCES clusters (uid),
    key TEXT NOT NULL CHECK (length(key) = 20),
    body BLOB NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('accepted', 'rejected')),
    PRIMARY KEY (cluster, key)
) STRICT;

CREATE TABLE nodes (
    cluster TEXT NOT NULL REFERENCES clusters (uid),
    instance_id TEXT NOT NULL CHECK (instance_id <> ''),
    body BLOB NOT NULL,
    private_dns_name TEXT NOT NULL,
    PRIMARY KEY (cluster, instance_id)
) STRICT;

CREATE TABLE break_glass (
    cluster TEXT NOT NULL REFERENCES clusters (uid),
    key TEXT NOT NULL CHECK (key = 'only'),
    body BLOB NOT NULL,
    token_sha256 TEXT NOT NULL UNIQUE,
    PRIMARY KEY (cluster, key)
) STRICT;

CREATE TABLE rbac_objects (
    cluster TEXT NOT NULL REFERENCES clusters (uid),
    key TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (cluster, key)
) STRICT;
