-- What agents were told to keep in mind. A fact belongs to a user (whichever agent talks to them) or to an agent (whoever talks to it): subject is
-- user:<id> or agent:<slug>. digest is of the text without case and spaces: the same fact is kept once. used_at is when it was last told or found, which is what it fades from.
CREATE TABLE memories (
    id              TEXT NOT NULL PRIMARY KEY,
    tenant_id       TEXT NOT NULL,
    subject         TEXT NOT NULL,
    digest          TEXT NOT NULL,
    text            TEXT NOT NULL,
    agent           TEXT,
    run_id          TEXT,
    conversation_id TEXT,
    author          TEXT,
    created_at      INTEGER NOT NULL,
    used_at         INTEGER NOT NULL,
    uses            INTEGER NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX ux_memories_fact ON memories (tenant_id, subject, digest);
CREATE INDEX ix_memories_tenant ON memories (tenant_id, id);
CREATE INDEX ix_memories_used ON memories (used_at);
