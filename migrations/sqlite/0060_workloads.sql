-- The workloads of clusters, as far as the way out has to know them.

CREATE TABLE service_accounts (
    cluster TEXT NOT NULL REFERENCES clusters (uid),
    -- `<namespace>/<name>`
    key TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (cluster, key)
) STRICT;

CREATE TABLE workload_issuers (
    cluster TEXT NOT NULL REFERENCES clusters (uid),
    key TEXT NOT NULL CHECK (key = 'only'),
    body BLOB NOT NULL,
    -- Byte for byte; absent where its tokens are of no use for IRSA, for then several clusters may have the name.
    irsa_issuer TEXT UNIQUE,
    PRIMARY KEY (cluster, key)
) STRICT;

-- A key is one cluster's alone: a token that it signed says of which cluster it is.
CREATE TABLE workload_issuer_keys (
    thumbprint TEXT NOT NULL PRIMARY KEY,
    cluster TEXT NOT NULL REFERENCES clusters (uid)
) STRICT;

CREATE INDEX workload_issuer_keys_by_cluster ON workload_issuer_keys (cluster);
