using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests.Responses;

public abstract class ResponseDeletionConformance : StoreTests
{
    [Fact]
    public async Task Delete_OfAResponse_IsKeptForItsTenantAlone()
    {
        await Stores.ResponseDeletions.DeleteAsync("ten_a", "run_1", RunSamples.At);
        await Stores.ResponseDeletions.DeleteAsync("ten_a", "run_1", RunSamples.At);

        Assert.True(await Stores.ResponseDeletions.IsDeletedAsync("ten_a", "run_1"));
        Assert.False(await Stores.ResponseDeletions.IsDeletedAsync("ten_a", "run_2"));
        Assert.False(await Stores.ResponseDeletions.IsDeletedAsync("ten_b", "run_1"));
    }
}

[Trait("Database", "once")]
public sealed class SqliteResponseDeletionTests : ResponseDeletionConformance
{
    private protected override Task<IStores> OpenAsync() => Task.FromResult<IStores>(new SqliteStores());
}

[Trait("Database", "once")]
public sealed class PostgresResponseDeletionTests : ResponseDeletionConformance
{
    private protected override Task<IStores> OpenAsync() => PostgresStores.OpenAsync();
}
