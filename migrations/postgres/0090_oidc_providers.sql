-- OIDC: the issuers that the roles of an account may trust.

CREATE TABLE oidc_providers (
    account TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    -- Byte for byte: issuers that differ in letter case or a slash are different issuers.
    issuer_url TEXT COLLATE "C" NOT NULL CHECK (issuer_url <> ''),
    body BYTEA NOT NULL,
    -- A provider made again for the same issuer has another.
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    PRIMARY KEY (account, issuer_url)
);
