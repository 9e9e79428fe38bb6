-- What a hub needs to watch a spoke cluster, and how far it has got.

-- The way to its API server. What is secret of it lies sealed in `secrets`.
CREATE TABLE spoke_kubeconfigs (
    cluster TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES clusters (uid),
    body BYTEA NOT NULL
);

-- What the watcher of a cluster says of itself; no mutation, no line.
CREATE TABLE spoke_watches (
    cluster TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES clusters (uid),
    body BYTEA NOT NULL
);
