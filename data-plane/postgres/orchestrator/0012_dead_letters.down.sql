DROP TABLE orchestrator.dead_letters;
