-- Accounts, and the principals of local ones. Nothing here is deleted behind the change lines' back: the store deletes what
-- hangs on a record by name, so no foreign key cascades.

CREATE TABLE accounts (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 12),
    body BLOB NOT NULL,
    partition_name TEXT NOT NULL,
    authority TEXT NOT NULL CHECK (authority <> '')
) STRICT;

CREATE TABLE users (
    account TEXT NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL CHECK (name <> ''),
    body BLOB NOT NULL,
    name_folded TEXT NOT NULL,
    path TEXT NOT NULL,
    principal_id TEXT NOT NULL UNIQUE,
    PRIMARY KEY (account, name),
    UNIQUE (account, name_folded)
) STRICT;

CREATE TABLE access_keys (
    account TEXT NOT NULL,
    id TEXT NOT NULL UNIQUE,
    body BLOB NOT NULL,
    user_name TEXT NOT NULL,
    active INTEGER NOT NULL CHECK (active IN (0, 1)),
    PRIMARY KEY (account, id),
    FOREIGN KEY (account, user_name) REFERENCES users (account, name)
) STRICT;

CREATE INDEX access_keys_by_user ON access_keys (account, user_name);

CREATE TABLE iam_roles (
    account TEXT NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL CHECK (name <> ''),
    body BLOB NOT NULL,
    name_folded TEXT NOT NULL,
    principal_id TEXT NOT NULL UNIQUE,
    PRIMARY KEY (account, name),
    UNIQUE (account, name_folded)
) STRICT;

CREATE TABLE inline_policies (
    account TEXT NOT NULL,
    key TEXT NOT NULL,
    body BLOB NOT NULL,
    user_name TEXT,
    role_name TEXT,
    PRIMARY KEY (account, key),
    FOREIGN KEY (account, user_name) REFERENCES users (account, name),
    FOREIGN KEY (account, role_name) REFERENCES iam_roles (account, name),
    CHECK ((user_name IS NULL) <> (role_name IS NULL))
) STRICT;

CREATE INDEX inline_policies_by_user ON inline_policies (account, user_name);
CREATE INDEX inline_policies_by_role ON inline_policies (account, role_name);
