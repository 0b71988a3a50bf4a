-- The embedded event log. seq is the order of delivery.
CREATE TABLE events (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    subject      TEXT NOT NULL,
    source       TEXT NOT NULL,
    tenant_id    TEXT,
    ordering_key TEXT,
    time         INTEGER NOT NULL,
    trace_parent TEXT,
    data         BLOB NOT NULL
);

-- How far each durable consumer has come.
CREATE TABLE consumers (
    name     TEXT PRIMARY KEY,
    position INTEGER NOT NULL
);

-- Events that a consumer could not handle after all retries. They stay until an operator replays or drops them.
CREATE TABLE dead_letters (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    consumer TEXT NOT NULL,
    event_id TEXT NOT NULL,
    subject  TEXT NOT NULL,
    event    BLOB NOT NULL,
    error    TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    UNIQUE (consumer, event_id)
);
