-- Inline policies of principals whom another authority than the hub keeps. The same table with one more kind of owner, for a CHECK
-- cannot be changed in its place.

CREATE TABLE inline_policies_of_every_owner (
    account TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    key TEXT COLLATE "C" NOT NULL,
    body BYTEA NOT NULL,
    user_name TEXT COLLATE "C",
    role_name TEXT COLLATE "C",
    -- The canonical ARN, byte for byte.
    principal_arn TEXT COLLATE "C",
    PRIMARY KEY (account, key),
    FOREIGN KEY (account, user_name) REFERENCES users (account, name),
    FOREIGN KEY (account, role_name) REFERENCES iam_roles (account, name),
    CHECK (
        (user_name IS NOT NULL AND role_name IS NULL AND principal_arn IS NULL)
        OR (user_name IS NULL AND role_name IS NOT NULL AND principal_arn IS NULL)
        OR (user_name IS NULL AND role_name IS NULL AND principal_arn IS NOT NULL)
    )
);

INSERT INTO inline_policies_of_every_owner (account, key, body, user_name, role_name)
SELECT account, key, body, user_name, role_name FROM inline_policies;

DROP TABLE inline_policies;

ALTER TABLE inline_policies_of_every_owner RENAME TO inline_policies;

CREATE INDEX inline_policies_by_user ON inline_policies (account, user_name);
CREATE INDEX inline_policies_by_role ON inline_policies (account, role_name);
CREATE INDEX inline_policies_by_principal ON inline_policies (account, principal_arn);
