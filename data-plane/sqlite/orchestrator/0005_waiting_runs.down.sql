DROP TABLE run_waits;
DROP INDEX ix_runs_parent;
DROP INDEX ix_runs_wake;
ALTER TABLE runs DROP COLUMN cancel_requested;
ALTER TABLE runs DROP COLUMN output;
ALTER TABLE runs DROP COLUMN wake_at;
ALTER TABLE runs DROP COLUMN parent_run_id;
ALTER TABLE runs DROP COLUMN kind;
