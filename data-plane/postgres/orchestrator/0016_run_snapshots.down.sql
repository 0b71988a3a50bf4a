DROP TABLE orchestrator.run_snapshots;
