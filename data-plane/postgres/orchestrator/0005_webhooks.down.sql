DROP TABLE orchestrator.webhook_deliveries;
DROP TABLE orchestrator.webhook_endpoints;
