DROP TABLE workflow_labels;
DROP TABLE workflow_versions;
DROP TABLE workflows;
