-- The workloads of clusters, as far as the way out has to know them.

CREATE TABLE service_accounts (
    cluster TEXT COLLATE "C" NOT NULL REFERENCES clusters (uid),
    -- `<namespace>/<name>`
    key TEXT COLLATE "C" NOT NULL,
    body BYTEA NOT NULL,
    PRIMARY KEY (cluster, key)
);

CREATE TABLE workload_issuers (
    cluster TEXT COLLATE "C" NOT NULL REFERENCES clusters (uid),
    key TEXT COLLATE "C" NOT NULL CHECK (key = 'only'),
    body BYTEA NOT NULL,
    -- Byte for byte; absent where its tokens are of no use for IRSA, for then several clusters may have the name.
    irsa_issuer TEXT COLLATE "C" UNIQUE,
    PRIMARY KEY (cluster, key)
);

-- A key is one cluster's alone: a token that it signed says of which cluster it is.
CREATE TABLE workload_issuer_keys (
    thumbprint TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    cluster TEXT COLLATE "C" NOT NULL REFERENCES clusters (uid)
);

CREATE INDEX workload_issuer_keys_by_cluster ON workload_issuer_keys (cluster);
