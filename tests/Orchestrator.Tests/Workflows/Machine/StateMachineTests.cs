using System.Collections.Concurrent;
using System.Text.Json;
using CsCheck;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MultiAgent.Models;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Runs.Leases;
using MultiAgent.Orchestrator.Tests.Support;
using MultiAgent.Orchestrator.Tests.Workflows.Examples;
using MultiAgent.Orchestrator.Tests.Workflows.Snapshots;
using MultiAgent.Orchestrator.Tools;
using MultiAgent.Orchestrator.Worker;
using MultiAgent.Orchestrator.Workflows;
using MultiAgent.Orchestrator.Workflows.Execution;
using MultiAgent.Orchestrator.Workflows.Snapshots;
using MultiAgent.Workflows;
using TestStorage = MultiAgent.Testing.TestStorage;
using Waiting = MultiAgent.Orchestrator.Tests.Support.Waiting;

namespace MultiAgent.Orchestrator.Tests.Workflows.Machine;

/// <summary>
/// Random workflows meet a crash at a random write, are taken up by a second and a third process on the same data, also while their holder is alive and at work,
/// and get each event and decision several times, out of order, through any process. Each has to have the end that it has undisturbed, each effect once, and a log
/// without gaps in which nothing that was there has changed.
/// </summary>
[Trait("Database", "once")]
public sealed class StateMachineTests
{
    private const int Programs = 200;

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    // MAAP_SEED tries others; the suite of faults takes one at random.
    private static readonly ulong Seed = ulong.TryParse(Environment.GetEnvironmentVariable("MAAP_SEED"), out ulong given) ? given
        : Environment.GetEnvironmentVariable("MAAP_FAULTS") == "all" ? (ulong)Random.Shared.NextInt64() : 20261130;

    private readonly EffectTool _tool = new();
    private readonly TestWorkflows _workflows = new();

    [Fact]
    public async Task Programs_CrashedTakenUpAndToldTwice_EndAsUndisturbed()
    {
        Assert.SkipWhen(TestStorage.IsPostgres, "Several processes on one file; ReplicaTests and ExampleKillTests have several on one PostgreSQL.");
        string folder = Directory.CreateTempSubdirectory("maap-machine-").FullName;
        var fuse = new Fuse();
        Case[] cases = [.. Enumerable.Range(0, Programs).Select(Case.Of)];
        foreach (Case one in cases) _workflows.Add(one.Name, one.Steps);
        try
        {
            await using TestHost first = await StartAsync(folder, fuse);
            await first.Alpha.CreateAgentAsync();
            await UndisturbedAsync(first, fuse, cases);
            await using TestHost second = await StartAsync(Beside(folder, "second")), third = await StartAsync(Beside(folder, "third"));
            await DisturbedAsync(first, second, third, fuse, cases);
            fuse.Remove();
            foreach (TestHost host in (TestHost[])[first, second, third]) await PutAwayAsync(host);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    // The lock of a data folder keeps a second process out; here it is to be let in, to the runs alone.
    private static string Beside(string folder, string name)
    {
        string other = Directory.CreateDirectory(Path.Combine(folder, name)).FullName;
        File.CreateSymbolicLink(Path.Combine(other, "orchestrator.db"), Path.Combine(folder, "orchestrator.db"));
        return other;
    }

    private Task<TestHost> StartAsync(string folder, Fuse? fuse = null)
    {
        var model = new FakeDispatcher
        {
            Default = static async (request, token) =>
            {
                string asked = request.LastContent;
                await Task.Delay(asked.Length % 4, token);
                return asked.StartsWith("fail", StringComparison.Ordinal) ? new FakeAnswer { Status = 400, ErrorBody = """{"error":{"message":"no"}}""" } : FakeAnswer.Says(asked[4..Math.Min(asked.Length, 200)]);
            },
        };
        // Snapshots so often that nearly each take-up goes by one.
        return TestHost.StartAsync(folder, model, new() { ["Limits:ConcurrentRuns"] = "100000", ["Runs:SnapshotEvents"] = "10" }, services =>
        {
            services.AddSingleton<IWorkflowSource>(_workflows);
            services.AddSingleton<ITool>(_tool);
            services.PostConfigure<HostOptions>(options => options.ShutdownTimeout = TimeSpan.FromSeconds(20));
            // Runs are lost all the time here.
            services.PostConfigure<LoggerFilterOptions>(options => options.MinLevel = LogLevel.None);
            fuse?.AddTo(services, postgres: false);
        });
    }

    // What a host still has to do is of no interest; that it takes long on a busy machine neither.
    private static async Task PutAwayAsync(TestHost host)
    {
        RunEngine engine = host.Services.GetRequiredService<RunEngine>();
        foreach (LiveRun live in engine.Active) engine.Lose(live);
        try
        {
            await host.StopAsync();
        }
        catch (OperationCanceledException)
        {
            // The time for it is up.
        }
    }

    private async Task UndisturbedAsync(TestHost host, Fuse fuse, Case[] cases)
    {
        foreach (Case one in cases) one.Id = (await host.Alpha.PostJsonAsync("/api/v1/runs", new { workflow = one.Name })).Body.Text("id");
        var world = new World([host], cases);
        await Waiting.UntilAsync(async () =>
        {
            await world.ActAsync();
            return (await ExampleWorld.UnfinishedAsync(host)).Count == 0;
        }, () => Told($"undisturbed runs; {string.Join(", ", ExampleWorld.UnfinishedAsync(host).Result.Take(5))}", cases[0]), Patience);
        foreach (Case one in cases)
        {
            one.Expected = await OutcomeAsync(host, one);
            one.Writes = fuse.Writes(one.Id);
        }
    }

    private async Task DisturbedAsync(TestHost first, TestHost second, TestHost third, Fuse fuse, Case[] cases)
    {
        using HttpClient impatient = first.Client("alpha");
        var world = new World([second, third], cases);
        foreach (Case one in cases)
        {
            one.Id = "";
            one.Key = Fuse.Key(1 + one.Fate.Cut % one.Writes, one.Fate.How ? Fuse.AtOnce : Fuse.BeforeNext, one.Name);
            _ = impatient.PostJsonAsync("/api/v1/runs", new { workflow = one.Name }, ("Idempotency-Key", one.Key)).ContinueWith(static t => _ = t.Exception, TaskScheduler.Default);
        }
        IRunStore store = second.Services.GetRequiredService<IRunStore>();
        string dead = first.Services.GetRequiredService<RunOwner>().Name;
        int looks = 0;
        List<Case> left = [.. cases];
        await Waiting.UntilAsync(async () =>
        {
            looks++;
            HashSet<string> blown = [.. fuse.Blown];
            bool takeUp = false;
            foreach (Case one in left.ToArray())
            {
                if (await store.FindByKeyAsync("ten_alpha", one.Key) is not { } run) continue;
                one.Id = run.Id;
                if (blown.Contains(one.Key)) one.Before ??= await EventsAsync(store, run.Id);
                takeUp |= blown.Contains(one.Key) && !run.IsFinal && run.Status == RunStatus.Running && run.LeaseOwner == dead;
                if (run.IsFinal) left.Remove(one);
            }
            await world.ActAsync();
            if (takeUp) await second.Services.GetRequiredService<RunTakeUp>().TakeUpAsync(default);
            if (left.Any(c => c.Fate.Steals.Contains(looks))) await third.Services.GetRequiredService<RunTakeUp>().TakeUpAsync(default);
            return left.Count == 0;
        }, () => Told($"{left.Count} runs have not ended", left[0]), Patience);
        int crashed = fuse.Blown.Count, taken = 0;
        foreach (Case one in cases)
        {
            string outcome = await OutcomeAsync(second, one);
            Assert.True(one.Expected == outcome, Told($"expected\n{one.Expected}\nactual\n{outcome}", one));
            List<RunEvent> log = await EventsAsync(store, one.Id);
            taken += log.Count(e => e.Type == RunEventTypes.Resumed);
            foreach ((RunEvent before, RunEvent after) in (one.Before ?? []).Zip(log))
                Assert.True(before.Seq == after.Seq && before.Type == after.Type && before.At == after.At && before.Data.AsSpan().SequenceEqual(after.Data), Told($"event {before.Seq} has changed", one));
        }
        Assert.Empty(_tool.Changed);
        // Not all: what comes together is one write, so that a run has fewer than the time before, and some are taken from their holder before.
        Assert.True(crashed > Programs / 10 && taken > Programs, $"{crashed} of {Programs} runs met their crash, and runs were taken up {taken} times");
        TestContext.Current.SendDiagnosticMessage($"{crashed} of {Programs} runs met their crash, runs were taken up {taken} times, and {_tool.Repeated} calls were repeated.");
        Assert.Empty(await ExampleWorld.OpenWaitsAsync(second));
    }

    /// <summary>What came of a run; that its log has no gaps and one end, and gives the state that the engine had at the end, is held here.</summary>
    private async Task<string> OutcomeAsync(TestHost host, Case one)
    {
        IRunStore store = host.Services.GetRequiredService<IRunStore>();
        RunRecord run = (await store.FindAsync("ten_alpha", one.Id))!;
        List<RunEvent> log = await EventsAsync(store, one.Id);
        Assert.True(log.Select((e, i) => e.Seq == i + 1).All(dense => dense), Told("the log has gaps", one));
        Assert.True(log.FindIndex(e => e.Type is RunEventTypes.Completed or RunEventTypes.Failed or RunEventTypes.Cancelled) == log.Count - 1, Told("the log does not end with its end", one));
        FlowState rebuilt = FlowState.Rebuild(log);
        Assert.True((run.Steps, run.Usage, run.CostUsd) == (rebuilt.Steps, rebuilt.Usage, rebuilt.CostUsd), Told($"the log gives {rebuilt.Steps} steps, {rebuilt.Usage}; the engine had {run.Steps}, {run.Usage}", one));
        int cut = log.Count * (int)(Math.Abs((long)one.Fate.Cut) % 100) / 100;
        FlowState kept = FlowState.From(FlowContent.Read(FlowState.Rebuild(log.Take(cut)).Content().Write()));
        foreach (RunEvent e in log.Skip(cut)) kept.Apply(e);
        SnapshotTests.Same(rebuilt, kept, Told($"kept after event {cut}", one));
        return $"{run.Status} {run.Reason} {run.Error?.Code} {(run.Output is null ? "" : System.Text.Encoding.UTF8.GetString(run.Output).Replace(run.Id, "{run}"))}\n{_tool.Of(run.Id)}";
    }

    private static async Task<List<RunEvent>> EventsAsync(IRunStore store, string run)
    {
        var events = new List<RunEvent>();
        while (await store.EventsAsync("ten_alpha", run, events.Count, 1000) is { Count: > 0 } more) events.AddRange(more);
        return events;
    }

    private static string Told(string what, Case one) => $"MAAP_SEED={Seed}, {one.Name}, {one.Fate}: {what}\n{one.Steps}";

    private sealed class Case
    {
        public required string Name { get; init; }
        public required string Steps { get; init; }
        public required Fate Fate { get; init; }
        public string Id { get; set; } = "";
        public string Key { get; set; } = "";
        public string? Expected { get; set; }
        public int Writes { get; set; }
        public List<RunEvent>? Before { get; set; }

        public static Case Of(int number)
        {
            (Node[] program, Fate fate) = RandomProgram.Gen.Generate(new PCG((uint)number, Seed), null, out _);
            return new Case { Name = $"p{number}", Steps = RandomProgram.Render(program), Fate = fate };
        }
    }

    /// <summary>Delivers events and decisions, each as often as a case wants, through any of the processes and in any order.</summary>
    private sealed class World(TestHost[] hosts, Case[] cases)
    {
        private readonly ConcurrentDictionary<string, byte> _done = new(StringComparer.Ordinal);

        public async Task ActAsync()
        {
            Dictionary<string, Case> byId = cases.Where(c => c.Id.Length > 0).ToDictionary(c => c.Id);
            OpenWait[] open = [.. (await ExampleWorld.OpenWaitsAsync(hosts[0])).Where(w => byId.ContainsKey(w.RunId) && _done.TryAdd(w.Id, 0))];
            OpenWait[] deliveries = [.. open.SelectMany(w => Enumerable.Repeat(w, byId[w.RunId].Fate.Copies))];
            Random.Shared.Shuffle(deliveries);
            await Parallel.ForEachAsync(deliveries, new ParallelOptions { MaxDegreeOfParallelism = 4 }, async (wait, _) =>
            {
                HttpClient client = hosts[Random.Shared.Next(hosts.Length)].Alpha;
                int status = wait.IsHuman ? (await client.PostJsonAsync($"/api/v1/approvals/{wait.Id}", new { decision = "approve" })).Status
                    : (await client.PostJsonAsync("/api/v1/events", new { name = "came", key = wait.RunId })).Status;
                Assert.True(status is 200 or 409, $"{status}");
            });
        }
    }
}
