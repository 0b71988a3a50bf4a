-- Where tenants hear of their runs. run_id: for this run alone. events: types with spaces between, empty for all. secrets are encrypted.
CREATE TABLE webhook_endpoints (
    id          TEXT NOT NULL PRIMARY KEY,
    tenant_id   TEXT NOT NULL,
    run_id      TEXT,
    url         TEXT NOT NULL,
    description TEXT,
    events      TEXT NOT NULL,
    secrets     BLOB NOT NULL,
    disabled    TEXT,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX ix_webhook_endpoints_tenant ON webhook_endpoints (tenant_id, run_id);

-- What is on its way, and what became of it. position is the order within a run.
CREATE TABLE webhook_deliveries (
    position    INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT NOT NULL UNIQUE,
    tenant_id   TEXT NOT NULL,
    endpoint_id TEXT NOT NULL,
    run_id      TEXT,
    type        TEXT NOT NULL,
    payload     BLOB NOT NULL,
    state       TEXT NOT NULL,
    attempts    INTEGER NOT NULL,
    next_at     INTEGER NOT NULL,
    lease_owner TEXT,
    lease_until INTEGER,
    last_status INTEGER,
    last_error  TEXT,
    created_at  INTEGER NOT NULL,
    ended_at    INTEGER
);
CREATE INDEX ix_webhook_deliveries_due ON webhook_deliveries (next_at) WHERE state = 'pending';
CREATE INDEX ix_webhook_deliveries_order ON webhook_deliveries (endpoint_id, run_id, position) WHERE state = 'pending';
CREATE INDEX ix_webhook_deliveries_endpoint ON webhook_deliveries (endpoint_id, id);
CREATE INDEX ix_webhook_deliveries_ended ON webhook_deliveries (ended_at) WHERE state <> 'pending';
