namespace MultiAgent.Analytics.Tests.Journeys;

public sealed class PostgresJourneyStoreTests : JourneyStoreConformance
{
    private protected override Task<IStores> OpenAsync() => PostgresStores.OpenAsync();
}
