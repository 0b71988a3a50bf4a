DROP INDEX ix_runs_keyed;
ALTER TABLE runs DROP COLUMN reasoning_tokens;
ALTER TABLE runs DROP COLUMN cached_input_tokens;
