DROP TABLE failed_compensations;
