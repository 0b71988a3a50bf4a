-- Compensations of workflows' runs that failed for good, for somebody to deal with. subject is what was to be done, as JSON; retry_run_id the run that tries it again, or did last.
CREATE TABLE orchestrator.failed_compensations (
    id               text COLLATE "C" PRIMARY KEY,
    tenant_id        text COLLATE "C" NOT NULL,
    run_id           text COLLATE "C" NOT NULL,
    workflow_id      text COLLATE "C" NOT NULL,
    workflow         text NOT NULL,
    workflow_version integer NOT NULL,
    path             text NOT NULL,
    undo_path        text NOT NULL,
    kind             text NOT NULL,
    subject          text NOT NULL,
    code             text NOT NULL,
    message          text NOT NULL,
    attempts         integer NOT NULL,
    status           text NOT NULL,
    retries          integer NOT NULL,
    retry_run_id     text COLLATE "C",
    by               text,
    note             text,
    created_at       timestamptz(3) NOT NULL,
    updated_at       timestamptz(3) NOT NULL
);
CREATE INDEX ix_failed_compensations_tenant ON orchestrator.failed_compensations (tenant_id, id);
CREATE INDEX ix_failed_compensations_open ON orchestrator.failed_compensations (status) WHERE status IN ('open', 'retrying');
CREATE INDEX ix_failed_compensations_retry ON orchestrator.failed_compensations (retry_run_id) WHERE retry_run_id IS NOT NULL;
SELECT maap.protect('orchestrator.failed_compensations');
