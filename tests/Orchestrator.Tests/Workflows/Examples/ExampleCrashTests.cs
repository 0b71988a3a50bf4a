using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Tests.Support;
using MultiAgent.Orchestrator.Worker;
using TestStorage = MultiAgent.Testing.TestStorage;

namespace MultiAgent.Orchestrator.Tests.Workflows.Examples;

/// <summary>
/// The process that works on the examples dies at every write of every one, of the runs of their agents too: right after the write, and right before the next
/// one, when a tool was called whose result nobody has stored. The next process on the same file brings all of them to the end that they have without a
/// crash. One process dies for all runs at once; a <see cref="Fuse"/> has each of them stand still at its own moment.
/// </summary>
[Trait("Database", "once")]
public sealed class ExampleCrashTests
{
    // In the suite of faults each write in both ways; in the usual run in one of them, by turns.
    private static readonly bool All = Environment.GetEnvironmentVariable("MAAP_FAULTS") == "all";

    [Fact]
    public async Task Crash_AtAnyWriteOfAnyExample_EndsAsWithoutIt()
    {
        Assert.SkipWhen(TestStorage.IsPostgres, "ExampleKillTests do this on PostgreSQL, with processes.");
        string folder = Directory.CreateTempSubdirectory("maap-examples-").FullName;
        await using Shop shop = await Shop.StartAsync();
        try
        {
            var crashes = new Crashes(shop);
            await BreakAsync(folder, crashes);
            await using TestHost next = await ExampleWorld.StartAsync(folder, seed: false, configure: InNoHurry);
            await crashes.EndAsync(next.Alpha, next.Driver(), () => ExampleWorld.UnfinishedAsync(next));
            Assert.Empty(await ExampleWorld.OpenWaitsAsync(next));
            Assert.True(shop.Repeated > 0);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task BreakAsync(string folder, Crashes crashes)
    {
        var fuse = new Fuse();
        await using TestHost host = await ExampleWorld.StartAsync(folder, configure: services =>
        {
            fuse.AddTo(services, postgres: false);
            InNoHurry(services);
            // That its runs are lost is what it would tell, a line for each.
            services.PostConfigure<LoggerFilterOptions>(options => options.MinLevel = LogLevel.None);
        });
        ExampleDriver driver = host.Driver();
        foreach (Scenario scenario in Scenarios.All)
            await crashes.PlanAsync(host.Alpha, driver, scenario, id => Task.FromResult(fuse.Writes(id)), static (write, how) => All || write % 2 == (how == Fuse.AtOnce ? 1 : 0));
        using HttpClient client = host.Client("alpha");
        await crashes.BreakAsync(client, driver, () => Task.FromResult<IReadOnlyCollection<string>>(fuse.Blown), () => ExampleWorld.UnfinishedAsync(host));
        // The host is put away in order, but nothing that it still had to do is done: first all are given up, and then those that stand in a write hear of it.
        RunEngine engine = host.Services.GetRequiredService<RunEngine>();
        foreach (LiveRun live in engine.Active) engine.Lose(live);
        fuse.Remove();
        await host.StopAsync();
    }

    private static void InNoHurry(IServiceCollection services) => services.PostConfigure<HostOptions>(options => options.ShutdownTimeout = TimeSpan.FromSeconds(60));
}
