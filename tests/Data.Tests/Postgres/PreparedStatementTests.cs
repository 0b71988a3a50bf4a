using MultiAgent.Data.Postgres;
using MultiAgent.Data.Tenancy;

namespace MultiAgent.Data.Tests.Postgres;

/// <summary>Statements are prepared where the server itself answers, and whoever sees rows through one is still who the transaction says.</summary>
public sealed class PreparedStatementTests(PostgresFixture fixture) : IClassFixture<PostgresFixture>
{
    [Theory]
    [InlineData(PreparedStatements.Auto, true)]
    [InlineData(PreparedStatements.On, true)]
    [InlineData(PreparedStatements.Off, false)]
    public async Task Statements_AreAsConfigured(PreparedStatements mode, bool expected)
    {
        PostgresDatabase database = await OpenAsync(mode);
        Assert.Equal(expected, database.Server.Prepares);
        // On whichever connection of the pool.
        int prepared = 0;
        for (int i = 0; i < 10; i++)
        {
            await database.ReadAsync("prepared", PostgresFixture.UsersAsync);
            prepared = await database.ReadAsync("prepared", session => session.Sql("SELECT count(*)::int FROM pg_prepared_statements WHERE statement LIKE '%users%'").FirstAsync(static row => row.Int32(0)));
        }
        Assert.Equal(expected, prepared > 0);
    }

    [Fact]
    public async Task Scopes_OfOnePreparedStatement_NeverMix()
    {
        PostgresDatabase database = await OpenAsync(PreparedStatements.Auto);
        string[] tenants = [.. Enumerable.Range(0, 6).Select(i => $"prep_{i}")];
        foreach (string tenant in tenants) await fixture.AddTenantAsync(tenant);
        await Task.WhenAll(Enumerable.Range(0, 600).Select(async i =>
        {
            string tenant = tenants[i % tenants.Length];
            if (i % 3 == 2) Assert.True((await database.ReadAsync(TenantScope.System("test"), PostgresFixture.UsersAsync)).Count >= tenants.Length);
            else Assert.Equal([$"usr_{tenant}"], i % 3 == 0 ? await database.ReadAsync(tenant, PostgresFixture.UsersAsync) : await database.WriteAsync(tenant, PostgresFixture.UsersAsync));
        }));
    }

    [Fact]
    public async Task Table_ThatChangesItsColumns_IsReadOn()
    {
        PostgresDatabase database = await OpenAsync(PreparedStatements.Auto, o => o.MaxConnections = 5);
        await fixture.Database.ScalarAsync("CREATE TABLE tenant_service.changing (n integer); INSERT INTO tenant_service.changing VALUES (7); GRANT SELECT, INSERT ON tenant_service.changing TO maap_app");
        Assert.All(await ReadAsync(), n => Assert.Equal("7", n));
        await fixture.Database.ScalarAsync("ALTER TABLE tenant_service.changing ALTER COLUMN n TYPE bigint");
        Assert.All(await ReadAsync(), n => Assert.Equal("7", n));
        var batch = new WriteBatch();
        batch.Add("INSERT INTO tenant_service.changing SELECT n + 1 FROM tenant_service.changing RETURNING n");
        await database.Writer.WriteAsync("prepared", batch);
        await fixture.Database.ScalarAsync("ALTER TABLE tenant_service.changing ADD COLUMN more text, ALTER COLUMN n TYPE numeric");
        Assert.All(await ReadAsync(), n => Assert.Contains(n, (string[])["7", "8"]));

        // Enough for each connection to have it prepared.
        async Task<string?[]> ReadAsync() => await Task.WhenAll(Enumerable.Range(0, 40).Select(_ => database.ReadAsync("prepared", session =>
            session.Sql("SELECT n FROM tenant_service.changing LIMIT 1").FirstAsync(static row => Convert.ToString(row.GetValue(0), System.Globalization.CultureInfo.InvariantCulture)))));
    }

    private async Task<PostgresDatabase> OpenAsync(PreparedStatements mode, Action<DataOptions>? configure = null)
    {
        PostgresDatabase database = fixture.Database.Open("tenant-service", o =>
        {
            o.PreparedStatements = mode;
            configure?.Invoke(o);
        });
        await database.Server.LookAsync();
        return database;
    }
}
