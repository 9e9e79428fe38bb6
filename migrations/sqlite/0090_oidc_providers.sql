-- OIDC: the issuers that the roles of an account may trust.

CREATE TABLE oidc_providers (
    account TEXT NOT NULL REFERENCES accounts (id),
    -- Byte for byte: issuers that differ in letter case or a slash are different issuers.
    issuer_url TEXT NOT NULL CHECK (issuer_url <> ''),
    body BLOB NOT NULL,
    -- A provider made again for the same issuer has another.
    id TEXT NOT NULL UNIQUE,
    PRIMARY KEY (account, issuer_url)
) STRICT;
