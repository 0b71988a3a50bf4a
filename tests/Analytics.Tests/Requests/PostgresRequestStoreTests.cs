namespace MultiAgent.Analytics.Tests.Requests;

public sealed class PostgresRequestStoreTests : RequestStoreConformance
{
    private protected override Task<IStores> OpenAsync() => PostgresStores.OpenAsync();
}
