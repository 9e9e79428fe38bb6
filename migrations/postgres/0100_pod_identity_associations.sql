-- Which ServiceAccount's pods get which role.

CREATE TABLE pod_identity_associations (
    cluster TEXT COLLATE "C" NOT NULL REFERENCES clusters (uid),
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    body BYTEA NOT NULL,
    namespace TEXT COLLATE "C" NOT NULL,
    service_account TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (cluster, id),
    UNIQUE (cluster, namespace, service_account)
);
