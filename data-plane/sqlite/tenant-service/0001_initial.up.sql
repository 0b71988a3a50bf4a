-- Times are Unix milliseconds. Limits are null where the deployment's defaults apply.
CREATE TABLE tenants (
    id                  TEXT PRIMARY KEY,
    slug                TEXT NOT NULL UNIQUE,
    name                TEXT NOT NULL,
    status              TEXT NOT NULL,
    requests_per_minute INTEGER,
    burst               INTEGER,
    concurrent_runs     INTEGER,
    created_at          INTEGER NOT NULL
);

CREATE TABLE users (
    id               TEXT PRIMARY KEY,
    tenant_id        TEXT NOT NULL REFERENCES tenants (id),
    email            TEXT NOT NULL,
    normalized_email TEXT NOT NULL,
    name             TEXT NOT NULL,
    password_hash    TEXT NOT NULL,
    role             TEXT NOT NULL,
    status           TEXT NOT NULL,
    failed_logins    INTEGER NOT NULL DEFAULT 0,
    locked_until     INTEGER,
    created_at       INTEGER NOT NULL,
    UNIQUE (tenant_id, normalized_email)
);
CREATE INDEX ix_users_email ON users (normalized_email);

CREATE TABLE api_keys (
    id                  TEXT PRIMARY KEY,
    tenant_id           TEXT NOT NULL REFERENCES tenants (id),
    name                TEXT NOT NULL,
    prefix              TEXT NOT NULL,
    secret_hash         TEXT NOT NULL UNIQUE,
    scopes              TEXT NOT NULL,
    created_by          TEXT,
    requests_per_minute INTEGER,
    burst               INTEGER,
    expires_at          INTEGER,
    revoked_at          INTEGER,
    last_used_at        INTEGER,
    created_at          INTEGER NOT NULL
);
CREATE INDEX ix_api_keys_tenant ON api_keys (tenant_id, id);

-- One row per refresh token. Tokens of one login share a family; a second use of a token ends the family.
CREATE TABLE refresh_tokens (
    id         TEXT PRIMARY KEY,
    tenant_id  TEXT NOT NULL REFERENCES tenants (id),
    user_id    TEXT NOT NULL REFERENCES users (id),
    family_id  TEXT NOT NULL,
    token_hash TEXT NOT NULL UNIQUE,
    used_at    INTEGER,
    revoked_at INTEGER,
    expires_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL
);
CREATE INDEX ix_refresh_tokens_family ON refresh_tokens (family_id);
CREATE INDEX ix_refresh_tokens_user ON refresh_tokens (user_id);

-- Keys that sign access tokens, encrypted at rest. The newest signs; older ones verify until they expire.
CREATE TABLE signing_keys (
    id               TEXT PRIMARY KEY,
    protected_secret TEXT NOT NULL,
    created_at       INTEGER NOT NULL,
    expires_at       INTEGER NOT NULL
);

CREATE TABLE outbox (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL,
    subject      TEXT NOT NULL,
    source       TEXT NOT NULL,
    tenant_id    TEXT,
    ordering_key TEXT,
    time         INTEGER NOT NULL,
    trace_parent TEXT,
    data         BLOB NOT NULL
);
