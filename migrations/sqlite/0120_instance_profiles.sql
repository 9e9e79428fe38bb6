-- IAM: the roles that EC2 instances run with, as EC2 names them.

CREATE TABLE instance_profiles (
    account TEXT NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL CHECK (name <> ''),
    body BLOB NOT NULL,
    name_folded TEXT NOT NULL,
    profile_id TEXT NOT NULL UNIQUE,
    -- The role in it, one at most. A role goes out of its profiles before it goes.
    role_name TEXT,
    PRIMARY KEY (account, name),
    UNIQUE (account, name_folded),
    FOREIGN KEY (account, role_name) REFERENCES iam_roles (account, name)
) STRICT;

CREATE INDEX instance_profiles_by_role ON instance_profiles (account, role_name);
