DROP TABLE orchestrator.blackboard_writes;
