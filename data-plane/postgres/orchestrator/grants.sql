GRANT USAGE ON SCHEMA orchestrator TO maap_app;
GRANT SELECT, INSERT, UPDATE ON orchestrator.agents, orchestrator.agent_labels, orchestrator.conversations, orchestrator.runs, orchestrator.run_waits, orchestrator.failed_compensations TO maap_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON orchestrator.messages, orchestrator.feedback, orchestrator.memories TO maap_app;
-- Append-only. Partitions are reached through their table alone.
GRANT SELECT, INSERT ON orchestrator.agent_versions, orchestrator.run_events TO maap_app;
GRANT SELECT, INSERT, DELETE ON orchestrator.outbox, orchestrator.conversation_summaries, orchestrator.blackboard_writes TO maap_app;
GRANT SELECT, INSERT, UPDATE ON orchestrator.workflows, orchestrator.workflow_labels TO maap_app;
GRANT SELECT, INSERT ON orchestrator.workflow_versions TO maap_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON orchestrator.tool_sources TO maap_app;
GRANT SELECT, INSERT, DELETE ON orchestrator.tool_results TO maap_app;
GRANT SELECT, INSERT ON orchestrator.response_deletions TO maap_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON orchestrator.webhook_endpoints, orchestrator.webhook_deliveries TO maap_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON orchestrator.schedules, orchestrator.schedule_firings TO maap_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON orchestrator.run_snapshots TO maap_app;
