DROP TABLE tool_results;
DROP TABLE tool_sources;
