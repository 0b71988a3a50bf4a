-- Summaries that stand for the beginning of a conversation when an agent is asked; the messages stay. The newest is the one with the largest through_position, the position of the last message that it stands for.
-- run_id is the run that wrote it, empty when somebody asked for it: a run that is taken up again begins with what it began with before.
CREATE TABLE orchestrator.conversation_summaries (
    id               text COLLATE "C" PRIMARY KEY,
    tenant_id        text COLLATE "C" NOT NULL,
    conversation_id  text COLLATE "C" NOT NULL,
    run_id           text COLLATE "C" NOT NULL,
    through_position bigint NOT NULL,
    text             text NOT NULL,
    model            text NOT NULL,
    created_at       timestamptz(3) NOT NULL
);
CREATE INDEX ix_conversation_summaries ON orchestrator.conversation_summaries (conversation_id, through_position);
SELECT maap.protect('orchestrator.conversation_summaries');
