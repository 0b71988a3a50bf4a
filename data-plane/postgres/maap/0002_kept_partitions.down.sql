-- Drops the partitions of a table whose rows are all older than the given number of days, and deletes such rows from the default one.
CREATE OR REPLACE FUNCTION maap.drop_partitions(parent_name text, keep_days integer) RETURNS integer LANGUAGE plpgsql
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

ALTER TABLE maap.partitioned DROP COLUMN keeper, DROP COLUMN keeps;
