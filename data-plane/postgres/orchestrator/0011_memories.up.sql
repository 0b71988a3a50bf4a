-- What agents were told to keep in mind. A fact belongs to a user (whichever agent talks to them) or to an agent (whoever talks to it): subject is
-- user:<id> or agent:<slug>. digest is of the text without case and spaces: the same fact is kept once. used_at is when it was last told or found, which is what it fades from.
CREATE TABLE orchestrator.memories (
    id              text COLLATE "C" PRIMARY KEY,
    tenant_id       text COLLATE "C" NOT NULL,
    subject         text COLLATE "C" NOT NULL,
    digest          text COLLATE "C" NOT NULL,
    text            text NOT NULL,
    agent           text,
    run_id          text COLLATE "C",
    conversation_id text COLLATE "C",
    author          text,
    created_at      timestamptz(3) NOT NULL,
    used_at         timestamptz(3) NOT NULL,
    uses            integer NOT NULL
);
CREATE UNIQUE INDEX ux_memories_fact ON orchestrator.memories (tenant_id, subject, digest);
CREATE INDEX ix_memories_tenant ON orchestrator.memories (tenant_id, id);
CREATE INDEX ix_memories_used ON orchestrator.memories (used_at);
SELECT maap.protect('orchestrator.memories');
