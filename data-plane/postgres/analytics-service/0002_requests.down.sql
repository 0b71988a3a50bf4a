DELETE FROM maap.partitioned WHERE parent = 'analytics_service.requests';
DROP TABLE analytics_service.requests;
