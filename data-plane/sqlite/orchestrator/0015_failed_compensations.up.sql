-- Compensations of workflows' runs that failed for good, for somebody to deal with. subject is what was to be done, as JSON; retry_run_id the run that tries it again, or did last.
CREATE TABLE failed_compensations (
    id               TEXT NOT NULL PRIMARY KEY,
    tenant_id        TEXT NOT NULL,
    run_id           TEXT NOT NULL,
    workflow_id      TEXT NOT NULL,
    workflow         TEXT NOT NULL,
    workflow_version INTEGER NOT NULL,
    path             TEXT NOT NULL,
    undo_path        TEXT NOT NULL,
    kind             TEXT NOT NULL,
    subject          TEXT NOT NULL,
    code             TEXT NOT NULL,
    message          TEXT NOT NULL,
    attempts         INTEGER NOT NULL,
    status           TEXT NOT NULL,
    retries          INTEGER NOT NULL,
    retry_run_id     TEXT,
    by               TEXT,
    note             TEXT,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX ix_failed_compensations_tenant ON failed_compensations (tenant_id, id);
CREATE INDEX ix_failed_compensations_open ON failed_compensations (status) WHERE status IN ('open', 'retrying');
CREATE INDEX ix_failed_compensations_retry ON failed_compensations (retry_run_id) WHERE retry_run_id IS NOT NULL;
