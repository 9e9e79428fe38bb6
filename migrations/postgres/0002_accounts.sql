-- Accounts, and the principals of local ones. Nothing here is deleted behind the change lines' back: the store deletes what
-- hangs on a record by name, so no foreign key cascades.

CREATE TABLE accounts (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(id) = 12),
    body BYTEA NOT NULL,
    partition_name TEXT COLLATE "C" NOT NULL,
    authority TEXT COLLATE "C" NOT NULL CHECK (authority <> '')
);

CREATE TABLE users (
    account TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    name TEXT COLLATE "C" NOT NULL CHECK (name <> ''),
    body BYTEA NOT NULL,
    name_folded TEXT COLLATE "C" NOT NULL,
    path TEXT COLLATE "C" NOT NULL,
    principal_id TEXT COLLATE "C" NOT NULL UNIQUE,
    PRIMARY KEY (account, name),
    UNIQUE (account, name_folded)
);

CREATE TABLE access_keys (
    account TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    body BYTEA NOT NULL,
    user_name TEXT COLLATE "C" NOT NULL,
    active BIGINT NOT NULL CHECK (active IN (0, 1)),
    PRIMARY KEY (account, id),
    FOREIGN KEY (account, user_name) REFERENCES users (account, name)
);

CREATE INDEX access_keys_by_user ON access_keys (account, user_name);

CREATE TABLE iam_roles (
    account TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    name TEXT COLLATE "C" NOT NULL CHECK (name <> ''),
    body BYTEA NOT NULL,
    name_folded TEXT COLLATE "C" NOT NULL,
    principal_id TEXT COLLATE "C" NOT NULL UNIQUE,
    PRIMARY KEY (account, name),
    UNIQUE (account, name_folded)
);

CREATE TABLE inline_policies (
    account TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    body BYTEA NOT NULL,
    user_name TEXT COLLATE "C",
    role_name TEXT COLLATE "C",
    PRIMARY KEY (account, key),
    FOREIGN KEY (account, user_name) REFERENCES users (account, name),
    FOREIGN KEY (account, role_name) REFERENCES iam_roles (account, name),
    CHECK ((user_name IS NULL) <> (role_name IS NULL))
);

CREATE INDEX inline_policies_by_user ON inline_policies (account, user_name);
CREATE INDEX inline_policies_by_role ON inline_policies (account, role_name);
