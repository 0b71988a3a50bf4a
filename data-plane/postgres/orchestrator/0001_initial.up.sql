-- Times are to the millisecond, as in SQLite. Ids sort by their bytes, which is the order of their making.
CREATE SCHEMA orchestrator;

-- Agents. A version is immutable; labels point to versions.
CREATE TABLE orchestrator.agents (
    id             text COLLATE "C" PRIMARY KEY,
    tenant_id      text COLLATE "C" NOT NULL,
    slug           text COLLATE "C" NOT NULL,
    latest_version integer NOT NULL,
    created_at     timestamptz(3) NOT NULL,
    updated_at     timestamptz(3) NOT NULL,
    deleted_at     timestamptz(3)
);
CREATE UNIQUE INDEX ux_agents_slug ON orchestrator.agents (tenant_id, slug) WHERE deleted_at IS NULL;
SELECT maap.protect('orchestrator.agents');

CREATE TABLE orchestrator.agent_versions (
    agent_id   text COLLATE "C" NOT NULL REFERENCES orchestrator.agents (id),
    number     integer NOT NULL,
    tenant_id  text COLLATE "C" NOT NULL,
    definition text NOT NULL,
    created_at timestamptz(3) NOT NULL,
    created_by text,
    PRIMARY KEY (agent_id, number)
);
SELECT maap.protect('orchestrator.agent_versions');

CREATE TABLE orchestrator.agent_labels (
    agent_id   text COLLATE "C" NOT NULL REFERENCES orchestrator.agents (id),
    label      text COLLATE "C" NOT NULL,
    tenant_id  text COLLATE "C" NOT NULL,
    version    integer NOT NULL,
    updated_at timestamptz(3) NOT NULL,
    PRIMARY KEY (agent_id, label)
);
SELECT maap.protect('orchestrator.agent_labels');

CREATE TABLE orchestrator.conversations (
    id         text COLLATE "C" PRIMARY KEY,
    tenant_id  text COLLATE "C" NOT NULL,
    agent      text,
    title      text,
    user_id    text,
    api_key_id text,
    metadata   text,
    created_at timestamptz(3) NOT NULL,
    updated_at timestamptz(3) NOT NULL,
    deleted_at timestamptz(3)
);
CREATE INDEX ix_conversations_tenant ON orchestrator.conversations (tenant_id, id);
SELECT maap.protect('orchestrator.conversations');

-- position orders the messages of a conversation: whoever adds to one holds its row. wire is the message in the OpenAI dialect; visible is
-- false for the calls of tools and their results, which a model needs and a person does not.
CREATE TABLE orchestrator.messages (
    position        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id              text COLLATE "C" NOT NULL UNIQUE,
    tenant_id       text COLLATE "C" NOT NULL,
    conversation_id text COLLATE "C" NOT NULL,
    run_id          text COLLATE "C" NOT NULL,
    role            text NOT NULL,
    visible         boolean NOT NULL,
    wire            bytea NOT NULL,
    created_at      timestamptz(3) NOT NULL
);
CREATE INDEX ix_messages_conversation ON orchestrator.messages (conversation_id, position);
SELECT maap.protect('orchestrator.messages');

-- position is the order of acceptance: ids made in the same millisecond do not tell it, and a conversation's queue needs it.
CREATE TABLE orchestrator.runs (
    position            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id                  text COLLATE "C" NOT NULL UNIQUE,
    tenant_id           text COLLATE "C" NOT NULL,
    conversation_id     text COLLATE "C",
    agent_id            text COLLATE "C" NOT NULL,
    agent               text COLLATE "C" NOT NULL,
    agent_version       integer NOT NULL,
    surface             text NOT NULL,
    status              text NOT NULL,
    reason              text,
    error_status        integer,
    error_code          text,
    error_message       text,
    idempotency_key     text COLLATE "C",
    request_hash        text,
    request_id          text NOT NULL,
    api_key_id          text,
    user_id             text,
    journey_id          text NOT NULL,
    trace_parent        text,
    metadata            text,
    steps               integer NOT NULL DEFAULT 0,
    input_tokens        bigint NOT NULL DEFAULT 0,
    output_tokens       bigint NOT NULL DEFAULT 0,
    cached_input_tokens bigint NOT NULL DEFAULT 0,
    reasoning_tokens    bigint NOT NULL DEFAULT 0,
    -- true when a provider reported no usage and some of the tokens were counted here
    usage_estimated     boolean NOT NULL DEFAULT false,
    cost_usd            numeric,
    created_at          timestamptz(3) NOT NULL,
    started_at          timestamptz(3),
    ended_at            timestamptz(3),
    -- Who works on the run, until when unless it says so again, and under which epoch: it grows with each change of hands, and writes that carry
    -- an older one are refused. Without a time it is free. No index has them, so that saying so again changes no index.
    lease_owner         text COLLATE "C",
    lease_until         timestamptz,
    lease_epoch         bigint NOT NULL DEFAULT 1,
    -- why another process wants it cancelled
    cancel_requested    text
) WITH (fillfactor = 85);
CREATE INDEX ix_runs_tenant ON orchestrator.runs (tenant_id, id);
CREATE UNIQUE INDEX ux_runs_idempotency_key ON orchestrator.runs (tenant_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX ix_runs_active ON orchestrator.runs (id) WHERE status IN ('queued', 'running');
CREATE INDEX ix_runs_conversation ON orchestrator.runs (conversation_id, position) WHERE conversation_id IS NOT NULL;
CREATE INDEX ix_runs_keyed ON orchestrator.runs (created_at) WHERE idempotency_key IS NOT NULL;
SELECT maap.protect('orchestrator.runs');

-- The log of a run, append-only; seq is gapless from 1. A run's state is this log. Partitioned by the run's id, which begins with the run's
-- time: so the key stays (run_id, seq), a second event of the same number is refused, and a run's events are looked for in one partition.
CREATE TABLE orchestrator.run_events (
    run_id    text COLLATE "C" NOT NULL,
    seq       bigint NOT NULL,
    tenant_id text COLLATE "C" NOT NULL,
    type      text NOT NULL,
    at        timestamptz(3) NOT NULL,
    data      bytea NOT NULL,
    PRIMARY KEY (run_id, seq)
) PARTITION BY RANGE (run_id);
SELECT maap.protect('orchestrator.run_events');
SELECT maap.partition('orchestrator.run_events', 'run', 'at', 'week');

CREATE TABLE orchestrator.feedback (
    id              text COLLATE "C" PRIMARY KEY,
    tenant_id       text COLLATE "C" NOT NULL,
    message_id      text COLLATE "C" NOT NULL,
    run_id          text COLLATE "C" NOT NULL,
    conversation_id text COLLATE "C",
    agent           text COLLATE "C" NOT NULL,
    author          text COLLATE "C" NOT NULL,
    rating          integer,
    score           integer,
    comment         text,
    created_at      timestamptz(3) NOT NULL,
    updated_at      timestamptz(3) NOT NULL
);
CREATE UNIQUE INDEX ux_feedback_author ON orchestrator.feedback (tenant_id, message_id, author);
CREATE INDEX ix_feedback_tenant ON orchestrator.feedback (tenant_id, id);
CREATE INDEX ix_feedback_conversation ON orchestrator.feedback (conversation_id, id);
SELECT maap.protect('orchestrator.feedback');

CREATE TABLE orchestrator.outbox (
    seq          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id           text NOT NULL,
    subject      text NOT NULL,
    source       text NOT NULL,
    tenant_id    text,
    ordering_key text,
    time         timestamptz(3) NOT NULL,
    trace_parent text,
    data         bytea NOT NULL
);
SELECT maap.protect('orchestrator.outbox');
