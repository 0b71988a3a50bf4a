CREATE SCHEMA host;

-- Requests that carried an Idempotency-Key. process is the server process that works on it until claimed_until, null once answered.
-- tenant_id may name the operator.
CREATE TABLE host.idempotency_keys (
    tenant_id     text COLLATE "C" NOT NULL,
    key           text COLLATE "C" NOT NULL,
    request_hash  text NOT NULL,
    process       text,
    claimed_until timestamptz(3),
    status        integer,
    content_type  text,
    location      text,
    body          bytea,
    created_at    timestamptz(3) NOT NULL,
    PRIMARY KEY (tenant_id, key)
);
CREATE INDEX ix_idempotency_keys_created_at ON host.idempotency_keys (created_at);
SELECT maap.protect('host.idempotency_keys');

-- The key ring that all replicas encrypt and decrypt with.
CREATE TABLE host.data_protection_keys (
    id         text PRIMARY KEY,
    xml        text NOT NULL,
    created_at timestamptz(3) NOT NULL DEFAULT now()
);
SELECT maap.protect_from_tenants('host.data_protection_keys');
