DELETE FROM maap.partitioned WHERE parent LIKE 'analytics_service.%';
DROP SCHEMA analytics_service CASCADE;
