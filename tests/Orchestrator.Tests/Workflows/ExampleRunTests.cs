using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using MultiAgent.Contracts.Clients;
using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests.Workflows;

/// <summary>Example workflows as shipped, with a scripted model and a shop that records what is asked of it.</summary>
public sealed class ExampleRunTests : IAsyncLifetime
{
    private readonly ConcurrentQueue<string> _seen = new();
    private readonly ConcurrentDictionary<string, int> _refuses = new();
    private WebApplication _shop = null!;
    private TestHost _host = null!;

    private string Api => _shop.Urls.First();

    public async ValueTask InitializeAsync()
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        _shop = builder.Build();
        _shop.Urls.Add("http://127.0.0.1:0");
        _shop.Run(http =>
        {
            string first = http.Request.Path.Value!.Split('/')[1];
            _seen.Enqueue($"{http.Request.Method} {first}{(http.Request.Path.Value!.EndsWith("/refund", StringComparison.Ordinal) ? "/refund" : "")}");
            http.Response.StatusCode = _refuses.GetValueOrDefault(first, 200);
            return http.Response.WriteAsJsonAsync(new { status = "delivered", tracking = "T-1" });
        });
        await _shop.StartAsync();
        _host = await TestHost.StartAsync(settings: new() { ["Tools:Http:AllowPrivateNetworks"] = "true" });
        foreach (ITenantSeeder seeder in _host.Services.GetServices<ITenantSeeder>()) await seeder.SeedAsync("ten_alpha", default);
    }

    public async ValueTask DisposeAsync()
    {
        await _host.DisposeAsync();
        await _shop.DisposeAsync();
    }

    [Fact]
    public async Task OrderProcessing_ThatSucceeds_ReservesPaysAndShips()
    {
        JsonElement run = await RunAsync("order-processing", new { order = "o-1", customer = "Ana", lines = new[] { new { sku = "a", quantity = 2, price = 10.5 }, new { sku = "b", quantity = 1, price = 4.0 } }, api = Api });

        Assert.True(run.Text("status") == "completed", run.ToString());
        Assert.Equal(("o-1", 25m, "T-1"), (run.Text("output", "order"), run.GetProperty("output").GetProperty("amount").GetDecimal(), run.Text("output", "tracking")));
        Assert.Equal(["PUT inventory", "PUT inventory", "PUT payments", "PUT shipments"], _seen);
    }

    [Fact]
    public async Task OrderProcessing_ThatCannotShip_PaysBackAndFreesTheStock()
    {
        _refuses["shipments"] = 409;

        JsonElement run = await RunAsync("order-processing", new { order = "o-1", customer = "Ana", lines = new[] { new { sku = "a", quantity = 2, price = 10 } }, api = Api });

        Assert.True(run.Text("status") == "failed", run.ToString());
        Assert.Equal(["PUT inventory", "PUT payments", "PUT shipments", "PUT payments/refund", "DELETE inventory"], _seen);
    }

    [Fact]
    public async Task OrderTracking_OfAKnownAndAnUnknownOrder_Answers()
    {
        JsonElement known = await RunAsync("order-tracking", new { order = "o-1", api = Api });
        _refuses["orders"] = 404;
        JsonElement unknown = await RunAsync("order-tracking", new { order = "o-2", api = Api });

        Assert.Equal(("delivered", "Hello there"), (known.Text("output", "status"), known.Text("output", "message")));
        Assert.Equal(("unknown", "Hello there"), (unknown.Text("output", "status"), unknown.Text("output", "message")));
    }

    [Fact]
    public async Task Faq_WithAnAnswer_GivesItByTheAgent()
    {
        JsonElement run = await RunAsync("faq", new { question = "When do you open?" });

        Assert.Equal(("Hello there", "agent"), (run.Text("output", "answer"), run.Text("output", "by")));
    }

    private async Task<JsonElement> RunAsync(string workflow, object inputs)
    {
        (int status, JsonElement run, _) = await _host.Alpha.PostJsonAsync("/api/v1/runs?wait=25", new { workflow, inputs });
        Assert.True(status == 200, $"{status} {run}");
        return run;
    }
}
