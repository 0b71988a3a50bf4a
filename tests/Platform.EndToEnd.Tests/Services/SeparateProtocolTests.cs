using System.Net;
using MultiAgent.Platform.EndToEnd.Tests.Clients;

namespace MultiAgent.Platform.EndToEnd.Tests.Services;

/// <summary>MCP and A2A where the gateway is a process of its own: sessions, streams and cancellations go through it to the orchestrator.</summary>
public sealed class SeparateProtocolTests
{
    [Fact]
    public async Task Protocols_ThroughAGatewayOfItsOwn_PassTheirClientsChecks()
    {
        Assert.SkipWhen(NatsServer.Missing is not null, NatsServer.Missing ?? "");
        await using ServiceProcesses services = await ServiceProcesses.StartAsync(new Dictionary<string, int>());
        services.Provider.Default = RunningPlatform.BehaveAsync;
        PlatformProcess gateway = services.Of("api-gateway")[0].Process;
        using HttpClient client = gateway.ClientFor(PlatformEnvironment.Key);
        await client.AddLocalAgentAsync();
        await client.PostJsonAsync("/api/v1/agents", """{"slug":"endless","name":"Endless","instructions":"Talk.","model":"fake/endless"}""", HttpStatusCode.Created);

        await ProtocolClientTests.CheckAsync("mcp.mjs", gateway.Url, least: 7);
        await ProtocolClientTests.CheckAsync("a2a.mjs", gateway.Url, least: 8);
    }
}
