-- Changes of clusters that EKS's clients follow; of each cluster the newest are kept.

CREATE TABLE cluster_updates (
    cluster TEXT NOT NULL REFERENCES clusters (uid),
    id TEXT NOT NULL UNIQUE,
    body BLOB NOT NULL,
    PRIMARY KEY (cluster, id)
) STRICT;
