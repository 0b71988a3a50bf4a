-- One row per request of an authenticated caller, kept in the order in which a tenant reads it.
CREATE TABLE analytics_service.requests (
    tenant_id      text COLLATE "C" NOT NULL,
    at             timestamptz(3) NOT NULL,
    id             text COLLATE "C" NOT NULL,
    api_key_id     text COLLATE "C",
    user_id        text COLLATE "C",
    request_id     text COLLATE "C" NOT NULL,
    method         text COLLATE "C" NOT NULL,
    path           text NOT NULL,
    route          text COLLATE "C",
    status         integer NOT NULL,
    error_code     text COLLATE "C",
    duration_ms    double precision NOT NULL,
    request_bytes  bigint,
    model          text COLLATE "C",
    run_id         text COLLATE "C",
    user_agent     text,
    client_address text,
    PRIMARY KEY (tenant_id, at, id)
) PARTITION BY RANGE (at);
SELECT maap.protect('analytics_service.requests');
SELECT maap.partition('analytics_service.requests', NULL, 'at', 'week');
