GRANT USAGE ON SCHEMA maap TO maap_app;
GRANT SELECT ON maap.migrations TO maap_app;
GRANT EXECUTE ON FUNCTION maap.ensure_partitions(text, integer, timestamptz), maap.drop_partitions(text, integer) TO maap_app;
