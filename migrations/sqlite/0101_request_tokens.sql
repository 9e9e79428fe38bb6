-- What a mutation is known by, so that it counts once: its signature as before, and the token that its caller gave it.

ALTER TABLE signature_uses RENAME TO mutation_uses;

-- Of a token: the principal whose it is, and the digest of the request that it came with.
ALTER TABLE mutation_uses ADD COLUMN owner TEXT;
ALTER TABLE mutation_uses ADD COLUMN request BLOB;

CREATE INDEX mutation_uses_by_owner ON mutation_uses (owner, expires_at);
