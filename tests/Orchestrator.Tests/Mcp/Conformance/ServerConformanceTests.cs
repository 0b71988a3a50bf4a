using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using MultiAgent.Hosting;
using MultiAgent.Orchestrator.Tests.Support;
using Repository = MultiAgent.Testing.Repository;

namespace MultiAgent.Orchestrator.Tests.Mcp.Conformance;

/// <summary>The public conformance suite of the Model Context Protocol, revision 2025-11-25, against our server.</summary>
[Trait("Database", "once")]
public sealed class ServerConformanceTests
{
    [Fact]
    public async Task Server_WithEveryFeature_PassesWhatTheRevisionRequires()
    {
        string folder = Directory.CreateTempSubdirectory("maap-mcp-").FullName;
        WebApplication app = PlatformHost.Build("test", ["--urls", "http://127.0.0.1:0"], [new FixtureModule()], builder =>
        {
            builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?> { ["Data:Directory"] = folder, ["Limits:RequestsPerMinute"] = "1000000", ["Limits:Burst"] = "100000" });
            builder.Logging.SetMinimumLevel(LogLevel.Warning);
        });
        await PlatformHost.StartAsync(app);
        try
        {
            await RunAsync(app.Urls.First(), null, least: 30);
        }
        finally
        {
            await app.StopAsync();
            await app.DisposeAsync();
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task Product_ForATenant_PassesWhatIsItsOwn()
    {
        await using TestHost host = await TestHost.StartAsync(configure: services => services.AddSingleton<IStartupFilter, WithKey>());
        await host.Alpha.CreateAgentAsync();

        await RunAsync(host.Url, Repository.At("tests/Orchestrator.Tests/Mcp/Conformance/product-baseline.yml"), least: 30);
    }

    // The suite takes local names alone for safe.
    private static Task RunAsync(string url, string? baseline, int least) =>
        ConformanceSuite.RunAsync(["server", "--url", $"{url.Replace("127.0.0.1", "localhost", StringComparison.Ordinal)}/mcp", .. baseline is null ? Array.Empty<string>() : ["--expected-failures", baseline]], least);

    /// <summary>The suite has no key: each request is given one on its way in.</summary>
    private sealed class WithKey : IStartupFilter
    {
        public Action<IApplicationBuilder> Configure(Action<IApplicationBuilder> next) => app =>
        {
            app.Use(static (http, following) =>
            {
                http.Request.Headers.Authorization = "Bearer alpha";
                return following(http);
            });
            next(app);
        };
    }
}
