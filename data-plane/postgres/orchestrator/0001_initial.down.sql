DELETE FROM maap.partitioned WHERE parent LIKE 'orchestrator.%';
DROP SCHEMA orchestrator CASCADE;
