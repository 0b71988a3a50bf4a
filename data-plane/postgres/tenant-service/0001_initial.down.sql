DROP SCHEMA tenant_service CASCADE;
