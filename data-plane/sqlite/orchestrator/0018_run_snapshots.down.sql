DROP TABLE run_snapshots;
