-- The issuers that the hub serves for clusters, and the keys that it publishes there.

CREATE TABLE hosted_issuers (
    cluster TEXT NOT NULL REFERENCES clusters (uid),
    key TEXT NOT NULL CHECK (key = 'only'),
    body BLOB NOT NULL,
    -- Byte for byte.
    issuer_url TEXT NOT NULL UNIQUE,
    PRIMARY KEY (cluster, key)
) STRICT;

-- A key is one cluster's alone, as those are that its API server shows.
CREATE TABLE hosted_issuer_keys (
    thumbprint TEXT NOT NULL PRIMARY KEY,
    cluster TEXT NOT NULL REFERENCES clusters (uid)
) STRICT;

CREATE INDEX hosted_issuer_keys_by_cluster ON hosted_issuer_keys (cluster);
