-- Times are to the millisecond, as in SQLite, so that what is read back is what a list's position says. Ids sort by their bytes.
-- Limits are null where the deployment's defaults apply.
CREATE SCHEMA tenant_service;

CREATE TABLE tenant_service.tenants (
    id                  text COLLATE "C" PRIMARY KEY,
    slug                text COLLATE "C" NOT NULL UNIQUE,
    name                text NOT NULL,
    status              text NOT NULL,
    requests_per_minute integer,
    burst               integer,
    concurrent_runs     integer,
    created_at          timestamptz(3) NOT NULL
);
SELECT maap.protect('tenant_service.tenants', 'id');

CREATE TABLE tenant_service.users (
    id               text COLLATE "C" PRIMARY KEY,
    tenant_id        text COLLATE "C" NOT NULL REFERENCES tenant_service.tenants (id),
    email            text NOT NULL,
    normalized_email text COLLATE "C" NOT NULL,
    name             text NOT NULL,
    password_hash    text NOT NULL,
    role             text NOT NULL,
    status           text NOT NULL,
    created_at       timestamptz(3) NOT NULL,
    UNIQUE (tenant_id, normalized_email)
);
CREATE INDEX ix_users_email ON tenant_service.users (normalized_email);
CREATE INDEX ix_users_tenant ON tenant_service.users (tenant_id, id);
SELECT maap.protect('tenant_service.users');

CREATE TABLE tenant_service.api_keys (
    id                  text COLLATE "C" PRIMARY KEY,
    tenant_id           text COLLATE "C" NOT NULL REFERENCES tenant_service.tenants (id),
    name                text NOT NULL,
    prefix              text NOT NULL,
    secret_hash         text COLLATE "C" NOT NULL UNIQUE,
    scopes              text NOT NULL,
    created_by          text,
    requests_per_minute integer,
    burst               integer,
    expires_at          timestamptz(3),
    revoked_at          timestamptz(3),
    last_used_at        timestamptz(3),
    created_at          timestamptz(3) NOT NULL
);
CREATE INDEX ix_api_keys_tenant ON tenant_service.api_keys (tenant_id, id);
SELECT maap.protect('tenant_service.api_keys');

-- One row per refresh token. Tokens of one login share a family; a second use of a token ends the family.
CREATE TABLE tenant_service.refresh_tokens (
    id         text COLLATE "C" PRIMARY KEY,
    tenant_id  text COLLATE "C" NOT NULL REFERENCES tenant_service.tenants (id),
    user_id    text COLLATE "C" NOT NULL REFERENCES tenant_service.users (id),
    family_id  text COLLATE "C" NOT NULL,
    token_hash text COLLATE "C" NOT NULL UNIQUE,
    used_at    timestamptz(3),
    revoked_at timestamptz(3),
    expires_at timestamptz(3) NOT NULL,
    created_at timestamptz(3) NOT NULL
);
CREATE INDEX ix_refresh_tokens_family ON tenant_service.refresh_tokens (family_id);
CREATE INDEX ix_refresh_tokens_user ON tenant_service.refresh_tokens (user_id);
CREATE INDEX ix_refresh_tokens_expires_at ON tenant_service.refresh_tokens (expires_at);
SELECT maap.protect('tenant_service.refresh_tokens');

-- Keys that sign access tokens, encrypted at rest. The newest signs; older ones verify until they expire.
CREATE TABLE tenant_service.signing_keys (
    id               text COLLATE "C" PRIMARY KEY,
    protected_secret text NOT NULL,
    created_at       timestamptz(3) NOT NULL,
    expires_at       timestamptz(3) NOT NULL
);
SELECT maap.protect_from_tenants('tenant_service.signing_keys');

-- Wrong passwords in a row, by address and whether or not an account has it: an answer must not tell which addresses exist.
-- email_hash is the SHA-256 of the normalized address. seq bounds the table: the oldest rows go first.
CREATE TABLE tenant_service.login_failures (
    seq          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email_hash   text COLLATE "C" NOT NULL UNIQUE,
    failures     integer NOT NULL,
    locked_until timestamptz(3),
    updated_at   timestamptz(3) NOT NULL
);
CREATE INDEX ix_login_failures_updated_at ON tenant_service.login_failures (updated_at);
SELECT maap.protect_from_tenants('tenant_service.login_failures');

CREATE TABLE tenant_service.outbox (
    seq          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id           text NOT NULL,
    subject      text NOT NULL,
    source       text NOT NULL,
    tenant_id    text,
    ordering_key text,
    time         timestamptz(3) NOT NULL,
    trace_parent text,
    data         bytea NOT NULL
);
SELECT maap.protect('tenant_service.outbox');
