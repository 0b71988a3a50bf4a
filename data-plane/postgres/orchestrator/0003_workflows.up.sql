-- Workflows. A version is immutable and keeps its source as it was sent; labels point to versions.
CREATE TABLE orchestrator.workflows (
    id             text COLLATE "C" PRIMARY KEY,
    tenant_id      text COLLATE "C" NOT NULL,
    slug           text COLLATE "C" NOT NULL,
    latest_version integer NOT NULL,
    created_at     timestamptz(3) NOT NULL,
    updated_at     timestamptz(3) NOT NULL,
    deleted_at     timestamptz(3)
);
CREATE UNIQUE INDEX ux_workflows_slug ON orchestrator.workflows (tenant_id, slug) WHERE deleted_at IS NULL;
SELECT maap.protect('orchestrator.workflows');

CREATE TABLE orchestrator.workflow_versions (
    workflow_id text COLLATE "C" NOT NULL REFERENCES orchestrator.workflows (id),
    number      integer NOT NULL,
    tenant_id   text COLLATE "C" NOT NULL,
    description text,
    source      text NOT NULL,
    created_at  timestamptz(3) NOT NULL,
    created_by  text,
    PRIMARY KEY (workflow_id, number)
);
SELECT maap.protect('orchestrator.workflow_versions');

CREATE TABLE orchestrator.workflow_labels (
    workflow_id text COLLATE "C" NOT NULL REFERENCES orchestrator.workflows (id),
    label       text COLLATE "C" NOT NULL,
    tenant_id   text COLLATE "C" NOT NULL,
    version     integer NOT NULL,
    updated_at  timestamptz(3) NOT NULL,
    PRIMARY KEY (workflow_id, label)
);
SELECT maap.protect('orchestrator.workflow_labels');
