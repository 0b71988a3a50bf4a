using System.Text.Json;
using MultiAgent.Orchestrator.Tests.Support;
using MultiAgent.Orchestrator.Workflows.Definitions;

namespace MultiAgent.Orchestrator.Tests.Workflows.Examples;

/// <summary>The example workflows as shipped, each on its ways to the end, with a scripted model and a shop that records what is asked of it.</summary>
public sealed class ExampleRunTests : IAsyncLifetime
{
    private Shop _shop = null!;
    private TestHost _host = null!;

    public static TheoryData<string> Names => [.. Scenarios.All.Select(s => s.ToString())];

    public async ValueTask InitializeAsync()
    {
        _shop = await Shop.StartAsync();
        _host = await ExampleWorld.StartAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _host.DisposeAsync();
        await _shop.DisposeAsync();
    }

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Example_OnItsWay_EndsAsItShould(string name)
    {
        Scenario scenario = Scenarios.All.Single(s => s.ToString() == name);
        ExampleDriver driver = _host.Driver();
        string id = (await _host.Alpha.PostJsonAsync("/api/v1/runs", scenario.Body(_shop.Url))).Body.Text("id");
        driver.Runs[id] = scenario;
        JsonElement run = await driver.UntilEndAsync(id);

        Assert.True(scenario.Status == run.Text("status"), run.ToString());
        Assert.Equal(scenario.Error, run.TryGetProperty("error", out JsonElement error) ? error.Text("code") : null);
        Assert.Equal(scenario.Output, run.TryGetProperty("output", out JsonElement output) ? output.GetRawText().Replace(id, "{run}") : null);
        Effect[] effects = _shop.Of(id);
        Assert.Equal(scenario.Effects.Order(StringComparer.Ordinal), effects.Select(e => string.Join(' ', e.What.Split(' ').Take(2))).Order(StringComparer.Ordinal));
        Assert.Equal(effects.Length, effects.Select(e => e.Key).Distinct().Count());
        Assert.Empty(_shop.WithoutKey);
        Assert.Equal(scenario.Asked, await AskedAsync(id));
        (_, JsonElement children, _) = await _host.Alpha.GetJsonAsync($"/api/v1/runs?parent={id}&limit=200");
        if (scenario.Agents is { } agents) Assert.Equal(agents, children.GetProperty("data").EnumerateArray().Count(c => c.Text("status") == "completed"));
        JsonElement[] steps = [.. (await _host.Alpha.GetJsonAsync($"/api/v1/runs/{id}/steps")).Body.GetProperty("steps").EnumerateArray()];
        Assert.Equal(scenario.Undone.Order(StringComparer.Ordinal), steps.Where(s => s.Text("status") == "completed" && IsCompensation(s.Text("path"))).Select(s => s.Text("path")).Order(StringComparer.Ordinal));
        if (scenario.Steps is { } begun) Assert.Equal(begun, run.GetProperty("steps").GetInt32());
    }

    [Fact]
    public void Scenarios_CoverEveryExample() => Assert.Equal(ExampleWorkflows.All.Select(e => e.Slug).Concat(ExampleWorld.Patterns.Select(p => Path.GetFileNameWithoutExtension(p))).Order(StringComparer.Ordinal), Scenarios.All.Select(s => s.Workflow).Distinct().Order(StringComparer.Ordinal));

    private async Task<string[]> AskedAsync(string run)
    {
        (_, JsonElement asked, _) = await _host.Alpha.GetJsonAsync("/api/v1/approvals?status=all&limit=200");
        return [.. asked.GetProperty("data").EnumerateArray().Where(a => a.Text("runId") == run).Select(a => $"{a.Text("path").Split('/')[^1]} {a.Text("role")} {a.Text("decision")}")];
    }

    private static bool IsCompensation(string path) => path.Split('/')[^1] is "release" or "refund" or "void_label" or "void_voucher" or "undo_open" && path != "/refund";
}
