-- Access entries whose principal was made anew: who has knocked under the ARN since. The row is there until the entry is bound again.
CREATE TABLE stale_entries (
    cluster TEXT NOT NULL,
    entry TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (cluster, entry),
    FOREIGN KEY (cluster, entry) REFERENCES access_entries (cluster, id)
) STRICT;
