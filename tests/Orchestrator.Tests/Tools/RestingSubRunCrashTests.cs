using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Tests.Support;
using MultiAgent.Orchestrator.Tests.Workflows.Examples;
using MultiAgent.Orchestrator.Worker;
using TestStorage = MultiAgent.Testing.TestStorage;

namespace MultiAgent.Orchestrator.Tests.Tools;

/// <summary>
/// An agent asks another one whose call waits for a person. The process dies at every write of the two runs, right after it and right before the next; the next
/// process brings each to the end that it has without a crash. On SQLite and on PostgreSQL.
/// </summary>
public sealed class RestingSubRunCrashTests
{
    private static readonly Dictionary<string, string?> Settings = new() { ["Runs:LeaseSeconds"] = "3", ["Limits:ConcurrentRuns"] = "1000" };

    [Fact]
    public async Task Crash_AtAnyWriteOfParentAndChild_EndsAsWithoutIt()
    {
        string folder = Directory.CreateTempSubdirectory("maap-rest-").FullName;
        try
        {
            (string[] keys, string expected) = await BreakAsync(folder);
            Assert.True(keys.Length > 12, string.Join(", ", keys));
            await using TestHost host = await StartAsync(folder, _ => { });
            foreach (string key in keys)
            {
                string id = (await StartRunAsync(host.Alpha, key))!;
                Assert.True(expected == await EndAsync(host.Alpha, id), key);
            }
            Assert.Empty(await ExampleWorld.OpenWaitsAsync(host));
            Assert.Empty(await ExampleWorld.UnfinishedAsync(host));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task<(string[] Keys, string Expected)> BreakAsync(string folder)
    {
        var fuse = new Fuse();
        await using TestHost host = await StartAsync(folder, services =>
        {
            fuse.AddTo(services, TestStorage.IsPostgres);
            services.PostConfigure<LoggerFilterOptions>(options => options.MinLevel = LogLevel.None);
        });
        await RestingSubRunTests.AgentsAsync(host.Alpha);
        string whole = (await StartRunAsync(host.Alpha, "whole"))!;
        string expected = await EndAsync(host.Alpha, whole);
        string[] keys = [.. Enumerable.Range(1, fuse.Writes(whole) - 1).SelectMany(write => new[] { Fuse.Key(write, Fuse.AtOnce, "x"), Fuse.Key(write, Fuse.BeforeNext, "x") })];
        using HttpClient client = host.Client("alpha");
        foreach (string key in keys) _ = StartRunAsync(client, key);
        await Waiting.UntilAsync(async () =>
        {
            await ApproveAllAsync(host.Alpha);
            return keys.All(fuse.Blown.Contains);
        }, () => $"not blown: {string.Join(", ", keys.Except(fuse.Blown))}", TestHost.Deadline);
        fuse.Remove();
        RunEngine engine = host.Services.GetRequiredService<RunEngine>();
        foreach (LiveRun live in engine.Active) engine.Lose(live);
        await host.StopAsync();
        return (keys, expected);
    }

    private static Task<TestHost> StartAsync(string folder, Action<IServiceCollection> configure)
    {
        var model = new FakeDispatcher { Default = (request, _) => Task.FromResult(RestingSubRunTests.Answer(request)) };
        return TestHost.StartAsync(folder, model, new(Settings), services =>
        {
            configure(services);
            services.PostConfigure<HostOptions>(options => options.ShutdownTimeout = TimeSpan.FromSeconds(60));
        });
    }

    private static async Task<string?> StartRunAsync(HttpClient client, string key)
    {
        try
        {
            return (await client.PostJsonAsync("/api/v1/runs", new { agent = "boss", message = "Go" }, ("Idempotency-Key", key))).Body.Text("id");
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException or KeyNotFoundException or JsonException)
        {
            // It stands at its first write: the process dies before it has answered.
            return null;
        }
    }

    /// <summary>What came of a run, which is the same for each.</summary>
    private static async Task<string> EndAsync(HttpClient client, string id)
    {
        JsonElement run = default;
        await Waiting.UntilAsync(async () =>
        {
            await ApproveAllAsync(client);
            run = (await client.GetJsonAsync($"/api/v1/runs/{id}")).Body;
            return run.Text("status") is "completed" or "failed" or "cancelled";
        }, $"the end of {id}");
        JsonElement[] children = [.. (await client.GetJsonAsync($"/api/v1/runs?parent={id}")).Body.GetProperty("data").EnumerateArray()];
        JsonElement[] log = await LogAsync(client, id), child = await LogAsync(client, Assert.Single(children).Text("id"));
        Assert.Equal(Enumerable.Range(1, log.Length).Select(i => (long)i), log.Select(e => e.GetProperty("seq").GetInt64()));
        return $"{run.Text("status")} {run.GetProperty("usage").GetRawText()} {children[0].Text("status")} {Text(log, "message.completed", "text")} {Text(log, "tool_call.completed", "result")} {Text(child, "tool_call.completed", "result")} {Text(child, "approval.decided", "decision")}";
    }

    private static string Text(JsonElement[] log, string type, string member) => Assert.Single(log, e => e.Text("type") == type).GetProperty("data").Text(member);

    private static async Task<JsonElement[]> LogAsync(HttpClient client, string id) => [.. (await client.GetJsonAsync($"/api/v1/runs/{id}/events?limit=200", ("Accept", "application/json"))).Body.GetProperty("data").EnumerateArray()];

    private static async Task ApproveAllAsync(HttpClient client)
    {
        foreach (JsonElement open in (await client.GetJsonAsync("/api/v1/approvals?limit=100")).Body.GetProperty("data").EnumerateArray())
            await client.PostJsonAsync($"/api/v1/approvals/{open.Text("id")}", new { decision = "approve" });
    }
}
