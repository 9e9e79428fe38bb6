-- What a hub needs to watch a spoke cluster, and how far it has got.

-- The way to its API server. What is secret of it lies sealed in `secrets`.
CREATE TABLE spoke_kubeconfigs (
    cluster TEXT NOT NULL PRIMARY KEY REFERENCES clusters (uid),
    body BLOB NOT NULL
) STRICT;

-- What the watcher of a cluster says of itself; no mutation, no line.
CREATE TABLE spoke_watches (
    cluster TEXT NOT NULL PRIMARY KEY REFERENCES clusters (uid),
    body BLOB NOT NULL
) STRICT;
