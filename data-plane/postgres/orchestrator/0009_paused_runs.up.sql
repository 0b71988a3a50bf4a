-- A run that is asked to rest at its next step. Then its status is 'paused', until it is asked to go on.
ALTER TABLE orchestrator.runs ADD COLUMN pause_requested boolean NOT NULL DEFAULT false;
