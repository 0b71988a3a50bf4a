namespace MultiAgent.Analytics.Tests.Usage;

public sealed class PostgresUsageStoreTests : UsageStoreConformance
{
    private protected override Task<IStores> OpenAsync() => PostgresStores.OpenAsync();
}
