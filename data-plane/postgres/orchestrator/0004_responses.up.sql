-- Responses that were deleted. A response is a run, which stays.
CREATE TABLE orchestrator.response_deletions (
    run_id     text COLLATE "C" PRIMARY KEY,
    tenant_id  text COLLATE "C" NOT NULL,
    deleted_at timestamptz(3) NOT NULL
);
SELECT maap.protect('orchestrator.response_deletions');
