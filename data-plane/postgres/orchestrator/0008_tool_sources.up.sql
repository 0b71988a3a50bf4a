-- Where tenants' own tools come from: OpenAPI documents and MCP servers. 'tools' is what the source offered when it was last read; 'secrets' is encrypted.
CREATE TABLE orchestrator.tool_sources (
    id            text COLLATE "C" PRIMARY KEY,
    tenant_id     text COLLATE "C" NOT NULL,
    slug          text COLLATE "C" NOT NULL,
    kind          text COLLATE "C" NOT NULL,
    definition    text NOT NULL,
    secrets       bytea,
    tools         text NOT NULL,
    revision      integer NOT NULL,
    problem       text,
    created_at    timestamptz(3) NOT NULL,
    updated_at    timestamptz(3) NOT NULL,
    refreshed_at  timestamptz(3)
);
CREATE UNIQUE INDEX ux_tool_sources_slug ON orchestrator.tool_sources (tenant_id, slug);
SELECT maap.protect('orchestrator.tool_sources');

-- Results of calls that are larger than what a model gets at once.
CREATE TABLE orchestrator.tool_results (
    id          text COLLATE "C" PRIMARY KEY,
    tenant_id   text COLLATE "C" NOT NULL,
    run_id      text COLLATE "C" NOT NULL,
    tool        text NOT NULL,
    content     bytea NOT NULL,
    created_at  timestamptz(3) NOT NULL
);
CREATE INDEX ix_tool_results_created ON orchestrator.tool_results (created_at);
SELECT maap.protect('orchestrator.tool_results');
