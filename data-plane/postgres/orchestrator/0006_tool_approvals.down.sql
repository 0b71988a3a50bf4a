DROP INDEX orchestrator.ix_run_waits_child;
ALTER TABLE orchestrator.run_waits DROP COLUMN subject;
