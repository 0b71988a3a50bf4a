DROP TABLE orchestrator.response_deletions;
