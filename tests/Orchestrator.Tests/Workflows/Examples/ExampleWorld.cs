using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Contracts.Clients;
using MultiAgent.Data;
using MultiAgent.Data.Postgres;
using MultiAgent.Data.Sqlite;
using MultiAgent.Data.Tenancy;
using MultiAgent.Orchestrator.Tests.Support;
using Repository = MultiAgent.Testing.Repository;

namespace MultiAgent.Orchestrator.Tests.Workflows.Examples;

/// <summary>What hosts of the examples have in common.</summary>
internal static class ExampleWorld
{
    /// <summary>A host with the scripted model; <paramref name="seed"/>: with the example agents and workflows, unless its database has them.</summary>
    public static async Task<TestHost> StartAsync(string? folder = null, Dictionary<string, string?>? settings = null, bool seed = true, Action<IServiceCollection>? configure = null)
    {
        // Runs that are taken up ask it before the start has returned.
        var model = new FakeDispatcher();
        model.AnswerAsScripted();
        TestHost host = await TestHost.StartAsync(folder, model, settings: new(settings ?? []) { ["Tools:Http:AllowPrivateNetworks"] = "true", ["Limits:ConcurrentRuns"] = "100000", ["Runs:SnapshotEvents"] = "10" }, configure: configure);
        if (!seed) return host;
        foreach (ITenantSeeder seeder in host.Services.GetServices<ITenantSeeder>()) await seeder.SeedAsync("ten_alpha", default);
        await AddPatternsAsync(host.Alpha);
        return host;
    }

    /// <summary>Files of <c>examples/patterns</c>.</summary>
    public static IReadOnlyList<string> Patterns { get; } = Directory.GetFiles(Repository.At("examples/patterns"), "*.yaml");

    /// <summary>Makes workflows of the patterns and the agents that only they need, which no tenant has from the beginning.</summary>
    public static async Task AddPatternsAsync(HttpClient client)
    {
        foreach (string agent in Directory.GetFiles(Repository.At("examples/agents"), "*.json"))
        {
            (int status, JsonElement body, _) = await client.PostJsonAsync("/api/v1/agents", await File.ReadAllTextAsync(agent));
            Assert.True(status == 201, $"{agent}: {body}");
        }
        foreach (string pattern in Patterns)
        {
            (int status, JsonElement body, _) = await WorkflowEndpointsTests.Send(client, HttpMethod.Post, "", await File.ReadAllTextAsync(pattern));
            Assert.True(status == 201, $"{pattern}: {body}");
        }
    }

    public static ExampleDriver Driver(this TestHost host) => new(host.Alpha, () => OpenWaitsAsync(host));

    /// <summary>All waits that are open, of all runs.</summary>
    public static async Task<IReadOnlyList<OpenWait>> OpenWaitsAsync(TestHost host)
    {
        if (host.Services.GetRequiredService<Databases>().UsesPostgres)
            return await host.Services.GetRequiredKeyedService<PostgresDatabase>("orchestrator").ReadAsync(TenantScope.System("test"), session => session
                .Sql("/* all tenants */ SELECT id, run_id, path, kind = 'human' FROM orchestrator.run_waits WHERE state = 'open'").ListAsync(static row => new OpenWait(row.GetString(0), row.GetString(1), row.GetString(2), row.GetBoolean(3))));
        return host.Database.Read<IReadOnlyList<OpenWait>>(static session =>
        {
            SqliteStatement read = session.Prepare("SELECT id, run_id, path, kind = 'human' FROM run_waits WHERE state = 'open'");
            var waits = new List<OpenWait>();
            while (read.Step()) waits.Add(new OpenWait(read.Text(0), read.Text(1), read.Text(2), read.Int64(3) != 0));
            return waits;
        });
    }

    /// <summary>Runs that have not ended, those of agents too.</summary>
    public static async Task<IReadOnlySet<string>> UnfinishedAsync(TestHost host)
    {
        if (host.Services.GetRequiredService<Databases>().UsesPostgres)
            return (await host.Services.GetRequiredKeyedService<PostgresDatabase>("orchestrator").ReadAsync(TenantScope.System("test"), session => session
                .Sql("/* all tenants */ SELECT id FROM orchestrator.runs WHERE status NOT IN ('completed', 'failed', 'cancelled')").ListAsync(static row => row.GetString(0)))).ToHashSet();
        return host.Database.Read(static session =>
        {
            SqliteStatement read = session.Prepare("/* all tenants */ SELECT id FROM runs WHERE status NOT IN ('completed', 'failed', 'cancelled')");
            var runs = new HashSet<string>(StringComparer.Ordinal);
            while (read.Step()) runs.Add(read.Text(0));
            return runs;
        });
    }

    /// <summary>The whole log of a run.</summary>
    public static async Task<JsonElement[]> LogAsync(HttpClient client, string run)
    {
        var log = new List<JsonElement>();
        string? cursor = "";
        while (cursor is not null)
        {
            JsonElement page = (await client.GetJsonAsync($"/api/v1/runs/{run}/events?limit=200{cursor}", ("Accept", "application/json"))).Body;
            log.AddRange(page.GetProperty("data").EnumerateArray());
            cursor = page.TryGetProperty("nextCursor", out JsonElement next) && next.ValueKind == JsonValueKind.String ? $"&cursor={next.GetString()}" : null;
        }
        return [.. log];
    }
}
