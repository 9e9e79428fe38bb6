-- From when a version of a purpose's key seals and makes, in Unix milliseconds. Before that it only opens and verifies, so that
-- every process has it before anything bears it.
ALTER TABLE purpose_keys ADD COLUMN seals_from BIGINT NOT NULL DEFAULT 0;
