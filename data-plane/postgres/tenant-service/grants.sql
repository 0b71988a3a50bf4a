GRANT USAGE ON SCHEMA tenant_service TO maap_app;
-- Tenants are suspended and not deleted.
GRANT SELECT, INSERT, UPDATE ON tenant_service.tenants TO maap_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON tenant_service.users, tenant_service.api_keys, tenant_service.refresh_tokens, tenant_service.login_failures TO maap_app;
GRANT SELECT, INSERT, DELETE ON tenant_service.signing_keys, tenant_service.outbox TO maap_app;
