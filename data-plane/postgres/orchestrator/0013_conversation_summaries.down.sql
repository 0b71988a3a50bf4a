DROP TABLE orchestrator.conversation_summaries;
