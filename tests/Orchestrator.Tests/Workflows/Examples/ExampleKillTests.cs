using MultiAgent.Orchestrator.Tests.Support;
using MultiAgent.Orchestrator.Worker;
using MultiAgent.Testing;
using Npgsql;
using TestDatabase = MultiAgent.Testing.TestDatabase;

namespace MultiAgent.Orchestrator.Tests.Workflows.Examples;

/// <summary>
/// Two platforms, processes of their own, on one PostgreSQL and one NATS. The one that works on the examples is killed (kill -9) while its runs stand at chosen
/// writes; the other takes them up when their leases run out, and brings each to the end that it has without a crash.
/// </summary>
[Trait("Database", "once")]
public sealed class ExampleKillTests
{
    // In the suite of faults every write in both ways; in the usual run one in nine.
    public static readonly bool All = Environment.GetEnvironmentVariable("MAAP_FAULTS") == "all";

    [Fact]
    public async Task Kill_OfTheWorkerAtWritesOfTheExamples_EndsAsWithoutIt()
    {
        Assert.SkipWhen((TestPostgres.Missing ?? NatsServer.Missing) is not null, TestPostgres.Missing ?? NatsServer.Missing ?? "");
        using var folder = new TempFolder();
        await using TestDatabase database = await (await TestPostgres.SharedAsync()).NewDatabaseAsync();
        await using NatsServer nats = await NatsServer.StartAsync();
        await using FakeProvider provider = await FakeProvider.StartAsync();
        provider.Default = async http => await ScriptedModel.AnswerAsync(http, await FakeProvider.ReadAsync(http));
        await using Shop shop = await Shop.StartAsync();
        await using NpgsqlDataSource rows = TestDatabase.Connect(database.SuperUrl);
        var crashes = new Crashes(shop);
        Dictionary<string, string?> environment = EnvironmentOf(database, nats, provider);

        string fused = Repository.At($"tests/Orchestrator.Worker/bin/{Repository.Configuration}/net10.0/MultiAgent.Orchestrator.Worker.dll");
        await using PlatformProcess worker = await PlatformProcess.StartAsync(fused, Path.Combine(folder.Path, "first"), environment, []);
        using HttpClient client = worker.ClientFor(TestPlatform.DemoKey);
        await ExampleWorld.AddPatternsAsync(client);
        var driver = new ExampleDriver(client, () => OpenWaitsAsync(rows));
        int turn = 0;
        foreach (Scenario scenario in Scenarios.All)
        {
            int first = turn++;
            await crashes.PlanAsync(client, driver, scenario, async id => int.Parse(await client.GetStringAsync($"/fuse/{id}"), System.Globalization.CultureInfo.InvariantCulture),
                (write, how) => All || ((write + first) % 9 == 0 && how == (first % 2 == 0 ? Fuse.AtOnce : Fuse.BeforeNext)));
        }
        await crashes.BreakAsync(client, driver, async () => (await client.GetStringAsync("/fuse")).Split('\n', StringSplitOptions.RemoveEmptyEntries), () => UnfinishedAsync(rows));
        await using PlatformProcess other = await PlatformProcess.StartAsync(fused, Path.Combine(folder.Path, "second"), new Dictionary<string, string?>(environment) { ["Fuse"] = "off" }, []);
        await worker.KillAsync();

        using HttpClient next = other.ClientFor(TestPlatform.DemoKey);
        await crashes.EndAsync(next, new ExampleDriver(next, () => OpenWaitsAsync(rows)), () => UnfinishedAsync(rows));
        Assert.Empty(await OpenWaitsAsync(rows));
        TestContext.Current.SendDiagnosticMessage($"{crashes.Planned.Count} runs were killed; {shop.Repeated} calls were repeated.");
    }

    private static Dictionary<string, string?> EnvironmentOf(TestDatabase database, NatsServer nats, FakeProvider provider) => new(database.Settings)
    {
        ["NATS_URL"] = nats.Url,
        ["REDIS_URL"] = "",
        ["OPENAI_API_KEY"] = "of-the-test",
        ["OPENAI_BASE_URL"] = provider.BaseUrl,
        ["MAAP_BOOTSTRAP_API_KEY"] = TestPlatform.DemoKey,
        ["MAAP_BOOTSTRAP_ADMIN_PASSWORD"] = TestPlatform.DemoPassword,
        ["Data__MaxConnections"] = "16",
        ["Runs__LeaseSeconds"] = "3",
        ["Runs__SnapshotEvents"] = "10",
        ["Tools__Http__AllowPrivateNetworks"] = "true",
        ["Limits__RequestsPerMinute"] = "1000000",
        ["Limits__Burst"] = "100000",
        ["Limits__ConcurrentRuns"] = "100000",
        ["Limits__MaxInFlightRequests"] = "100000",
    };

    private static async Task<IReadOnlyList<OpenWait>> OpenWaitsAsync(NpgsqlDataSource rows)
    {
        await using NpgsqlCommand command = rows.CreateCommand("SELECT id, run_id, path, kind = 'human' FROM orchestrator.run_waits WHERE state = 'open'");
        await using NpgsqlDataReader read = await command.ExecuteReaderAsync();
        var waits = new List<OpenWait>();
        while (await read.ReadAsync()) waits.Add(new OpenWait(read.GetString(0), read.GetString(1), read.GetString(2), read.GetBoolean(3)));
        return waits;
    }

    private static async Task<IReadOnlySet<string>> UnfinishedAsync(NpgsqlDataSource rows)
    {
        await using NpgsqlCommand command = rows.CreateCommand("SELECT id FROM orchestrator.runs WHERE status NOT IN ('completed', 'failed', 'cancelled')");
        await using NpgsqlDataReader read = await command.ExecuteReaderAsync();
        var runs = new HashSet<string>(StringComparer.Ordinal);
        while (await read.ReadAsync()) runs.Add(read.GetString(0));
        return runs;
    }
}
