GRANT USAGE ON SCHEMA host TO maap_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON host.idempotency_keys TO maap_app;
GRANT SELECT, INSERT ON host.data_protection_keys TO maap_app;
