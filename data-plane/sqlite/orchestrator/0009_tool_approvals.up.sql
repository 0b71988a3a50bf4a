-- What a person is asked to agree to, as JSON: the tool, its arguments and their hash.
ALTER TABLE run_waits ADD COLUMN subject TEXT;
-- Runs that rest until a run of theirs has ended; name is that run's id.
CREATE INDEX ix_run_waits_child ON run_waits (name) WHERE state = 'open' AND kind = 'child';
