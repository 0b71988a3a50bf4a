DROP TABLE orchestrator.failed_compensations;
