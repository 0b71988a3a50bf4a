DROP TABLE orchestrator.tool_results;
DROP TABLE orchestrator.tool_sources;
