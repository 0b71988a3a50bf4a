DROP TABLE orchestrator.schedule_firings;
DROP TABLE orchestrator.schedules;
