-- A person who has taken a conversation over from its agent, since when and why.
ALTER TABLE conversations ADD COLUMN handled_by TEXT;
ALTER TABLE conversations ADD COLUMN handled_since INTEGER;
ALTER TABLE conversations ADD COLUMN handled_reason TEXT;
CREATE INDEX ix_conversations_handled ON conversations (tenant_id, id) WHERE handled_by IS NOT NULL;

-- The person who wrote a message; null for the user and the agent. request_key keeps a repeated request from writing it again.
ALTER TABLE messages ADD COLUMN author TEXT;
ALTER TABLE messages ADD COLUMN request_key TEXT;
CREATE UNIQUE INDEX ux_messages_request_key ON messages (conversation_id, request_key) WHERE request_key IS NOT NULL;
