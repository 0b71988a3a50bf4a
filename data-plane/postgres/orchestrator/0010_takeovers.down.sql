DROP INDEX orchestrator.ux_messages_request_key;
ALTER TABLE orchestrator.messages DROP COLUMN request_key, DROP COLUMN author;
DROP INDEX orchestrator.ix_conversations_handled;
ALTER TABLE orchestrator.conversations DROP COLUMN handled_reason, DROP COLUMN handled_since, DROP COLUMN handled_by;
