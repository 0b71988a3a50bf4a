ALTER TABLE orchestrator.runs DROP COLUMN pause_requested;
