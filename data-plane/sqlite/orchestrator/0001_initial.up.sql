-- Agents. A version is immutable; labels point to versions.
CREATE TABLE agents (
    id             TEXT NOT NULL PRIMARY KEY,
    tenant_id      TEXT NOT NULL,
    slug           TEXT NOT NULL,
    latest_version INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    deleted_at     INTEGER
);
CREATE UNIQUE INDEX ux_agents_slug ON agents (tenant_id, slug) WHERE deleted_at IS NULL;

CREATE TABLE agent_versions (
    agent_id   TEXT NOT NULL REFERENCES agents (id),
    number     INTEGER NOT NULL,
    tenant_id  TEXT NOT NULL,
    definition TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT,
    PRIMARY KEY (agent_id, number)
) WITHOUT ROWID;

CREATE TABLE agent_labels (
    agent_id   TEXT NOT NULL REFERENCES agents (id),
    label      TEXT NOT NULL,
    tenant_id  TEXT NOT NULL,
    version    INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (agent_id, label)
) WITHOUT ROWID;

CREATE TABLE conversations (
    id         TEXT NOT NULL PRIMARY KEY,
    tenant_id  TEXT NOT NULL,
    agent      TEXT,
    title      TEXT,
    user_id    TEXT,
    api_key_id TEXT,
    metadata   TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER
) WITHOUT ROWID;
CREATE INDEX ix_conversations_tenant ON conversations (tenant_id, id);

-- position orders the messages of a conversation. wire is the message in the OpenAI dialect; visible is 0 for the
-- calls of tools and their results, which a model needs and a person does not.
CREATE TABLE messages (
    position        INTEGER PRIMARY KEY AUTOINCREMENT,
    id              TEXT NOT NULL,
    tenant_id       TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    run_id          TEXT NOT NULL,
    role            TEXT NOT NULL,
    visible         INTEGER NOT NULL,
    wire            BLOB NOT NULL,
    created_at      INTEGER NOT NULL
);
CREATE UNIQUE INDEX ux_messages_id ON messages (id);
CREATE INDEX ix_messages_conversation ON messages (conversation_id, position);

-- position is the order of acceptance: ids made in the same millisecond do not tell it, and a conversation's queue needs it.
CREATE TABLE runs (
    position        INTEGER PRIMARY KEY,
    id              TEXT NOT NULL,
    tenant_id       TEXT NOT NULL,
    conversation_id TEXT,
    agent_id        TEXT NOT NULL,
    agent           TEXT NOT NULL,
    agent_version   INTEGER NOT NULL,
    surface         TEXT NOT NULL,
    status          TEXT NOT NULL,
    reason          TEXT,
    error_status    INTEGER,
    error_code      TEXT,
    error_message   TEXT,
    idempotency_key TEXT,
    request_hash    TEXT,
    request_id      TEXT NOT NULL,
    api_key_id      TEXT,
    user_id         TEXT,
    journey_id      TEXT NOT NULL,
    trace_parent    TEXT,
    metadata        TEXT,
    steps           INTEGER NOT NULL DEFAULT 0,
    input_tokens    INTEGER NOT NULL DEFAULT 0,
    output_tokens   INTEGER NOT NULL DEFAULT 0,
    cost_usd        TEXT,
    created_at      INTEGER NOT NULL,
    started_at      INTEGER,
    ended_at        INTEGER
);
CREATE UNIQUE INDEX ux_runs_id ON runs (id);
CREATE INDEX ix_runs_tenant ON runs (tenant_id, id);
CREATE UNIQUE INDEX ux_runs_idempotency_key ON runs (tenant_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX ix_runs_active ON runs (id) WHERE status IN ('queued', 'running');
CREATE INDEX ix_runs_conversation ON runs (conversation_id, position) WHERE conversation_id IS NOT NULL;

-- The log of a run, append-only; seq is gapless from 1. A run's state is this log.
CREATE TABLE run_events (
    run_id    TEXT NOT NULL,
    seq       INTEGER NOT NULL,
    tenant_id TEXT NOT NULL,
    type      TEXT NOT NULL,
    at        INTEGER NOT NULL,
    data      BLOB NOT NULL,
    PRIMARY KEY (run_id, seq)
) WITHOUT ROWID;

CREATE TABLE feedback (
    id              TEXT NOT NULL PRIMARY KEY,
    tenant_id       TEXT NOT NULL,
    message_id      TEXT NOT NULL,
    run_id          TEXT NOT NULL,
    conversation_id TEXT,
    agent           TEXT NOT NULL,
    author          TEXT NOT NULL,
    rating          INTEGER,
    score           INTEGER,
    comment         TEXT,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX ux_feedback_author ON feedback (tenant_id, message_id, author);
CREATE INDEX ix_feedback_tenant ON feedback (tenant_id, id);
CREATE INDEX ix_feedback_conversation ON feedback (conversation_id, id);

CREATE TABLE outbox (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL,
    subject      TEXT NOT NULL,
    source       TEXT NOT NULL,
    tenant_id    TEXT,
    ordering_key TEXT,
    time         INTEGER NOT NULL,
    trace_parent TEXT,
    data         BLOB NOT NULL
);
