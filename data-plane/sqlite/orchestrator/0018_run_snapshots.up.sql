-- What the log of a workflow's run gives up to an event: the newest of each run, gone with its end. It can always be made again from the log. data is JSON, compressed (DEFLATE),
-- of the format that the process which made it writes; others do not read it.
CREATE TABLE run_snapshots (
    run_id    TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    seq       INTEGER NOT NULL,
    format    INTEGER NOT NULL,
    data      BLOB NOT NULL,
    at        INTEGER NOT NULL
);
