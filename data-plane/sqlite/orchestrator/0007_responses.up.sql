-- Responses that were deleted. A response is a run, which stays.
CREATE TABLE response_deletions (
    run_id     TEXT NOT NULL PRIMARY KEY,
    tenant_id  TEXT NOT NULL,
    deleted_at INTEGER NOT NULL
) WITHOUT ROWID;
