UPDATE maap.partitioned SET keeper = NULL, keeps = NULL WHERE parent = 'orchestrator.run_events';
