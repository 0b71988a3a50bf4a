-- Runs of workflows, beside those of agents; they may wait for a time, a person or an event at no cost. wake_at is when a waiting run goes on:
-- the nearest of its times, or the past once something that it waits for has come. output is the result as JSON.
ALTER TABLE orchestrator.runs
    ADD COLUMN kind text NOT NULL DEFAULT 'agent',
    ADD COLUMN parent_run_id text COLLATE "C",
    ADD COLUMN wake_at timestamptz(3),
    ADD COLUMN output bytea;
CREATE INDEX ix_runs_wake ON orchestrator.runs (wake_at) WHERE status = 'waiting' AND wake_at IS NOT NULL;
CREATE INDEX ix_runs_parent ON orchestrator.runs (parent_run_id) WHERE parent_run_id IS NOT NULL;

-- What runs wait for: the answer of a person who holds a role, or an event of a name. state is open, resolved, consumed (the run's log has it), or
-- cancelled. form, key and data are JSON.
CREATE TABLE orchestrator.run_waits (
    id            text COLLATE "C" PRIMARY KEY,
    tenant_id     text COLLATE "C" NOT NULL,
    run_id        text COLLATE "C" NOT NULL,
    path          text NOT NULL,
    kind          text NOT NULL,
    state         text NOT NULL,
    name          text,
    key           text,
    role          text,
    title         text,
    message       text,
    form          text,
    requested_at  timestamptz(3) NOT NULL,
    expires_at    timestamptz(3),
    escalate_at   timestamptz(3),
    escalate_role text,
    resolved_at   timestamptz(3),
    resolved_by   text,
    decision      text,
    comment       text,
    data          text
);
CREATE INDEX ix_run_waits_run ON orchestrator.run_waits (run_id, state);
CREATE INDEX ix_run_waits_tenant ON orchestrator.run_waits (tenant_id, kind, id);
CREATE INDEX ix_run_waits_event ON orchestrator.run_waits (tenant_id, name) WHERE state = 'open' AND kind = 'event';
SELECT maap.protect('orchestrator.run_waits');
