-- What all services' schemas share: how a table is protected, and how it is cut into partitions by time.
-- The schema and its table of applied migrations are made by the migrator itself.

-- Rows of one tenant. app.tenant_id is set per transaction; without it nothing is visible and nothing can be written. app.system is
-- the platform's own path across tenants: it holds the reason, and is set by one class of the program alone. The settings are read in a
-- sub-select, so that they are read once for a statement and not once for a row. FORCE: the owner obeys as well.
CREATE FUNCTION maap.protect(target regclass, tenant_column name DEFAULT 'tenant_id') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
    EXECUTE format('CREATE POLICY tenant ON %s USING (%I = (SELECT nullif(current_setting(''app.tenant_id'', true), '''')))', target, tenant_column);
    EXECUTE format('CREATE POLICY system ON %s USING ((SELECT nullif(current_setting(''app.system'', true), '''')) IS NOT NULL)', target);
END $$;

-- Rows of the platform itself: no tenant's transaction sees them.
CREATE FUNCTION maap.protect_from_tenants(target regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
    EXECUTE format('CREATE POLICY system ON %s USING ((SELECT nullif(current_setting(''app.system'', true), '''')) IS NOT NULL)', target);
END $$;

-- The smallest id that could have been made at a time: ids begin with their time in milliseconds, ten digits of Crockford's base 32.
CREATE FUNCTION maap.id_bound(prefix text, at timestamptz) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    rest bigint := greatest(0, floor(extract(epoch FROM at) * 1000)::bigint);
    digits text := '';
BEGIN
    FOR i IN 1..10 LOOP
        digits := substr('0123456789abcdefghjkmnpqrstvwxyz', (rest % 32)::int + 1, 1) || digits;
        rest := rest / 32;
    END LOOP;
    RETURN prefix || '_' || digits;
END $$;

-- Tables in partitions. The key is a time or, where ids must be unique, an id, which begins with its time. What fits no partition (an id of
-- another form, a time long ago) lies in <table>_default and is aged by time_column.
CREATE TABLE maap.partitioned (
    parent      text PRIMARY KEY,
    id_prefix   text,
    time_column name NOT NULL,
    span        text NOT NULL CHECK (span IN ('day', 'week', 'month'))
);

-- Makes the partitions of a table from the span of a time on, as many as asked for. A partition is filled with what lies in the
-- default one, and then attached: that takes no lock which writers of the table would wait for.
CREATE FUNCTION maap.ensure_partitions(parent_name text, ahead integer, at timestamptz DEFAULT now()) RETURNS integer LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '5s' SET timezone = 'UTC' AS $$
DECLARE
    p maap.partitioned;
    key name;
    child text;
    lower_at timestamptz;
    upper_at timestamptz;
    lower_bound text;
    upper_bound text;
    made integer := 0;
    outer_scope text := coalesce(current_setting('app.system', true), '');
BEGIN
    SELECT * INTO STRICT p FROM maap.partitioned WHERE parent = parent_name;
    IF ahead NOT BETWEEN 0 AND 100 THEN RAISE EXCEPTION 'between 0 and 100 partitions may be made ahead'; END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('maap.partitions ' || parent_name, 0));
    SELECT a.attname INTO STRICT key FROM pg_partitioned_table t JOIN pg_attribute a ON a.attrelid = t.partrelid AND a.attnum = t.partattrs[0]
        WHERE t.partrelid = parent_name::regclass;
    -- The owner is held by the policies too. A failure takes the setting back with everything else.
    PERFORM set_config('app.system', 'partitions', true);
    FOR i IN 0..ahead LOOP
        lower_at := date_trunc(p.span, at) + i * ('1 ' || p.span)::interval;
        upper_at := lower_at + ('1 ' || p.span)::interval;
        child := parent_name || '_' || to_char(lower_at, 'YYYYMMDD');
        CONTINUE WHEN to_regclass(child) IS NOT NULL;
        lower_bound := CASE WHEN p.id_prefix IS NULL THEN lower_at::text ELSE maap.id_bound(p.id_prefix, lower_at) END;
        upper_bound := CASE WHEN p.id_prefix IS NULL THEN upper_at::text ELSE maap.id_bound(p.id_prefix, upper_at) END;
        EXECUTE format('CREATE TABLE %s (LIKE %s INCLUDING ALL)', child, parent_name);
        PERFORM maap.protect(child::regclass);
        EXECUTE format('WITH moved AS (DELETE FROM %1$s_default WHERE %2$I >= %3$L AND %2$I < %4$L RETURNING *) INSERT INTO %5$s SELECT * FROM moved',
            parent_name, key, lower_bound, upper_bound, child);
        EXECUTE format('ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM (%L) TO (%L)', parent_name, child, lower_bound, upper_bound);
        made := made + 1;
    END LOOP;
    PERFORM set_config('app.system', outer_scope, true);
    RETURN made;
END $$;

-- Drops the partitions of a table whose rows are all older than the given number of days, and deletes such rows from the default one.
CREATE FUNCTION maap.drop_partitions(parent_name text, keep_days integer) RETURNS integer LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '5s' SET timezone = 'UTC' AS $$
DECLARE
    p maap.partitioned;
    child record;
    dropped integer := 0;
    outer_scope text := coalesce(current_setting('app.system', true), '');
BEGIN
    SELECT * INTO STRICT p FROM maap.partitioned WHERE parent = parent_name;
    IF keep_days < 1 THEN RAISE EXCEPTION 'at least one day is kept'; END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('maap.partitions ' || parent_name, 0));
    FOR child IN
        SELECT i.inhrelid::regclass AS name, right(c.relname, 8) AS day FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = parent_name::regclass AND c.relname ~ '_[0-9]{8}$' ORDER BY c.relname
    LOOP
        CONTINUE WHEN to_timestamp(child.day, 'YYYYMMDD') + ('1 ' || p.span)::interval > now() - keep_days * interval '1 day';
        EXECUTE format('DROP TABLE %s', child.name);
        dropped := dropped + 1;
    END LOOP;
    PERFORM set_config('app.system', 'partitions', true);
    EXECUTE format('DELETE FROM %s_default WHERE %I < now() - %s * interval ''1 day''', parent_name, p.time_column, keep_days);
    PERFORM set_config('app.system', outer_scope, true);
    RETURN dropped;
END $$;

-- Everybody may call a new function; these two act with the owner's rights.
REVOKE EXECUTE ON FUNCTION maap.ensure_partitions(text, integer, timestamptz), maap.drop_partitions(text, integer) FROM PUBLIC;

-- Declares a table as partitioned, gives it its default partition, and makes the partitions of this span and the next two.
CREATE FUNCTION maap.partition(parent_name text, id_prefix text, time_column name, span text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO maap.partitioned (parent, id_prefix, time_column, span) VALUES (parent_name, id_prefix, time_column, span);
    EXECUTE format('CREATE TABLE %1$s_default PARTITION OF %1$s DEFAULT', parent_name);
    PERFORM maap.protect((parent_name || '_default')::regclass);
    PERFORM maap.ensure_partitions(parent_name, 2);
END $$;
