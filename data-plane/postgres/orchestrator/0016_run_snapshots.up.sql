-- What the log of a workflow's run gives up to an event: the newest of each run, gone with its end. It can always be made again from the log. data is JSON, compressed (DEFLATE),
-- of the format that the process which made it writes; others do not read it.
CREATE TABLE orchestrator.run_snapshots (
    run_id    text COLLATE "C" PRIMARY KEY,
    tenant_id text COLLATE "C" NOT NULL,
    seq       bigint NOT NULL,
    format    integer NOT NULL,
    data      bytea NOT NULL,
    at        timestamptz(3) NOT NULL
);
-- It is compressed already.
ALTER TABLE orchestrator.run_snapshots ALTER COLUMN data SET STORAGE EXTERNAL;
SELECT maap.protect('orchestrator.run_snapshots');
