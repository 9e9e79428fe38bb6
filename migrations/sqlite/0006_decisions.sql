-- Decisions that let somebody in are many and seldom asked about; they must not crowd out the refusals.
ALTER TABLE decisions ADD COLUMN lets_in INTEGER NOT NULL DEFAULT 0 CHECK (lets_in IN (0, 1));

DROP INDEX decisions_by_time;
CREATE INDEX decisions_by_time ON decisions (lets_in, at, id);
