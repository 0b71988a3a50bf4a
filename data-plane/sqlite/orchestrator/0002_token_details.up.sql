-- Parts of input and output that are priced or shown apart.
ALTER TABLE runs ADD COLUMN cached_input_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN reasoning_tokens INTEGER NOT NULL DEFAULT 0;

-- Finds the idempotency keys whose time is over.
CREATE INDEX ix_runs_keyed ON runs (created_at) WHERE idempotency_key IS NOT NULL;
