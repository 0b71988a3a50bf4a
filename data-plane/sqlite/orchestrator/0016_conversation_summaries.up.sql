-- Summaries that stand for the beginning of a conversation when an agent is asked; the messages stay. The newest is the one with the largest through_position, the position of the last message that it stands for.
-- run_id is the run that wrote it, empty when somebody asked for it: a run that is taken up again begins with what it began with before.
CREATE TABLE conversation_summaries (
    id               TEXT NOT NULL PRIMARY KEY,
    tenant_id        TEXT NOT NULL,
    conversation_id  TEXT NOT NULL,
    run_id           TEXT NOT NULL,
    through_position INTEGER NOT NULL,
    text             TEXT NOT NULL,
    model            TEXT NOT NULL,
    created_at       INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX ix_conversation_summaries ON conversation_summaries (conversation_id, through_position);
