-- The issuers that the hub serves for clusters, and the keys that it publishes there.

CREATE TABLE hosted_issuers (
    cluster TEXT COLLATE "C" NOT NULL REFERENCES clusters (uid),
    key TEXT COLLATE "C" NOT NULL CHECK (key = 'only'),
    body BYTEA NOT NULL,
    -- Byte for byte.
    issuer_url TEXT COLLATE "C" NOT NULL UNIQUE,
    PRIMARY KEY (cluster, key)
);

-- A key is one cluster's alone, as those are that its API server shows.
CREATE TABLE hosted_issuer_keys (
    thumbprint TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    cluster TEXT COLLATE "C" NOT NULL REFERENCES clusters (uid)
);

CREATE INDEX hosted_issuer_keys_by_cluster ON hosted_issuer_keys (cluster);
