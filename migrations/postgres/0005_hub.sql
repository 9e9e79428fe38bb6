-- What the hub has settled about itself, and what its replicas share beside mutations.

CREATE TABLE settings (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY CHECK (name <> ''),
    body BYTEA NOT NULL
);

-- Finished decisions, for explain --id; no mutation, no line.
CREATE TABLE decisions (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    cluster TEXT COLLATE "C" NOT NULL,
    body BYTEA NOT NULL
);

CREATE INDEX decisions_by_time ON decisions (at, id);

CREATE TABLE leases (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    holder TEXT COLLATE "C" NOT NULL,
    term BIGINT NOT NULL CHECK (term > 0),
    ends_at BIGINT NOT NULL
);
