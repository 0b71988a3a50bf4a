using MultiAgent.Data.Postgres;
using MultiAgent.Data.Tenancy;
using NpgsqlTypes;

namespace MultiAgent.Data.Tests.Postgres;

/// <summary>Behind a pooler in transaction mode with four connections, which clients are given at every transaction anew.</summary>
public sealed class PgBouncerTests(PostgresFixture fixture) : IClassFixture<PostgresFixture>
{
    private static readonly CopyTable Steps = new("analytics_service.journey_steps",
        [("tenant_id", NpgsqlDbType.Text), ("journey_id", NpgsqlDbType.Text), ("id", NpgsqlDbType.Text), ("name", NpgsqlDbType.Text), ("at", NpgsqlDbType.TimestampTz)]);

    [Fact]
    public async Task Scopes_OfManyClients_NeverMix()
    {
        PostgresDatabase database = await OpenAsync("tenant-service");
        string[] tenants = [.. Enumerable.Range(0, 6).Select(i => $"pool_{i}")];
        foreach (string tenant in tenants) await fixture.AddTenantAsync(tenant);
        await Task.WhenAll(Enumerable.Range(0, 600).Select(async i =>
        {
            string tenant = tenants[i % tenants.Length];
            switch (i % 4)
            {
                case 0:
                    Assert.Equal([$"usr_{tenant}"], await database.ReadAsync(tenant, PostgresFixture.UsersAsync));
                    break;
                case 1:
                    Assert.Equal([$"usr_{tenant}"], await database.WriteAsync(tenant, PostgresFixture.UsersAsync));
                    break;
                case 2:
                    Assert.True((await database.ReadAsync(TenantScope.System("test"), PostgresFixture.UsersAsync)).Count >= tenants.Length);
                    break;
                default:
                    await using (Npgsql.NpgsqlCommand silent = database.Server.Primary.CreateCommand("SELECT count(*) FROM tenant_service.users"))
                        Assert.Equal(0L, await silent.ExecuteScalarAsync());
                    break;
            }
        }));
    }

    [Fact]
    public async Task Writer_AndCopy_WorkThroughIt()
    {
        PostgresDatabase runs = await OpenAsync("orchestrator"), analytics = await OpenAsync("analytics-service");
        Task[] appends = [.. Enumerable.Range(1, 500).Select(i =>
        {
            var batch = new WriteBatch();
            batch.Add("INSERT INTO orchestrator.run_events (run_id, seq, tenant_id, type, at, data) VALUES ($1, $2, $3, 'step', now(), $4)", "run_pooled", (long)i, "p", new byte[] { 1 });
            return runs.Writer.WriteAsync("p", batch);
        })];
        int[] copied = await Task.WhenAll(Enumerable.Range(0, 40).Select(i => analytics.WriteAsync($"p{i}", session =>
            Steps.InsertAsync(session, [.. Enumerable.Range(0, 50).Select(n => new object?[] { $"p{i}", "jrn_pooled", $"s{n}", "step", TimeProvider.System.GetUtcNow() })]))));
        await Task.WhenAll(appends);
        Assert.All(copied, c => Assert.Equal(50, c));
        Assert.Equal(500L, await fixture.Database.ScalarAsync("SELECT count(*) FROM orchestrator.run_events WHERE run_id = 'run_pooled'"));
        Assert.Equal(2000L, await fixture.Database.ScalarAsync("SELECT count(*) FROM analytics_service.journey_steps WHERE journey_id = 'jrn_pooled'"));
    }

    [Fact]
    public async Task Lock_OfAPart_HoldsThroughIt()
    {
        PostgresDatabase first = await OpenAsync("host"), second = await OpenAsync("host");
        int inside = 0, most = 0;
        await Task.WhenAll(Enumerable.Range(0, 6).Select(i => (i % 2 == 0 ? first : second).ExclusivelyAsync("part", async () =>
        {
            most = Math.Max(most, Interlocked.Increment(ref inside));
            await Task.Yield();
            Interlocked.Decrement(ref inside);
            return true;
        })));
        Assert.Equal(1, most);
    }

    private async Task<PostgresDatabase> OpenAsync(string service)
    {
        Assert.SkipWhen(TestPgBouncer.Missing is not null, TestPgBouncer.Missing ?? "");
        string url = (await TestPgBouncer.SharedAsync()).AppUrl(fixture.Database);
        PostgresDatabase database = fixture.Database.Open(service, o => o.DatabaseUrl = url);
        await database.Server.LookAsync();
        Assert.False(database.Server.Prepares);
        return database;
    }
}
