-- One row per call of a model, kept in the order in which a tenant reads it: one tree serves uniqueness, ranges and lists.
-- cost_pico_usd is exact: a price per million tokens with up to six decimals times a number of tokens.
CREATE TABLE usage (
    tenant_id          TEXT NOT NULL,
    at                 INTEGER NOT NULL,
    id                 TEXT NOT NULL,
    api_key_id         TEXT,
    user_id            TEXT,
    request_id         TEXT NOT NULL,
    run_id             TEXT,
    agent              TEXT,
    operation          TEXT NOT NULL,
    requested_model    TEXT NOT NULL,
    model              TEXT NOT NULL,
    provider           TEXT NOT NULL,
    input_tokens       INTEGER NOT NULL,
    cached_input_tokens INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    output_tokens      INTEGER NOT NULL,
    reasoning_tokens   INTEGER NOT NULL,
    estimated          INTEGER NOT NULL,
    cost_pico_usd      INTEGER,
    status             TEXT NOT NULL,
    error_code         TEXT,
    stream             INTEGER NOT NULL,
    attempt            INTEGER NOT NULL,
    latency_ms         REAL NOT NULL,
    first_token_ms     REAL,
    PRIMARY KEY (tenant_id, at, id)
) WITHOUT ROWID;

-- Ids are time-ordered, so a tenant's journeys lie in the order of their making.
CREATE TABLE journeys (
    tenant_id    TEXT NOT NULL,
    id           TEXT NOT NULL,
    type         TEXT NOT NULL,
    user_id      TEXT,
    status       TEXT NOT NULL,
    started_at   INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    ended_at     INTEGER,
    duration_ms  REAL,
    step_count   INTEGER NOT NULL,
    -- names of the steps of a journey that was recorded whole, comma separated; others have rows in journey_steps
    step_names   TEXT,
    reason       TEXT,
    metadata     TEXT,
    PRIMARY KEY (tenant_id, id)
) WITHOUT ROWID;
CREATE INDEX ix_journeys_active ON journeys (last_seen_at) WHERE status = 'active';

CREATE TABLE journey_steps (
    id         TEXT PRIMARY KEY,
    tenant_id  TEXT NOT NULL,
    journey_id TEXT NOT NULL,
    name       TEXT NOT NULL,
    at         INTEGER NOT NULL,
    metadata   TEXT
) WITHOUT ROWID;
CREATE INDEX ix_journey_steps_journey ON journey_steps (tenant_id, journey_id, at);
