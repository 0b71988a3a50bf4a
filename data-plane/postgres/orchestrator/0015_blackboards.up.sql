-- What agents and steps of a run have written to the blackboard that they share. board_run_id is the run whose workflow declares it, version counts the writes of the
-- board, write_key makes a repeated write one. given is what was written, value what the entry held then: the last of each name is the board.
CREATE TABLE orchestrator.blackboard_writes (
    board_run_id text COLLATE "C" NOT NULL,
    version      bigint NOT NULL,
    tenant_id    text COLLATE "C" NOT NULL,
    name         text COLLATE "C" NOT NULL,
    write_key    text COLLATE "C" NOT NULL,
    run_id       text COLLATE "C" NOT NULL,
    path         text COLLATE "C" NOT NULL,
    agent        text COLLATE "C",
    given        bytea NOT NULL,
    value        bytea NOT NULL,
    at           timestamptz(3) NOT NULL,
    PRIMARY KEY (board_run_id, version)
);
CREATE UNIQUE INDEX ux_blackboard_writes_key ON orchestrator.blackboard_writes (board_run_id, write_key);
CREATE INDEX ix_blackboard_writes_name ON orchestrator.blackboard_writes (board_run_id, name, version);
SELECT maap.protect('orchestrator.blackboard_writes');
