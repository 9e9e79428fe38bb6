-- Clusters and what belongs to one alone.

-- Every uid that a cluster ever had. Rows stay when the cluster goes, so that none is used twice.
CREATE TABLE cluster_uids (
    uid TEXT COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(uid) = 36),
    used_at BIGINT NOT NULL
);

CREATE TABLE clusters (
    uid TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES cluster_uids (uid),
    body BYTEA NOT NULL,
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    partition_name TEXT COLLATE "C" NOT NULL,
    account TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    region TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    authentication_mode TEXT COLLATE "C" NOT NULL CHECK (authentication_mode IN ('CONFIG_MAP', 'API_AND_CONFIG_MAP', 'API')),
    allows_lockout BIGINT NOT NULL CHECK (allows_lockout IN (0, 1)),
    UNIQUE (partition_name, account, region, name)
);

CREATE INDEX clusters_by_account ON clusters (account);

-- Whose identities a cluster lets in. The account need not be registered (yet, or any more): then nobody vouches for it.
CREATE TABLE cluster_trusts (
    cluster TEXT COLLATE "C" NOT NULL REFERENCES clusters (uid),
    authority TEXT COLLATE "C" NOT NULL,
    account TEXT COLLATE "C" NOT NULL CHECK (length(account) = 12),
    PRIMARY KEY (cluster, authority, account)
);

CREATE TABLE spoke_credentials (
    key TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    body BYTEA NOT NULL,
    cluster TEXT COLLATE "C" NOT NULL REFERENCES clusters (uid),
    token_sha256 TEXT COLLATE "C" NOT NULL UNIQUE
);

CREATE INDEX spoke_credentials_by_cluster ON spoke_credentials (cluster);

CREATE TABLE aws_auth_versions (
    cluster TEXT COLLATE "C" NOT NULL REFERENCES clusters (uid),
    key TEXT COLLATE "C" NOT NULL CHECK (length(key) = 20),
    body BYTEA NOT NULL,
    status TEXT COLLATE "C" NOT NULL CHECK (status IN ('accepted', 'rejected')),
    PRIMARY KEY (cluster, key)
);

CREATE TABLE nodes (
    cluster TEXT COLLATE "C" NOT NULL REFERENCES clusters (uid),
    instance_id TEXT COLLATE "C" NOT NULL CHECK (instance_id <> ''),
    body BYTEA NOT NULL,
    private_dns_name TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (cluster, instance_id)
);

CREATE TABLE break_glass (
    cluster TEXT COLLATE "C" NOT NULL REFERENCES clusters (uid),
    key TEXT COLLATE "C" NOT NULL CHECK (key = 'only'),
    body BYTEA NOT NULL,
    token_sha256 TEXT COLLATE "C" NOT NULL UNIQUE,
    PRIMARY KEY (cluster, key)
);

CREATE TABLE rbac_objects (
    cluster TEXT COLLATE "C" NOT NULL REFERENCES clusters (uid),
    key TEXT COLLATE "C" NOT NULL,
    body BYTEA NOT NULL,
    PRIMARY KEY (cluster, key)
);
