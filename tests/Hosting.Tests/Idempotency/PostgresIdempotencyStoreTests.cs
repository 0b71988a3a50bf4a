using MultiAgent.Data.Postgres;
using MultiAgent.Hosting.Idempotency;
using MultiAgent.Testing;
using Xunit;

namespace MultiAgent.Hosting.Tests.Idempotency;

public sealed class PostgresIdempotencyStoreTests : IdempotencyStoreConformance, IAsyncLifetime
{
    private TestDatabase? _test;
    private PostgresDatabase? _database;

    public async ValueTask InitializeAsync()
    {
        Assert.SkipWhen(TestPostgres.Missing is not null, TestPostgres.Missing ?? "");
        _test = await (await TestPostgres.SharedAsync()).NewDatabaseAsync();
        _database = _test.Open("host");
    }

    public async ValueTask DisposeAsync()
    {
        if (_test is not null) await _test.DisposeAsync();
    }

    [Fact]
    public async Task Claim_OfALiveProcess_IsNotTakenOver_AndItsAnswerReachesTheOther()
    {
        IIdempotencyStore first = Store(), second = Store();
        await first.ClaimAsync("ten", "k", "hash", default);
        Task<ClaimOutcome> other = second.ClaimAsync("ten", "k", "hash", default);
        for (int i = 0; i < 12; i++)
        {
            // Longer than a lease in all: it is renewed.
            DateTimeOffset? before = await ClaimedUntilAsync();
            Time.Advance(PostgresIdempotencyStore.Lease / 3);
            await Eventually.TrueAsync(async () => await ClaimedUntilAsync() > before, "the lease is renewed");
        }
        Assert.False(other.IsCompleted);
        await first.CompleteAsync("ten", "k", new StoredResponse(201, "text/plain", null, [7]));
        var replay = Assert.IsType<ClaimOutcome.Replay>(await other.WaitAsync(Eventually.Deadline));
        Assert.Equal((201, 7), (replay.Response.Status, replay.Response.Body.Single()));
    }

    [Fact]
    public async Task Processes_ThatClaimAtOnce_ExecuteOnce()
    {
        IIdempotencyStore[] stores = [.. Enumerable.Range(0, 5).Select(_ => Store())];
        int executed = 0;
        ClaimOutcome[] outcomes = await Task.WhenAll(Enumerable.Range(0, 40).Select(async i =>
        {
            IIdempotencyStore store = stores[i % stores.Length];
            ClaimOutcome outcome = await store.ClaimAsync("ten", "many", "hash", default);
            if (outcome is not ClaimOutcome.Granted) return outcome;
            Interlocked.Increment(ref executed);
            await store.CompleteAsync("ten", "many", new StoredResponse(200, null, null, []));
            return outcome;
        }));
        Assert.Equal((1, 39), (executed, outcomes.Count(o => o is ClaimOutcome.Replay)));
    }

    [Fact]
    public async Task Answer_IsEncryptedInTheDatabase()
    {
        IIdempotencyStore store = Store();
        await store.ClaimAsync("ten", "k", "hash", default);
        await store.CompleteAsync("ten", "k", new StoredResponse(201, null, null, "shown-once-secret"u8.ToArray()));
        Assert.Equal(0L, await _test!.ScalarAsync("SELECT count(*) FROM host.idempotency_keys WHERE position('shown-once-secret'::bytea IN body) > 0"));
        Assert.Equal(1L, await _test!.ScalarAsync("SELECT count(*) FROM host.idempotency_keys WHERE length(body) > 0"));
    }

    private protected override IIdempotencyStore Store() => new PostgresIdempotencyStore(_database!, Protection, Time);

    private protected override void Crash(IIdempotencyStore store)
    {
        ((PostgresIdempotencyStore)store).Dispose();
        Time.Advance(PostgresIdempotencyStore.Lease + TimeSpan.FromSeconds(1));
    }

    private async Task<DateTimeOffset?> ClaimedUntilAsync() => await _test!.ScalarAsync("SELECT claimed_until FROM host.idempotency_keys WHERE key = 'k'") is DateTime until ? until : null;
}
