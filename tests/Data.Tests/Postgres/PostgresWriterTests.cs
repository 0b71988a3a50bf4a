using MultiAgent.Contracts;
using MultiAgent.Data.Postgres;
using MultiAgent.Data.Tenancy;

namespace MultiAgent.Data.Tests.Postgres;

public sealed class PostgresWriterTests(PostgresFixture fixture) : IClassFixture<PostgresFixture>
{
    [Fact]
    public async Task Writes_ThatArriveTogether_AreAllDurable_AndShareTransactions()
    {
        await using PostgresDatabase database = fixture.Database.Open("orchestrator");
        const int count = 2000;
        await Task.WhenAll(Enumerable.Range(1, count).Select(i => database.Writer.WriteAsync($"w_{i % 7}", Event("run_together", i, $"w_{i % 7}"))));
        Assert.Equal((long)count, await fixture.Database.ScalarAsync("SELECT count(*) FROM orchestrator.run_events WHERE run_id = 'run_together'"));
        long transactions = (long)(await fixture.Database.ScalarAsync("SELECT count(DISTINCT xmin::text) FROM orchestrator.run_events WHERE run_id = 'run_together'"))!;
        Assert.True(transactions < count / 4, $"{count} writes took {transactions} transactions.");
    }

    [Fact]
    public async Task Write_ThatFails_DoesNotTakeItsNeighboursWithIt()
    {
        await using PostgresDatabase database = fixture.Database.Open("orchestrator");
        await database.Writer.WriteAsync("w", Event("run_bad", 50, "w"));
        Task<IReadOnlyList<long>>[] writes = [.. Enumerable.Range(1, 200).Select(i => database.Writer.WriteAsync("w", Event("run_bad", i, i == 100 ? "not_w" : "w")))];
        await Task.WhenAll(writes.Select(w => w.ContinueWith(_ => { }, TaskScheduler.Default)));
        Exception[] failures = [.. writes.Where(w => w.IsFaulted).Select(w => w.Exception!.InnerException!)];
        // one number twice, and one row of another tenant
        Assert.Equal(["23505", "42501"], failures.Select(f => ((Npgsql.PostgresException)f).SqlState).Order());
        Assert.Equal(199L, await fixture.Database.ScalarAsync("SELECT count(*) FROM orchestrator.run_events WHERE run_id = 'run_bad'"));
    }

    [Fact]
    public async Task Batch_WhoseRequiredRowIsMissing_IsUndoneAsAWhole()
    {
        await using PostgresDatabase database = fixture.Database.Open("orchestrator");
        var batch = Event("run_required", 1, "w");
        batch.AddRequired(() => new InvalidOperationException("no such run"), "UPDATE orchestrator.runs SET status = 'completed' WHERE id = $1 AND tenant_id = $2", "run_nowhere", "w");
        Task<IReadOnlyList<long>> bad = database.Writer.WriteAsync("w", batch), good = database.Writer.WriteAsync("w", Event("run_required", 2, "w"));
        Assert.Equal("no such run", (await Assert.ThrowsAsync<InvalidOperationException>(() => bad)).Message);
        Assert.Equal([1L], await good);
        Assert.Equal(2L, await fixture.Database.ScalarAsync("SELECT max(seq) FROM orchestrator.run_events WHERE run_id = 'run_required'"));
        Assert.Equal(1L, await fixture.Database.ScalarAsync("SELECT count(*) FROM orchestrator.run_events WHERE run_id = 'run_required'"));
    }

    [Fact]
    public async Task Write_OfATenantAfterOneOfThePlatform_HasNotThePlatformsRights()
    {
        await using PostgresDatabase database = fixture.Database.Open("orchestrator");
        // Both in one transaction, if they meet: the second must not see through the first one's eyes.
        for (int i = 0; i < 50; i++)
        {
            Task platform = database.Writer.WriteAsync(TenantScope.System("test"), Event("run_mixed", i, "other"));
            Task<IReadOnlyList<long>> tenant = database.Writer.WriteAsync("w", Foreign("run_mixed", 1000 + i));
            await platform;
            Assert.Equal("42501", (await Assert.ThrowsAsync<Npgsql.PostgresException>(() => tenant)).SqlState);
        }
    }

    [Fact]
    public async Task Queue_ThatIsFull_RefusesAtOnce()
    {
        await using PostgresDatabase database = fixture.Database.Open("orchestrator", o => o.WriteQueueCapacity = 5);
        Task[] writes = [.. Enumerable.Range(1, 3000).Select(async i => await database.Writer.WriteAsync("w", Event("run_full", i, "w")))];
        await Task.WhenAll(writes.Select(w => w.ContinueWith(_ => { }, TaskScheduler.Default)));
        Assert.Contains(writes, w => w.Exception?.InnerException is OverloadedException);
        Assert.Equal(writes.LongCount(w => w.IsCompletedSuccessfully), await fixture.Database.ScalarAsync("SELECT count(*) FROM orchestrator.run_events WHERE run_id = 'run_full'"));
    }

    [Fact]
    public async Task Batches_ThatFindOutTheirOutcome_AreUndoneAsAWhole_AndAloneTheyFail()
    {
        await using PostgresDatabase database = fixture.Database.Open("orchestrator");
        Task<IReadOnlyList<long>>[] writes = [.. Enumerable.Range(1, 60).Select(i =>
        {
            WriteBatch batch = Event("run_at_once", i, "w", findsOut: true);
            // The row that it needs is missing; or a key that is there already comes after it.
            if (i == 20) batch.AddRequired(() => new InvalidOperationException("no such run"), "UPDATE orchestrator.runs SET status = 'completed' WHERE id = $1 AND tenant_id = $2", "run_nowhere", "w");
            if (i == 40) batch.Add("INSERT INTO orchestrator.run_events (run_id, seq, tenant_id, type, at, data) VALUES ('run_at_once', 40, 'w', 'step', now(), ''::bytea)");
            return database.Writer.WriteAsync("w", batch);
        })];
        await Task.WhenAll(writes.Select(w => w.ContinueWith(_ => { }, TaskScheduler.Default)));
        Assert.Equal([19, 39], Enumerable.Range(0, 60).Where(i => writes[i].IsFaulted));
        Assert.Equal("no such run", Assert.IsType<InvalidOperationException>(writes[19].Exception!.InnerException).Message);
        Assert.Equal("23505", Assert.IsType<Npgsql.PostgresException>(writes[39].Exception!.InnerException).SqlState);
        Assert.Equal(58L, await fixture.Database.ScalarAsync("SELECT count(*) FROM orchestrator.run_events WHERE run_id = 'run_at_once'"));
    }

    private static WriteBatch Foreign(string run, int seq) => Event(run, seq, "other");

    private static WriteBatch Event(string run, int seq, string tenant, bool findsOut = false)
    {
        var batch = new WriteBatch { FindsOutOutcome = findsOut };
        batch.Add("INSERT INTO orchestrator.run_events (run_id, seq, tenant_id, type, at, data) VALUES ($1, $2, $3, 'step', now(), $4)", run, (long)seq, tenant, new byte[] { 1 });
        return batch;
    }
}
