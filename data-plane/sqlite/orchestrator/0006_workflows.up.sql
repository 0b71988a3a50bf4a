-- Workflows. A version is immutable and keeps its source as it was sent; labels point to versions.
CREATE TABLE workflows (
    id             TEXT NOT NULL PRIMARY KEY,
    tenant_id      TEXT NOT NULL,
    slug           TEXT NOT NULL,
    latest_version INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    deleted_at     INTEGER
);
CREATE UNIQUE INDEX ux_workflows_slug ON workflows (tenant_id, slug) WHERE deleted_at IS NULL;

CREATE TABLE workflow_versions (
    workflow_id TEXT NOT NULL REFERENCES workflows (id),
    number      INTEGER NOT NULL,
    tenant_id   TEXT NOT NULL,
    description TEXT,
    source      TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    created_by  TEXT,
    PRIMARY KEY (workflow_id, number)
);

CREATE TABLE workflow_labels (
    workflow_id TEXT NOT NULL REFERENCES workflows (id),
    label       TEXT NOT NULL,
    tenant_id   TEXT NOT NULL,
    version     INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    PRIMARY KEY (workflow_id, label)
) WITHOUT ROWID;
