using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using MultiAgent.Testing;
using Xunit;

namespace MultiAgent.Hosting.Tests;

public sealed class EndpointRulesTests
{
    [Fact]
    public async Task Start_WithAnEndpointThatDeclaresNoAccess_Fails()
    {
        using var folder = new TempFolder();
        await using WebApplication app = Build(folder, new OpenModule());
        InvalidOperationException e = await Assert.ThrowsAsync<InvalidOperationException>(() => PlatformHost.StartAsync(app));
        Assert.Contains("/api/v1/open", e.Message);
    }

    [Fact]
    public async Task Start_WithLimitsOutOfRange_NamesAllOfThem()
    {
        using var folder = new TempFolder();
        OptionsValidationException e = await Assert.ThrowsAsync<OptionsValidationException>(async () =>
        {
            await using WebApplication app = Build(folder, new ProbeModule(), ("Limits:Burst", "0"), ("Limits:MaxJsonDepth", "2"));
            await PlatformHost.StartAsync(app);
        });
        Assert.Contains("Limits:Burst", e.Message);
        Assert.Contains("Limits:MaxJsonDepth", e.Message);
    }

    private static WebApplication Build(TempFolder folder, IServiceModule module, params (string Key, string Value)[] settings) =>
        PlatformHost.Build("test", ["--urls", "http://127.0.0.1:0"], [module], builder => builder.Configuration.AddInMemoryCollection(
            [new("MAAP_DATA_DIR", folder.Path), new("Logging:LogLevel:Default", "None"), .. settings.Select(s => new KeyValuePair<string, string?>(s.Key, s.Value))]));

    private sealed class OpenModule : IServiceModule
    {
        private readonly ProbeModule _inner = new();

        public string Name => "open";

        public void AddServices(IHostApplicationBuilder builder) => _inner.AddServices(builder);

        public void MapEndpoints(IEndpointRouteBuilder routes) => routes.MapGet("/api/v1/open", () => "open");
    }
}
