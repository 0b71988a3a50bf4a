-- Where tenants hear of their runs. run_id: for this run alone. events: types with spaces between, empty for all. secrets are encrypted.
CREATE TABLE orchestrator.webhook_endpoints (
    id          text COLLATE "C" PRIMARY KEY,
    tenant_id   text COLLATE "C" NOT NULL,
    run_id      text COLLATE "C",
    url         text NOT NULL,
    description text,
    events      text NOT NULL,
    secrets     bytea NOT NULL,
    disabled    text,
    created_at  timestamptz(3) NOT NULL,
    updated_at  timestamptz(3) NOT NULL
);
CREATE INDEX ix_webhook_endpoints_tenant ON orchestrator.webhook_endpoints (tenant_id, run_id);
SELECT maap.protect('orchestrator.webhook_endpoints');

-- What is on its way, and what became of it. position is the order within a run.
CREATE TABLE orchestrator.webhook_deliveries (
    position    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id          text COLLATE "C" NOT NULL UNIQUE,
    tenant_id   text COLLATE "C" NOT NULL,
    endpoint_id text COLLATE "C" NOT NULL,
    run_id      text COLLATE "C",
    type        text NOT NULL,
    payload     bytea NOT NULL,
    state       text NOT NULL,
    attempts    integer NOT NULL,
    next_at     timestamptz(3) NOT NULL,
    lease_owner text,
    lease_until timestamptz(3),
    last_status integer,
    last_error  text,
    created_at  timestamptz(3) NOT NULL,
    ended_at    timestamptz(3)
);
CREATE INDEX ix_webhook_deliveries_due ON orchestrator.webhook_deliveries (next_at) WHERE state = 'pending';
CREATE INDEX ix_webhook_deliveries_order ON orchestrator.webhook_deliveries (endpoint_id, run_id, position) WHERE state = 'pending';
CREATE INDEX ix_webhook_deliveries_endpoint ON orchestrator.webhook_deliveries (endpoint_id, id);
CREATE INDEX ix_webhook_deliveries_ended ON orchestrator.webhook_deliveries (ended_at) WHERE state <> 'pending';
SELECT maap.protect('orchestrator.webhook_deliveries');
