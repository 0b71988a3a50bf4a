DROP TABLE orchestrator.workflow_labels;
DROP TABLE orchestrator.workflow_versions;
DROP TABLE orchestrator.workflows;
