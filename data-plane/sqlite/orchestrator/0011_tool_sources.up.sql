-- Where tenants' own tools come from: OpenAPI documents and MCP servers. 'tools' is what the source offered when it was last read; 'secrets' is encrypted.
CREATE TABLE tool_sources (
    id            TEXT NOT NULL PRIMARY KEY,
    tenant_id     TEXT NOT NULL,
    slug          TEXT NOT NULL,
    kind          TEXT NOT NULL,
    definition    TEXT NOT NULL,
    secrets       BLOB,
    tools         TEXT NOT NULL,
    revision      INTEGER NOT NULL,
    problem       TEXT,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    refreshed_at  INTEGER
);
CREATE UNIQUE INDEX ux_tool_sources_slug ON tool_sources (tenant_id, slug);

-- Results of calls that are larger than what a model gets at once.
CREATE TABLE tool_results (
    id          TEXT NOT NULL PRIMARY KEY,
    tenant_id   TEXT NOT NULL,
    run_id      TEXT NOT NULL,
    tool        TEXT NOT NULL,
    content     BLOB NOT NULL,
    created_at  INTEGER NOT NULL
);
CREATE INDEX ix_tool_results_created ON tool_results (created_at);
