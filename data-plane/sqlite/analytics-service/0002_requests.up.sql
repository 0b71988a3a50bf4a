-- One row per request of an authenticated caller, kept in the order in which a tenant reads it.
CREATE TABLE requests (
    tenant_id      TEXT NOT NULL,
    at             INTEGER NOT NULL,
    id             TEXT NOT NULL,
    api_key_id     TEXT,
    user_id        TEXT,
    request_id     TEXT NOT NULL,
    method         TEXT NOT NULL,
    path           TEXT NOT NULL,
    route          TEXT,
    status         INTEGER NOT NULL,
    error_code     TEXT,
    duration_ms    REAL NOT NULL,
    request_bytes  INTEGER,
    model          TEXT,
    run_id         TEXT,
    user_agent     TEXT,
    client_address TEXT,
    PRIMARY KEY (tenant_id, at, id)
) WITHOUT ROWID;
