DROP INDEX ux_messages_request_key;
ALTER TABLE messages DROP COLUMN request_key;
ALTER TABLE messages DROP COLUMN author;
DROP INDEX ix_conversations_handled;
ALTER TABLE conversations DROP COLUMN handled_reason;
ALTER TABLE conversations DROP COLUMN handled_since;
ALTER TABLE conversations DROP COLUMN handled_by;
