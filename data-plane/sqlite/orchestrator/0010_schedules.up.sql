-- Schedules. definition is JSON; next_at is the next time by the clock, and due_at when it fires, later by its jitter. A change raises the revision.
CREATE TABLE schedules (
    id          TEXT NOT NULL PRIMARY KEY,
    tenant_id   TEXT NOT NULL,
    definition  TEXT NOT NULL,
    paused      INTEGER NOT NULL,
    next_at     INTEGER,
    due_at      INTEGER,
    last_at     INTEGER,
    revision    INTEGER NOT NULL,
    api_key_id  TEXT,
    user_id     TEXT,
    lease_owner TEXT,
    lease_until INTEGER,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX ix_schedules_tenant ON schedules (tenant_id, id);
CREATE INDEX ix_schedules_due ON schedules (due_at) WHERE due_at IS NOT NULL AND paused = 0;

-- Times that schedules fired. The id follows from schedule and time, and the run's id from it.
CREATE TABLE schedule_firings (
    id          TEXT NOT NULL PRIMARY KEY,
    tenant_id   TEXT NOT NULL,
    schedule_id TEXT NOT NULL,
    fire_at     INTEGER NOT NULL,
    manual      INTEGER NOT NULL,
    state       TEXT NOT NULL,
    reason      TEXT,
    try_at      INTEGER NOT NULL,
    lease_owner TEXT,
    lease_until INTEGER,
    created_at  INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX ix_schedule_firings_schedule ON schedule_firings (schedule_id, id);
CREATE INDEX ix_schedule_firings_pending ON schedule_firings (try_at) WHERE state = 'pending';
CREATE INDEX ix_schedule_firings_created ON schedule_firings (created_at) WHERE state <> 'pending';
