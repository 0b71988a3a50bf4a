using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests.Conversations;

[Trait("Database", "once")]
public sealed class PostgresConversationStoreTests : ConversationStoreConformance
{
    private protected override Task<IStores> OpenAsync() => PostgresStores.OpenAsync();
}
