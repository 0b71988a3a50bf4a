namespace MultiAgent.Orchestrator.Tests.Support;

/// <summary>One host for a class of tests.</summary>
public sealed class HostFixture : IAsyncLifetime
{
    internal TestHost Host { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Host = await TestHost.StartAsync();

    public ValueTask DisposeAsync() => Host.DisposeAsync();
}
