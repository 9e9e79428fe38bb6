-- IAM: the roles that EC2 instances run with, as EC2 names them.

CREATE TABLE instance_profiles (
    account TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    name TEXT COLLATE "C" NOT NULL CHECK (name <> ''),
    body BYTEA NOT NULL,
    name_folded TEXT COLLATE "C" NOT NULL,
    profile_id TEXT COLLATE "C" NOT NULL UNIQUE,
    -- The role in it, one at most. A role goes out of its profiles before it goes.
    role_name TEXT COLLATE "C",
    PRIMARY KEY (account, name),
    UNIQUE (account, name_folded),
    FOREIGN KEY (account, role_name) REFERENCES iam_roles (account, name)
);

CREATE INDEX instance_profiles_by_role ON instance_profiles (account, role_name);
