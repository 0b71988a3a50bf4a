DROP INDEX ix_run_waits_child;
ALTER TABLE run_waits DROP COLUMN subject;
