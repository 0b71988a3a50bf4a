-- Schedules. definition is JSON; next_at is the next time by the clock, and due_at when it fires, later by its jitter. A change raises the revision.
CREATE TABLE orchestrator.schedules (
    id          text COLLATE "C" PRIMARY KEY,
    tenant_id   text COLLATE "C" NOT NULL,
    definition  text NOT NULL,
    paused      boolean NOT NULL,
    next_at     timestamptz(3),
    due_at      timestamptz(3),
    last_at     timestamptz(3),
    revision    bigint NOT NULL,
    api_key_id  text,
    user_id     text,
    lease_owner text,
    lease_until timestamptz(3),
    created_at  timestamptz(3) NOT NULL,
    updated_at  timestamptz(3) NOT NULL
);
CREATE INDEX ix_schedules_tenant ON orchestrator.schedules (tenant_id, id);
CREATE INDEX ix_schedules_due ON orchestrator.schedules (due_at) WHERE due_at IS NOT NULL AND NOT paused;
SELECT maap.protect('orchestrator.schedules');

-- Times that schedules fired. The id follows from schedule and time, and the run's id from it.
CREATE TABLE orchestrator.schedule_firings (
    id          text COLLATE "C" PRIMARY KEY,
    tenant_id   text COLLATE "C" NOT NULL,
    schedule_id text COLLATE "C" NOT NULL,
    fire_at     timestamptz(3) NOT NULL,
    manual      boolean NOT NULL,
    state       text NOT NULL,
    reason      text,
    try_at      timestamptz(3) NOT NULL,
    lease_owner text,
    lease_until timestamptz(3),
    created_at  timestamptz(3) NOT NULL
);
CREATE INDEX ix_schedule_firings_schedule ON orchestrator.schedule_firings (schedule_id, id);
CREATE INDEX ix_schedule_firings_pending ON orchestrator.schedule_firings (try_at) WHERE state = 'pending';
CREATE INDEX ix_schedule_firings_created ON orchestrator.schedule_firings (created_at) WHERE state <> 'pending';
SELECT maap.protect('orchestrator.schedule_firings');
