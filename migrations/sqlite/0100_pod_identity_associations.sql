-- Which ServiceAccount's pods get which role.

CREATE TABLE pod_identity_associations (
    cluster TEXT NOT NULL REFERENCES clusters (uid),
    id TEXT NOT NULL UNIQUE,
    body BLOB NOT NULL,
    namespace TEXT NOT NULL,
    service_account TEXT NOT NULL,
    PRIMARY KEY (cluster, id),
    UNIQUE (cluster, namespace, service_account)
) STRICT;
