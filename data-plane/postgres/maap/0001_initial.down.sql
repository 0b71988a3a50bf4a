DROP FUNCTION maap.partition(text, text, name, text);
DROP FUNCTION maap.drop_partitions(text, integer);
DROP FUNCTION maap.ensure_partitions(text, integer, timestamptz);
DROP TABLE maap.partitioned;
DROP FUNCTION maap.id_bound(text, timestamptz);
DROP FUNCTION maap.protect_from_tenants(regclass);
DROP FUNCTION maap.protect(regclass, name);
