-- Runs of workflows, beside those of agents; they may wait for a time, a person or an event at no cost. wake_at is when a waiting run goes on:
-- the nearest of its times, or 0 once something that it waits for has come. output is the result as JSON.
ALTER TABLE runs ADD COLUMN kind TEXT NOT NULL DEFAULT 'agent';
ALTER TABLE runs ADD COLUMN parent_run_id TEXT;
ALTER TABLE runs ADD COLUMN wake_at INTEGER;
ALTER TABLE runs ADD COLUMN output BLOB;
ALTER TABLE runs ADD COLUMN cancel_requested TEXT;
CREATE INDEX ix_runs_wake ON runs (wake_at) WHERE status = 'waiting' AND wake_at IS NOT NULL;
CREATE INDEX ix_runs_parent ON runs (parent_run_id) WHERE parent_run_id IS NOT NULL;

-- What runs wait for: the answer of a person who holds a role, or an event of a name. state is open, resolved, consumed (the run's log has it), or
-- cancelled. form, key and data are JSON.
CREATE TABLE run_waits (
    id            TEXT NOT NULL PRIMARY KEY,
    tenant_id     TEXT NOT NULL,
    run_id        TEXT NOT NULL,
    path          TEXT NOT NULL,
    kind          TEXT NOT NULL,
    state         TEXT NOT NULL,
    name          TEXT,
    key           TEXT,
    role          TEXT,
    title         TEXT,
    message       TEXT,
    form          TEXT,
    requested_at  INTEGER NOT NULL,
    expires_at    INTEGER,
    escalate_at   INTEGER,
    escalate_role TEXT,
    resolved_at   INTEGER,
    resolved_by   TEXT,
    decision      TEXT,
    comment       TEXT,
    data          TEXT
) WITHOUT ROWID;
CREATE INDEX ix_run_waits_run ON run_waits (run_id, state);
CREATE INDEX ix_run_waits_tenant ON run_waits (tenant_id, kind, id);
CREATE INDEX ix_run_waits_event ON run_waits (tenant_id, name) WHERE state = 'open' AND kind = 'event';
