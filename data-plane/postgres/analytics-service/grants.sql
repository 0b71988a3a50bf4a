GRANT USAGE ON SCHEMA analytics_service TO maap_app;
-- Usage and the log of requests are append-only; a journey changes as it goes on.
GRANT SELECT, INSERT ON analytics_service.usage, analytics_service.journey_steps, analytics_service.requests TO maap_app;
GRANT SELECT, INSERT, UPDATE ON analytics_service.journeys TO maap_app;
