DROP TABLE orchestrator.memories;
