using System.Globalization;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Contracts;
using MultiAgent.Data.Postgres;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Runs.Storage;
using MultiAgent.Orchestrator.Tests.Support;
using MultiAgent.Orchestrator.Tests.Workflows;
using MultiAgent.Orchestrator.Workflows;
using FaultProxy = MultiAgent.Testing.FaultProxy;
using FreePort = MultiAgent.Testing.FreePort;
using TestDatabase = MultiAgent.Testing.TestDatabase;
using TestPostgres = MultiAgent.Testing.TestPostgres;

namespace MultiAgent.Orchestrator.Tests.Runs;

/// <summary>The connection to PostgreSQL breaks while a write is under way: whether it was committed is found out, and nothing is done twice.</summary>
[Trait("Database", "once")]
public sealed class BrokenConnectionTests : IAsyncLifetime
{
    private TestDatabase _database = null!;
    private FaultProxy _proxy = null!;
    private string _url = "";

    public async ValueTask InitializeAsync()
    {
        Assert.SkipWhen(TestPostgres.Missing is not null, TestPostgres.Missing ?? "");
        TestPostgres server = await TestPostgres.SharedAsync();
        _database = await server.NewDatabaseAsync();
        int port = FreePort.Next();
        _proxy = new FaultProxy(port, server.Port);
        _url = _database.AppUrl.Replace($":{server.Port.ToString(CultureInfo.InvariantCulture)}/", $":{port.ToString(CultureInfo.InvariantCulture)}/", StringComparison.Ordinal);
    }

    public async ValueTask DisposeAsync()
    {
        if (_proxy is null) return;
        await _proxy.DisposeAsync();
        await _database.DisposeAsync();
    }

    [Fact]
    public async Task Accept_ThatIsCommittedAndNotAnswered_IsFoundOut()
    {
        await using PostgresDatabase schema = _database.Open("orchestrator", o => o.DatabaseUrl = _url);
        var store = new PostgresRunStore(schema);
        NewRun before = RunSamples.Run("t1"), run = RunSamples.Run("t1", key: "k");
        await store.AcceptAsync(before);
        _proxy.Delay = TimeSpan.FromSeconds(30);

        Task<AcceptOutcome> accepting = store.AcceptAsync(run);
        await CutWhenAsync($"SELECT count(*) FROM orchestrator.runs WHERE id = '{run.Record.Id}'");

        Assert.IsType<AcceptOutcome.Started>(await accepting.WaitAsync(TestHost.Deadline, TestContext.Current.CancellationToken));
        Assert.Equal(2L, await _database.ScalarAsync($"SELECT count(*) FROM orchestrator.run_events WHERE run_id = '{run.Record.Id}'"));
    }

    [Fact]
    public async Task Append_ThatIsCommittedAndNotAnswered_IsToldAsUnknown()
    {
        await using PostgresDatabase schema = _database.Open("orchestrator", o => o.DatabaseUrl = _url);
        var store = new PostgresRunStore(schema);
        NewRun run = RunSamples.Run("t1");
        await store.AcceptAsync(run);
        _proxy.Delay = TimeSpan.FromSeconds(30);

        Task appending = store.AppendAsync(new RunWrite { Run = run.Record, Events = [RunSamples.Event(3, "c")] });
        await CutWhenAsync($"SELECT count(*) FROM orchestrator.run_events WHERE run_id = '{run.Record.Id}' AND seq = 3");

        Assert.True((await Assert.ThrowsAsync<StorageUnavailableException>(() => appending.WaitAsync(TestHost.Deadline, TestContext.Current.CancellationToken))).OutcomeUnknown);
    }

    [Fact]
    public async Task Runs_WhoseConnectionsBreakAgainAndAgain_GoOnAsIfNothingHadBeen()
    {
        const int steps = 12;
        TestWorkflows workflows = new TestWorkflows().Add("w", string.Concat(Enumerable.Range(0, steps).Select(i => $$"""
              - {id: ask{{i}}, type: agent, agent: helper, message: "{{i}}"}
              - {id: sum{{i}}, type: tool, tool: calculator, arguments: {expression: "{{i}} + 1"} }

            """)));
        var settings = new Dictionary<string, string?>(_database.Settings) { ["DATABASE_URL"] = _url, ["Runs:LeaseSeconds"] = "120" };
        await using TestHost host = await TestHost.StartAsync(settings: settings, configure: services => services.AddSingleton<IWorkflowSource>(workflows));
        await host.Alpha.CreateAgentAsync();
        // Answers take their time, so that connections break before a write, while it is carried out, and between its commit and the answer.
        _proxy.Delay = TimeSpan.FromMilliseconds(8);
        int asked = 0;
        host.Model.Default = (_, _) =>
        {
            CutAfter(Interlocked.Increment(ref asked) % 4 * 6);
            return Task.FromResult(FakeAnswer.Says("yes"));
        };
        string id = (await host.Alpha.PostJsonAsync("/api/v1/runs", new { workflow = "w" })).Body.Text("id");
        RunEngine engine = host.Services.GetRequiredService<RunEngine>();
        await Waiting.UntilAsync(() => Task.FromResult(engine.Find("ten_alpha", id) is null), "the run has ended");
        _proxy.Delay = TimeSpan.Zero;

        Assert.Equal("completed", (await host.Alpha.WaitForRunAsync(id)).Text("status"));
        Assert.Equal(steps, host.Model.Requests.Count);
        IReadOnlyList<RunEvent> events = await host.Services.GetRequiredService<IRunStore>().EventsAsync("ten_alpha", id, 0, 1000);
        Assert.Equal(Enumerable.Range(1, events.Count).Select(i => (long)i), events.Select(e => e.Seq));
        Assert.Equal(2 * steps, events.Count(e => e.Type == RunEventTypes.StepCompleted));
        Assert.DoesNotContain(RunEventTypes.Resumed, events.Select(e => e.Type));
        Assert.Equal((long)steps, await _database.ScalarAsync($"SELECT count(*) FROM orchestrator.runs WHERE parent_run_id = '{id}' AND status = 'completed'"));
    }

    private void CutAfter(int milliseconds) => _ = Task.Delay(milliseconds).ContinueWith(_ => _proxy.CutConnections(), TaskScheduler.Default);

    private async Task CutWhenAsync(string count)
    {
        await Waiting.UntilAsync(async () => (long)(await _database.ScalarAsync(count))! > 0, "the write is committed");
        _proxy.Delay = TimeSpan.Zero;
        _proxy.CutConnections();
    }
}
