-- What the hub has settled about itself, and what its replicas share beside mutations.

CREATE TABLE settings (
    name TEXT NOT NULL PRIMARY KEY CHECK (name <> ''),
    body BLOB NOT NULL
) STRICT;

-- Finished decisions, for explain --id; no mutation, no line.
CREATE TABLE decisions (
    id TEXT NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    cluster TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;

CREATE INDEX decisions_by_time ON decisions (at, id);

CREATE TABLE leases (
    name TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    term INTEGER NOT NULL CHECK (term > 0),
    ends_at INTEGER NOT NULL
) STRICT;
