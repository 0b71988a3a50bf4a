DROP TABLE orchestrator.run_waits;
DROP INDEX orchestrator.ix_runs_parent;
DROP INDEX orchestrator.ix_runs_wake;
ALTER TABLE orchestrator.runs DROP COLUMN output, DROP COLUMN wake_at, DROP COLUMN parent_run_id, DROP COLUMN kind;
