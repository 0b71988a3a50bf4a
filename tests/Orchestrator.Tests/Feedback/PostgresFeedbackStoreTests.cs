using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests.Feedback;

[Trait("Database", "once")]
public sealed class PostgresFeedbackStoreTests : FeedbackStoreConformance
{
    private protected override Task<IStores> OpenAsync() => PostgresStores.OpenAsync();
}
