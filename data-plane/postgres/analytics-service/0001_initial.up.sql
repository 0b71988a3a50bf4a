CREATE SCHEMA analytics_service;

-- One row per call of a model, kept in the order in which a tenant reads it: one tree serves uniqueness, ranges and lists.
-- cost_pico_usd is exact: a price per million tokens with up to six decimals times a number of tokens.
CREATE TABLE analytics_service.usage (
    tenant_id           text COLLATE "C" NOT NULL,
    at                  timestamptz(3) NOT NULL,
    id                  text COLLATE "C" NOT NULL,
    api_key_id          text COLLATE "C",
    user_id             text COLLATE "C",
    request_id          text NOT NULL,
    run_id              text COLLATE "C",
    agent               text COLLATE "C",
    operation           text COLLATE "C" NOT NULL,
    requested_model     text COLLATE "C" NOT NULL,
    model               text COLLATE "C" NOT NULL,
    provider            text COLLATE "C" NOT NULL,
    input_tokens        bigint NOT NULL,
    cached_input_tokens bigint NOT NULL,
    cache_write_tokens  bigint NOT NULL,
    output_tokens       bigint NOT NULL,
    reasoning_tokens    bigint NOT NULL,
    estimated           boolean NOT NULL,
    cost_pico_usd       bigint,
    status              text COLLATE "C" NOT NULL,
    error_code          text,
    stream              boolean NOT NULL,
    attempt             integer NOT NULL,
    latency_ms          double precision NOT NULL,
    first_token_ms      double precision,
    PRIMARY KEY (tenant_id, at, id)
) PARTITION BY RANGE (at);
SELECT maap.protect('analytics_service.usage');
SELECT maap.partition('analytics_service.usage', NULL, 'at', 'month');

-- Ids are time-ordered, so a tenant's journeys lie in the order of their making; partitioned by that time, the id stays unique.
CREATE TABLE analytics_service.journeys (
    tenant_id    text COLLATE "C" NOT NULL,
    id           text COLLATE "C" NOT NULL,
    type         text COLLATE "C" NOT NULL,
    user_id      text COLLATE "C",
    status       text COLLATE "C" NOT NULL,
    started_at   timestamptz(3) NOT NULL,
    last_seen_at timestamptz(3) NOT NULL,
    ended_at     timestamptz(3),
    duration_ms  double precision,
    step_count   integer NOT NULL,
    -- names of the steps of a journey that was recorded whole, comma separated; others have rows in journey_steps
    step_names   text,
    reason       text,
    metadata     text,
    PRIMARY KEY (tenant_id, id)
) PARTITION BY RANGE (id);
CREATE INDEX ix_journeys_active ON analytics_service.journeys (last_seen_at) WHERE status = 'active';
SELECT maap.protect('analytics_service.journeys');
SELECT maap.partition('analytics_service.journeys', 'jrn', 'last_seen_at', 'month');

CREATE TABLE analytics_service.journey_steps (
    id         text COLLATE "C" NOT NULL,
    tenant_id  text COLLATE "C" NOT NULL,
    journey_id text COLLATE "C" NOT NULL,
    name       text NOT NULL,
    at         timestamptz(3) NOT NULL,
    metadata   text,
    PRIMARY KEY (tenant_id, journey_id, id)
) PARTITION BY RANGE (journey_id);
CREATE INDEX ix_journey_steps_journey ON analytics_service.journey_steps (tenant_id, journey_id, at);
SELECT maap.protect('analytics_service.journey_steps');
SELECT maap.partition('analytics_service.journey_steps', 'jrn', 'at', 'month');
