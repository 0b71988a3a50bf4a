-- A person who has taken a conversation over from its agent, since when and why.
ALTER TABLE orchestrator.conversations
    ADD COLUMN handled_by text,
    ADD COLUMN handled_since timestamptz(3),
    ADD COLUMN handled_reason text;
CREATE INDEX ix_conversations_handled ON orchestrator.conversations (tenant_id, id) WHERE handled_by IS NOT NULL;

-- The person who wrote a message; null for the user and the agent. request_key keeps a repeated request from writing it again.
ALTER TABLE orchestrator.messages ADD COLUMN author text, ADD COLUMN request_key text;
CREATE UNIQUE INDEX ux_messages_request_key ON orchestrator.messages (conversation_id, request_key) WHERE request_key IS NOT NULL;
