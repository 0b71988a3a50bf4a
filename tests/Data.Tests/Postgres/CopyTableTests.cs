using MultiAgent.Data.Postgres;
using MultiAgent.Data.Tenancy;
using NpgsqlTypes;

namespace MultiAgent.Data.Tests.Postgres;

public sealed class CopyTableTests(PostgresFixture fixture) : IClassFixture<PostgresFixture>
{
    private static readonly CopyTable Steps = new("analytics_service.journey_steps",
        [("tenant_id", NpgsqlDbType.Text), ("journey_id", NpgsqlDbType.Text), ("id", NpgsqlDbType.Text), ("name", NpgsqlDbType.Text), ("at", NpgsqlDbType.TimestampTz), ("metadata", NpgsqlDbType.Text)]);

    private static readonly DateTimeOffset At = new(2026, 5, 1, 12, 0, 0, 123, 456, TimeSpan.FromHours(2));

    [Fact]
    public async Task Rows_OfManyTenants_AreAddedOnce()
    {
        await using PostgresDatabase database = fixture.Database.Open("analytics-service");
        object?[][] rows = [.. Enumerable.Range(0, 5000).Select(i => Row($"t{i % 3}", $"s{i}"))];
        Assert.Equal(5000, await database.WriteAsync(TenantScope.System("test"), session => Steps.InsertAsync(session, rows)));
        Assert.Equal(1, await database.WriteAsync(TenantScope.System("test"), session => Steps.InsertAsync(session, [.. rows, Row("t0", "new")])));
        Assert.Equal(5001L, await fixture.Database.ScalarAsync("SELECT count(*) FROM analytics_service.journey_steps WHERE journey_id = 'jrn_copy' AND tenant_id IN ('t0', 't1', 't2')"));
        DateTimeOffset read = await database.ReadAsync("t0", session => session.Sql("SELECT at FROM analytics_service.journey_steps WHERE tenant_id = 't0' AND id = 'new'").FirstAsync(r => r.Time(0)));
        Assert.Equal(DateTimeOffset.FromUnixTimeMilliseconds(At.ToUnixTimeMilliseconds()), read);
    }

    [Fact]
    public async Task Rows_CopiedTwiceInOneTransaction_AreEachTheirOwn()
    {
        await using PostgresDatabase database = fixture.Database.Open("analytics-service");
        (int first, int second) = await database.WriteAsync("t_twice", async session => (await Steps.InsertAsync(session, [Row("t_twice", "a")]), await Steps.InsertAsync(session, [Row("t_twice", "b"), Row("t_twice", "c")])));
        Assert.Equal((1, 2), (first, second));
    }

    [Fact]
    public async Task Rows_OfAnotherTenant_AreRefusedWithAllOthers()
    {
        await using PostgresDatabase database = fixture.Database.Open("analytics-service");
        Npgsql.PostgresException refused = await Assert.ThrowsAsync<Npgsql.PostgresException>(() => database.WriteAsync("t_own", session => Steps.InsertAsync(session, [Row("t_own", "mine"), Row("t_else", "theirs")])));
        Assert.Equal("42501", refused.SqlState);
        Assert.Equal(0L, await fixture.Database.ScalarAsync("SELECT count(*) FROM analytics_service.journey_steps WHERE tenant_id IN ('t_own', 't_else')"));
    }

    private static object?[] Row(string tenant, string id) => [tenant, "jrn_copy", id, "step", At, null];
}
