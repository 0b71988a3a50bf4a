-- A run that has not ended is taken up from its log, however long it has waited.
UPDATE maap.partitioned SET keeper = 'orchestrator.runs', keeps = $$status IN ('queued', 'running', 'waiting', 'paused')$$ WHERE parent = 'orchestrator.run_events';
