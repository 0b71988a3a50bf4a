using MultiAgent.Contracts;
using MultiAgent.Data.Postgres;
using MultiAgent.Data.Tenancy;

namespace MultiAgent.Data.Tests.Postgres;

public sealed class FaultTests(PostgresFixture fixture) : IClassFixture<PostgresFixture>
{
    private const string EndAll = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'maap_app' AND datname = current_database()";

    [Fact]
    public async Task Connections_ThatTheServerEnded_AreReplacedUnseen()
    {
        PostgresDatabase database = fixture.Database.Open("tenant-service");
        await fixture.AddTenantAsync("ended");
        for (int i = 0; i < 5; i++)
        {
            // Several, so that more than one of the pool is dead.
            await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => database.ReadAsync("ended", PostgresFixture.UsersAsync)));
            await fixture.Database.ScalarAsync(EndAll);
            Assert.Equal(["usr_ended"], await database.ReadAsync("ended", PostgresFixture.UsersAsync));
            await fixture.Database.ScalarAsync(EndAll);
            Assert.Equal(["usr_ended"], await database.WriteAsync("ended", PostgresFixture.UsersAsync));
            await fixture.Database.ScalarAsync(EndAll);
            var batch = new WriteBatch();
            batch.Add("UPDATE tenant_service.users SET name = $1 WHERE tenant_id = 'ended'", $"n{i}");
            Assert.Equal([1L], await database.Writer.WriteAsync("ended", batch));
        }
    }

    [Fact]
    public async Task Transactions_ThatLockEachOtherOut_AreBothDoneInTheEnd()
    {
        foreach (string tenant in (string[])["dead_a", "dead_b"]) await fixture.AddTenantAsync(tenant);
        PostgresDatabase database = fixture.Database.Open("tenant-service");
        int attempts = 0;
        using var both = new Barrier(2);
        await Task.WhenAll(WriteAsync("dead_a", "dead_b"), WriteAsync("dead_b", "dead_a"));
        Assert.True(attempts > 2, "There was no deadlock.");
        Assert.Equal(2L, await fixture.Database.ScalarAsync("SELECT count(*) FROM tenant_service.tenants WHERE name = 'twice-twice' AND id IN ('dead_a', 'dead_b')"));

        Task WriteAsync(string first, string second) => Task.Run(() => database.WriteAsync(TenantScope.System("test"), async session =>
        {
            bool meet = Interlocked.Increment(ref attempts) <= 2;
            await session.Sql("UPDATE tenant_service.tenants SET name = CASE WHEN name = 'twice' THEN 'twice-twice' ELSE 'twice' END WHERE id = $1", first).ExecuteAsync();
            if (meet) both.SignalAndWait(Eventually.Deadline);
            await session.Sql("UPDATE tenant_service.tenants SET name = CASE WHEN name = 'twice' THEN 'twice-twice' ELSE 'twice' END WHERE id = $1", second).ExecuteAsync();
        }));
    }

    [Fact]
    public async Task Server_ThatIsNotThere_IsToldAsUnavailable()
    {
        PostgresDatabase database = fixture.Database.Open("tenant-service", o => o.DatabaseUrl = fixture.Database.Server.Url("x", "u", "p", port: 1));
        await Assert.ThrowsAsync<StorageUnavailableException>(() => database.ReadAsync("t", PostgresFixture.UsersAsync));
        StorageUnavailableException write = await Assert.ThrowsAsync<StorageUnavailableException>(() => database.WriteAsync("t", PostgresFixture.UsersAsync));
        Assert.False(write.OutcomeUnknown);
        var batch = new WriteBatch();
        batch.Add("SELECT 1");
        await Assert.ThrowsAsync<StorageUnavailableException>(() => database.Writer.WriteAsync("t", batch));

        // Many that wait together are told together, and not one after the other.
        long started = System.Diagnostics.Stopwatch.GetTimestamp();
        Task[] many = [.. Enumerable.Range(0, 500).Select(_ => Assert.ThrowsAsync<StorageUnavailableException>(() =>
        {
            var one = new WriteBatch();
            one.Add("SELECT 1");
            return database.Writer.WriteAsync("t", one);
        }))];
        await Task.WhenAll(many);
        Assert.True(System.Diagnostics.Stopwatch.GetElapsedTime(started) < TimeSpan.FromSeconds(15), $"It took {System.Diagnostics.Stopwatch.GetElapsedTime(started)}.");
    }

    [Fact]
    public async Task Failure_OfTheWorkItself_IsNotRepeated()
    {
        PostgresDatabase database = fixture.Database.Open("tenant-service");
        int attempts = 0;
        await Assert.ThrowsAsync<Npgsql.PostgresException>(() => database.WriteAsync("t", async session =>
        {
            attempts++;
            return await session.Sql("SELECT 1 / 0").FirstAsync(r => r.GetInt32(0));
        }));
        Assert.Equal(1, attempts);
    }
}
