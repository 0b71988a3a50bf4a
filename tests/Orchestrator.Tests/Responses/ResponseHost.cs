using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests.Responses;

/// <summary>One host for the tests of a class, whose catalogue has the provider of the scripted model.</summary>
public sealed class ResponseHost : IAsyncLifetime
{
    internal TestHost Host { get; private set; } = null!;

    public async ValueTask InitializeAsync() =>
        Host = await TestHost.StartAsync(settings: new Dictionary<string, string?> { ["Models:Providers:fake:Type"] = "openai", ["Models:Providers:fake:BaseUrl"] = "http://127.0.0.1:9/v1" });

    public ValueTask DisposeAsync() => Host.DisposeAsync();
}
