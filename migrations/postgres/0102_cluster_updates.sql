-- Changes of clusters that EKS's clients follow; of each cluster the newest are kept.

CREATE TABLE cluster_updates (
    cluster TEXT COLLATE "C" NOT NULL REFERENCES clusters (uid),
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    body BYTEA NOT NULL,
    PRIMARY KEY (cluster, id)
);
