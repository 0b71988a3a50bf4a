-- What agents and steps of a run have written to the blackboard that they share. board_run_id is the run whose workflow declares it, version counts the writes of the
-- board, write_key makes a repeated write one. given is what was written, value what the entry held then: the last of each name is the board.
CREATE TABLE blackboard_writes (
    board_run_id TEXT NOT NULL,
    version      INTEGER NOT NULL,
    tenant_id    TEXT NOT NULL,
    name         TEXT NOT NULL,
    write_key    TEXT NOT NULL,
    run_id       TEXT NOT NULL,
    path         TEXT NOT NULL,
    agent        TEXT,
    given        BLOB NOT NULL,
    value        BLOB NOT NULL,
    at           INTEGER NOT NULL,
    PRIMARY KEY (board_run_id, version)
);
CREATE UNIQUE INDEX ux_blackboard_writes_key ON blackboard_writes (board_run_id, write_key);
CREATE INDEX ix_blackboard_writes_name ON blackboard_writes (board_run_id, name, version);
