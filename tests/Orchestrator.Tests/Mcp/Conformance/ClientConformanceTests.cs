using MultiAgent.Orchestrator.Tests.Support;
using Repository = MultiAgent.Testing.Repository;

namespace MultiAgent.Orchestrator.Tests.Mcp.Conformance;

/// <summary>The suite's servers against our client: each is a source of a tenant's tools, and the scenario's tool is called through the API.</summary>
[Trait("Database", "once")]
public sealed class ClientConformanceTests
{
    [Fact]
    public async Task Client_OfTheSources_PassesWhatIsItsOwn()
    {
        await using TestHost host = await TestHost.StartAsync(settings: new()
        {
            ["Tools:Http:AllowPrivateNetworks"] = "true",
            // The suite waits until its server has no connection left.
            ["Tools:Mcp:IdleSeconds"] = "10",
        });

        await ConformanceSuite.RunAsync(["client", "--command", $"{ConformanceSuite.Node} {Repository.At("tests/clients/mcp-client.mjs")} {host.Url} alpha",
            "--expected-failures", Repository.At("tests/Orchestrator.Tests/Mcp/Conformance/client-baseline.yml")], least: 18);
    }
}
