-- A partition may hold what something old still needs: the log of a run that has waited for a year. The keeper is the table of those things, whose id
-- is the partition's key, and keeps is a condition on it.
ALTER TABLE maap.partitioned ADD COLUMN keeper text, ADD COLUMN keeps text, ADD CHECK ((keeper IS NULL) = (keeps IS NULL)), ADD CHECK (keeper IS NULL OR id_prefix IS NOT NULL);

-- Drops the partitions of a table whose rows are all older than the given number of days, and deletes such rows from the default one. Of a table
-- with a keeper, what belongs to a row of the keeper's that still needs it stays.
CREATE OR REPLACE FUNCTION maap.drop_partitions(parent_name text, keep_days integer) RETURNS integer LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '5s' SET timezone = 'UTC' AS $$
DECLARE
    p maap.partitioned;
    child record;
    lower_at timestamptz;
    key name;
    needed boolean;
    dropped integer := 0;
    outer_scope text := coalesce(current_setting('app.system', true), '');
BEGIN
    SELECT * INTO STRICT p FROM maap.partitioned WHERE parent = parent_name;
    IF keep_days < 1 THEN RAISE EXCEPTION 'at least one day is kept'; END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('maap.partitions ' || parent_name, 0));
    -- The owner is held by the policies too. A failure takes the setting back with everything else.
    PERFORM set_config('app.system', 'partitions', true);
    FOR child IN
        SELECT i.inhrelid::regclass AS name, right(c.relname, 8) AS day FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = parent_name::regclass AND c.relname ~ '_[0-9]{8}$' ORDER BY c.relname
    LOOP
        CONTINUE WHEN to_timestamp(child.day, 'YYYYMMDD') + ('1 ' || p.span)::interval > now() - keep_days * interval '1 day';
        lower_at := to_timestamp(child.day, 'YYYYMMDD');
        IF p.keeper IS NOT NULL THEN
            EXECUTE format('SELECT EXISTS (SELECT 1 FROM %s WHERE id >= %L AND id < %L AND (%s))', p.keeper, maap.id_bound(p.id_prefix, lower_at),
                maap.id_bound(p.id_prefix, lower_at + ('1 ' || p.span)::interval), p.keeps) INTO needed;
            CONTINUE WHEN needed;
        END IF;
        EXECUTE format('DROP TABLE %s', child.name);
        dropped := dropped + 1;
    END LOOP;
    SELECT a.attname INTO STRICT key FROM pg_partitioned_table t JOIN pg_attribute a ON a.attrelid = t.partrelid AND a.attnum = t.partattrs[0]
        WHERE t.partrelid = parent_name::regclass;
    EXECUTE format('DELETE FROM %s_default WHERE %I < now() - %s * interval ''1 day''', parent_name, p.time_column, keep_days)
        || CASE WHEN p.keeper IS NULL THEN '' ELSE format(' AND %I NOT IN (SELECT id FROM %s WHERE %s)', key, p.keeper, p.keeps) END;
    PERFORM set_config('app.system', outer_scope, true);
    RETURN dropped;
END $$;
