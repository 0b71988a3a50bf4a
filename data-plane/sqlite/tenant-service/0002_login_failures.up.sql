-- Wrong passwords in a row, by address and whether or not an account has it: an answer must not tell which addresses exist.
-- email_hash is the SHA-256 of the normalized address. seq bounds the table: the oldest rows go first.
CREATE TABLE login_failures (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    email_hash   TEXT NOT NULL UNIQUE,
    failures     INTEGER NOT NULL,
    locked_until INTEGER,
    updated_at   INTEGER NOT NULL
);
CREATE INDEX ix_login_failures_updated_at ON login_failures (updated_at);

ALTER TABLE users DROP COLUMN failed_logins;
ALTER TABLE users DROP COLUMN locked_until;

CREATE INDEX ix_refresh_tokens_expires_at ON refresh_tokens (expires_at);
