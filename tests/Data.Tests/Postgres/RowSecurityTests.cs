using MultiAgent.Data.Migrations;
using MultiAgent.Data.Postgres;
using MultiAgent.Data.Tenancy;
using MultiAgent.DataPlane;
using Npgsql;

namespace MultiAgent.Data.Tests.Postgres;

/// <summary>What PostgreSQL itself keeps apart, whatever the program says.</summary>
public sealed class RowSecurityTests(PostgresFixture fixture) : IClassFixture<PostgresFixture>
{
    // Of the platform and not of a tenant; everything else must be protected.
    private static readonly string[] Open = ["maap.migrations", "maap.partitioned"];

    [Fact]
    public async Task Tables_OfEverySchema_HaveForcedRowSecurityWithAPolicy()
    {
        string schemas = string.Join(", ", MigrationScripts.PostgresServices().Select(s => $"'{PostgresDatabase.SchemaOf(s)}'"));
        await using NpgsqlDataSource source = TestDatabase.Connect(fixture.Database.SuperUrl);
        await using NpgsqlCommand command = source.CreateCommand($"""
            SELECT c.oid::regclass::text, c.relrowsecurity, c.relforcerowsecurity, c.relowner::regrole::text,
                EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped),
                coalesce((SELECT string_agg(p.polname || ':' || p.polcmd::text || ':' || coalesce(pg_get_expr(p.polqual, p.polrelid), '') || coalesce(pg_get_expr(p.polwithcheck, p.polrelid), ''), ' | ' ORDER BY p.polname) FROM pg_policy p WHERE p.polrelid = c.oid), '')
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname IN ({schemas}) AND c.relkind IN ('r', 'p', 'm', 'v', 'f') ORDER BY 1
            """);
        await using NpgsqlDataReader tables = await command.ExecuteReaderAsync();
        int seen = 0, ofTenants = 0;
        while (await tables.ReadAsync())
        {
            string table = tables.GetString(0), policies = tables.GetString(5);
            Assert.Equal(PostgresRoles.Owner, tables.GetString(3));
            if (Open.Contains(table)) continue;
            seen++;
            Assert.True(tables.GetBoolean(1), $"{table} has no row-level security.");
            Assert.True(tables.GetBoolean(2), $"{table} does not force row-level security on its owner.");
            Assert.Contains("system:*:", policies);
            bool tenantsOwn = tables.GetBoolean(4) || table == "tenant_service.tenants";
            if (tenantsOwn) ofTenants++;
            Assert.True(policies.Contains("tenant:*:", StringComparison.Ordinal) == tenantsOwn, $"{table}: {policies}");
            // Nothing but the two settings lets a row through.
            Assert.Equal(tenantsOwn ? 2 : 1, policies.Split(" | ").Length);
            Assert.All(policies.Split(" | "), p => Assert.Contains(p.StartsWith("tenant", StringComparison.Ordinal) ? "current_setting('app.tenant_id'" : "current_setting('app.system'", p));
        }
        Assert.True(seen > 25, $"Only {seen} tables were found.");
        Assert.True(ofTenants > 20, $"Only {ofTenants} tables of tenants were found.");
    }

    [Fact]
    public async Task Model_OfSqlite_HasEveryTableWithTheSameColumns()
    {
        // The two dialects are written by hand: what one has and the other lacks shows here.
        await using NpgsqlDataSource source = TestDatabase.Connect(fixture.Database.SuperUrl);
        foreach (string service in MigrationScripts.SqliteServices().Where(s => s != "events"))
        {
            using var folder = new TempFolder();
            using var sqlite = new Data.Sqlite.SqliteDatabase(service, new DataOptions { Directory = folder.Path });
            SqliteMigrator.Migrate(sqlite);
            string[] expected = sqlite.Read(session =>
            {
                using Data.Sqlite.SqliteStatement rows = session.PrepareOnce("SELECT m.name || '.' || c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'");
                var names = new List<string>();
                while (rows.Step()) names.Add(rows.Text(0));
                return names.ToArray();
            });
            await using NpgsqlCommand command = source.CreateCommand("SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = $1");
            command.Parameters.Add(new() { Value = PostgresDatabase.SchemaOf(service) });
            await using NpgsqlDataReader reader = await command.ExecuteReaderAsync();
            var there = new List<string>();
            while (await reader.ReadAsync()) there.Add(reader.GetString(0));
            Assert.NotEmpty(expected);
            Assert.Empty(expected.Except(there));
        }
    }

    [Fact]
    public async Task Rows_OfAnotherTenant_AreNeitherReadNorWrittenByRawSql()
    {
        await fixture.AddTenantAsync("raw_a");
        await fixture.AddTenantAsync("raw_b");
        await using NpgsqlDataSource app = TestDatabase.Connect(fixture.Database.AppUrl);
        await using NpgsqlConnection connection = await app.OpenConnectionAsync();
        await using (NpgsqlTransaction transaction = await connection.BeginTransactionAsync())
        {
            await ExecuteAsync(connection, "SELECT set_config('app.tenant_id', 'raw_a', true)");
            Assert.Equal(["usr_raw_a"], await UsersAsync(connection));
            Assert.Equal("raw_a", await ScalarAsync(connection, "SELECT string_agg(id, ',') FROM tenant_service.tenants"));
            // neither by its id, nor past the filter of the statement
            Assert.Null(await ScalarAsync(connection, "SELECT id FROM tenant_service.users WHERE id = 'usr_raw_b' OR 1 = 1 AND tenant_id = 'raw_b'"));
            Assert.Equal(0, await ExecuteAsync(connection, "UPDATE tenant_service.users SET name = 'taken' WHERE tenant_id = 'raw_b'"));
            Assert.Equal(0, await ExecuteAsync(connection, "DELETE FROM tenant_service.users WHERE id = 'usr_raw_b'"));
            Assert.Equal(0L, await ScalarAsync(connection, "SELECT count(*) FROM tenant_service.signing_keys"));
            await transaction.CommitAsync();
        }
        foreach (string write in (string[])["UPDATE tenant_service.users SET tenant_id = 'raw_b' WHERE id = 'usr_raw_a'",
            "INSERT INTO tenant_service.outbox (id, subject, source, tenant_id, time, data) VALUES ('x', 'x', 'x', 'raw_b', now(), '')",
            "INSERT INTO tenant_service.outbox (id, subject, source, tenant_id, time, data) VALUES ('x', 'x', 'x', NULL, now(), '')",
            "INSERT INTO tenant_service.signing_keys (id, protected_secret, created_at, expires_at) VALUES ('x', 'x', now(), now())"])
        {
            await using NpgsqlTransaction transaction = await connection.BeginTransactionAsync();
            await ExecuteAsync(connection, "SELECT set_config('app.tenant_id', 'raw_a', true)");
            PostgresException refused = await Assert.ThrowsAsync<PostgresException>(() => ExecuteAsync(connection, write));
            Assert.Equal(("42501", true), (refused.SqlState, refused.MessageText.Contains("row-level security", StringComparison.Ordinal)));
        }
    }

    [Theory]
    [InlineData("SELECT 1")]
    [InlineData("SELECT set_config('app.tenant_id', '', true)")]
    [InlineData("SELECT set_config('app.tenant_id', '*', true)")]
    [InlineData("SELECT set_config('app.tenant_id', '%', true)")]
    [InlineData("SELECT set_config('app.system', '', true)")]
    public async Task Transaction_WithoutAScope_SeesAndWritesNothing(string before)
    {
        if (await fixture.Database.ScalarAsync("SELECT 1 FROM tenant_service.tenants WHERE id = 'silent'") is null) await fixture.AddTenantAsync("silent");
        foreach (string url in (string[])[fixture.Database.AppUrl, fixture.Database.OwnerUrl])
        {
            await using NpgsqlDataSource source = TestDatabase.Connect(url);
            await using NpgsqlConnection connection = await source.OpenConnectionAsync();
            await using NpgsqlTransaction transaction = await connection.BeginTransactionAsync();
            await ExecuteAsync(connection, before);
            Assert.Empty(await UsersAsync(connection));
            PostgresException refused = await Assert.ThrowsAsync<PostgresException>(() => ExecuteAsync(connection, "INSERT INTO tenant_service.outbox (id, subject, source, tenant_id, time, data) VALUES ('x', 'x', 'x', '', now(), '')"));
            Assert.Equal("42501", refused.SqlState);
        }
    }

    [Fact]
    public async Task Partition_AskedForByItself_IsClosedToTheApp()
    {
        await using NpgsqlDataSource app = TestDatabase.Connect(fixture.Database.AppUrl);
        await using NpgsqlConnection connection = await app.OpenConnectionAsync();
        PostgresException refused = await Assert.ThrowsAsync<PostgresException>(() => ScalarAsync(connection, "SELECT count(*) FROM analytics_service.usage_default"));
        Assert.Equal("42501", refused.SqlState);
    }

    [Fact]
    public async Task Scope_OfATransaction_DoesNotStayOnThePooledConnection()
    {
        await fixture.AddTenantAsync("leak_a");
        // One connection, so that each use gets the one that the last has left.
        await using PostgresDatabase single = fixture.Database.Open("tenant-service", o => o.DatabaseUrl += "?Maximum Pool Size=1");
        for (int i = 0; i < 3; i++)
        {
            Assert.Equal(["usr_leak_a"], await single.ReadAsync("leak_a", PostgresFixture.UsersAsync));
            Assert.Empty(await SilentAsync(single));
            await single.WriteAsync("leak_a", PostgresFixture.UsersAsync);
            Assert.Empty(await SilentAsync(single));
            Assert.NotEmpty(await single.ReadAsync(TenantScope.System("test"), PostgresFixture.UsersAsync));
            Assert.Empty(await SilentAsync(single));
            await Assert.ThrowsAsync<InvalidOperationException>(() => single.WriteAsync<int>(TenantScope.System("test"), async session =>
            {
                await PostgresFixture.UsersAsync(session);
                throw new InvalidOperationException("half way");
            }));
            Assert.Empty(await SilentAsync(single));
        }
    }

    [Fact]
    public async Task Scopes_OfManyAtOnce_NeverMix()
    {
        string[] tenants = [.. Enumerable.Range(0, 8).Select(i => $"many_{i}")];
        foreach (string tenant in tenants) await fixture.AddTenantAsync(tenant);
        await using PostgresDatabase few = fixture.Database.Open("tenant-service", o => o.MaxConnections = 3);
        await Task.WhenAll(Enumerable.Range(0, 400).Select(async i =>
        {
            string tenant = tenants[i % tenants.Length];
            List<string> users = i % 2 == 0 ? await few.ReadAsync(tenant, PostgresFixture.UsersAsync) : await few.WriteAsync(tenant, PostgresFixture.UsersAsync);
            Assert.Equal([$"usr_{tenant}"], users);
        }));
    }

    private static async Task<List<string>> SilentAsync(PostgresDatabase database)
    {
        await using NpgsqlConnection connection = await database.Server.Primary.OpenConnectionAsync();
        return await UsersAsync(connection);
    }

    private static async Task<List<string>> UsersAsync(NpgsqlConnection connection)
    {
        await using var command = new NpgsqlCommand("SELECT id FROM tenant_service.users ORDER BY id", connection);
        await using NpgsqlDataReader reader = await command.ExecuteReaderAsync();
        var users = new List<string>();
        while (await reader.ReadAsync()) users.Add(reader.GetString(0));
        return users;
    }

    private static async Task<object?> ScalarAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync();
    }

    private static async Task<int> ExecuteAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteNonQueryAsync();
    }
}
