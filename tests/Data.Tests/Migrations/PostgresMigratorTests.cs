using MultiAgent.Data.Migrations;
using MultiAgent.DataPlane;
using Npgsql;

namespace MultiAgent.Data.Tests.Migrations;

public sealed class PostgresMigratorTests
{
    private static readonly IReadOnlyList<string> Services = MigrationScripts.PostgresServices();

    [Fact]
    public async Task Migrations_UpDownAndUp_ReachTheSameSchema()
    {
        await using TestDatabase database = await NewAsync();
        await using NpgsqlDataSource owner = TestDatabase.Connect(database.OwnerUrl);
        IReadOnlyList<string> applied = await PostgresMigrator.MigrateAsync(owner, Services);
        Assert.Equal(Services.Sum(s => MigrationScripts.Postgres(s).Count), applied.Count);
        Assert.Empty(await PostgresMigrator.MigrateAsync(owner, Services));
        Assert.Empty(await PostgresMigrator.PendingAsync(owner, Services));
        string before = await SchemaAsync(database);

        await Assert.ThrowsAsync<StartupException>(() => PostgresMigrator.RollbackAsync(owner, MigrationScripts.SharedSchema));
        foreach (string service in Services.Reverse())
            for (int i = MigrationScripts.Postgres(service).Count; i > 0; i--) Assert.NotNull(await PostgresMigrator.RollbackAsync(owner, service));
        Assert.Null(await PostgresMigrator.RollbackAsync(owner, "orchestrator"));
        Assert.Equal("maap.migrations", await SchemaAsync(database, tablesOnly: true));
        await PostgresMigrator.MigrateAsync(owner, Services);
        Assert.Equal(before, await SchemaAsync(database));
    }

    [Fact]
    public async Task Replicas_ThatStartAtOnce_MigrateOnce()
    {
        await using TestDatabase database = await NewAsync();
        NpgsqlDataSource[] replicas = [.. Enumerable.Range(0, 6).Select(_ => TestDatabase.Connect(database.OwnerUrl))];
        IReadOnlyList<string>[] applied = await Task.WhenAll(replicas.Select(r => PostgresMigrator.MigrateAsync(r, Services)));
        Assert.Single(applied, a => a.Count > 0);
        foreach (NpgsqlDataSource replica in replicas) await replica.DisposeAsync();
    }

    [Fact]
    public async Task Migration_ChangedAfterItWasApplied_StopsTheStart()
    {
        await using TestDatabase database = await MigratedAsync();
        await database.ScalarAsync("UPDATE maap.migrations SET checksum = 'other' WHERE service = 'host'");
        await using NpgsqlDataSource owner = TestDatabase.Connect(database.OwnerUrl);
        StartupException refused = await Assert.ThrowsAsync<StartupException>(() => PostgresMigrator.MigrateAsync(owner, Services));
        Assert.Contains("host/0001_initial", refused.Message);
    }

    [Fact]
    public async Task Database_OfANewerProgram_IsServedByTheOlder()
    {
        await using TestDatabase database = await MigratedAsync();
        await database.ScalarAsync("INSERT INTO maap.migrations (service, number, name, checksum) VALUES ('host', 99, '0099_future', 'x')");
        await using NpgsqlDataSource owner = TestDatabase.Connect(database.OwnerUrl);
        Assert.Empty(await PostgresMigrator.MigrateAsync(owner, Services));
        Assert.Contains("newer program", (await Assert.ThrowsAsync<StartupException>(() => PostgresMigrator.RollbackAsync(owner, "host"))).Message);
    }

    [Fact]
    public async Task Migration_ThatFails_LeavesNothingBehind()
    {
        await using TestDatabase database = await NewAsync();
        // In the way of the last of the services.
        await database.ScalarAsync("CREATE SCHEMA tenant_service");
        await using NpgsqlDataSource owner = TestDatabase.Connect(database.OwnerUrl);
        StartupException failed = await Assert.ThrowsAsync<StartupException>(() => PostgresMigrator.MigrateAsync(owner, Services));
        Assert.Contains("tenant-service/0001_initial", failed.Message);
        Assert.Empty(await PostgresMigrator.CurrentAsync(owner));
        Assert.Equal("", await SchemaAsync(database, tablesOnly: true));
    }

    [Fact]
    public async Task AppsRole_MayNotMigrate_ButStartsWhenThereIsNothingToDo()
    {
        await using (TestDatabase empty = await NewAsync())
        {
            await using NpgsqlDataSource app = TestDatabase.Connect(empty.AppUrl);
            Assert.Contains("DATABASE_ADMIN_URL", (await Assert.ThrowsAsync<StartupException>(() => PostgresMigrator.MigrateAsync(app, Services))).Message);
        }
        await using TestDatabase migrated = await MigratedAsync();
        await using NpgsqlDataSource onMigrated = TestDatabase.Connect(migrated.AppUrl);
        Assert.Empty(await PostgresMigrator.MigrateAsync(onMigrated, Services));
        foreach (string change in (string[])["CREATE TABLE host.mine (id int)", "ALTER TABLE tenant_service.users DISABLE ROW LEVEL SECURITY", "DROP POLICY tenant ON tenant_service.users",
            "DELETE FROM orchestrator.run_events", "UPDATE analytics_service.usage SET cost_pico_usd = 0", "DELETE FROM tenant_service.tenants", "UPDATE maap.migrations SET name = ''",
            "SET ROLE maap_owner", "TRUNCATE tenant_service.users", "SELECT maap.protect('tenant_service.users')"])
        {
            await using NpgsqlCommand command = onMigrated.CreateCommand(change);
            Assert.Equal("42501", (await Assert.ThrowsAsync<PostgresException>(() => command.ExecuteNonQueryAsync())).SqlState);
        }
    }

    private static async Task<TestDatabase> NewAsync()
    {
        Assert.SkipWhen(TestPostgres.Missing is not null, TestPostgres.Missing ?? "");
        return await (await TestPostgres.SharedAsync()).NewEmptyDatabaseAsync();
    }

    private static async Task<TestDatabase> MigratedAsync()
    {
        Assert.SkipWhen(TestPostgres.Missing is not null, TestPostgres.Missing ?? "");
        return await (await TestPostgres.SharedAsync()).NewDatabaseAsync();
    }

    private static async Task<string> SchemaAsync(TestDatabase database, bool tablesOnly = false) => (string)(await database.ScalarAsync(tablesOnly
        ? "SELECT coalesce(string_agg(schemaname || '.' || tablename, ' ' ORDER BY 1), '') FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        : """
          SELECT string_agg(line, chr(10) ORDER BY line) FROM (
              SELECT table_schema || '.' || table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable AS line FROM information_schema.columns WHERE table_schema NOT IN ('pg_catalog', 'information_schema')
              UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname NOT IN ('pg_catalog')
              UNION ALL SELECT schemaname || tablename || policyname || qual FROM pg_policies
              UNION ALL SELECT table_schema || table_name || grantee || privilege_type FROM information_schema.table_privileges WHERE grantee = 'maap_app'
              UNION ALL SELECT proname || pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'maap'::regnamespace) all_lines
          """))!;
}
