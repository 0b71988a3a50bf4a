using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Data.Sqlite;
using MultiAgent.Orchestrator.Tests.Support;
using MultiAgent.Orchestrator.Tools;
using MultiAgent.Orchestrator.Workflows;
using TestStorage = MultiAgent.Testing.TestStorage;

namespace MultiAgent.Orchestrator.Tests.Workflows;

/// <summary>
/// A workflow is run once to its end. Then, for every event of its log, a process is started on what a crash right after that event leaves behind: it must
/// come to the same end, with each effect once.
/// </summary>
public sealed class WorkflowCrashTests
{
    private const string Order = """
          - {id: reserve, type: tool, tool: record, arguments: {what: "reserve {{ inputs.order }}"}, compensate: {id: release, type: tool, tool: record, arguments: {what: release}}}
          - id: lines
            type: map
            over: "{{ inputs.lines }}"
            concurrency: 1
            steps:
              - {id: line, type: tool, tool: record, arguments: {what: "line {{ item }}"}, compensate: {id: unline, type: tool, tool: record, arguments: {what: "unline {{ item }}"}}}
          - {id: pause, type: wait, seconds: 0.05}
          - id: ask
            type: human
            title: "Pay?"
          - id: both
            type: parallel
            branches:
              - {id: told, steps: [{id: tell, type: agent, agent: helper, message: "tell"}]}
              - {id: paid, steps: [{id: pay, type: tool, tool: record, arguments: {what: pay}}]}
        """;

    private const string Ends = """
          - {id: out, type: transform, output: ["{{ steps.ask.output.decision }}", "{{ steps.both.output.told }}", "{{ steps.lines.output }}"]}
        """;

    private const string Fails = """
          - {id: broken, type: tool, tool: calculator, arguments: {expression: "1 / 0"}, retry: {attempts: 2, delaySeconds: 0.05}}
        """;

    [Theory]
    [InlineData(Ends, "completed")]
    [InlineData(Fails, "failed")]
    public async Task Crash_AfterAnyEvent_EndsAsWithoutIt(string last, string status)
    {
        Assert.SkipWhen(TestStorage.IsPostgres, "A server's database cannot be cut at an event; WorkflowReplicaTests cut a process off instead.");
        TestWorkflows workflows = new TestWorkflows().Add("w", Order + "\n" + last);
        string folder = Directory.CreateTempSubdirectory("maap-flow-").FullName;
        try
        {
            var effects = new RecordTool();
            (string id, JsonElement expected, string[] events) = await RunAsync(folder, workflows, effects);
            Assert.Equal(status, expected.Text("status"));
            Assert.All(effects.Calls.GroupBy(c => c.Key), c => Assert.Single(c));

            for (int k = 2; k < events.Length; k++)
            {
                await CrashedAsync(k, k, "");
                // What it tells of may not have been accepted any more.
                if (events[k - 1].StartsWith("child.started ", StringComparison.Ordinal)) await CrashedAsync(k, k - 1, ", whose run is lost");
            }

            async Task CrashedAsync(int k, int children, string what)
            {
                var again = new RecordTool();
                JsonElement run = await CrashAsync(folder, workflows, again, id, k, children);

                string at = $"after {k}, {events[k - 1]}{what}";
                Assert.True(expected.Text("status") == run.Text("status"), $"{at}: {run}");
                Assert.True(expected.TryGetProperty("output", out JsonElement output) ? output.GetRawText() == run.GetProperty("output").GetRawText() : !run.TryGetProperty("output", out _), $"{at}: {run}");
                Assert.True(expected.GetProperty("usage").GetRawText() == run.GetProperty("usage").GetRawText(), $"{at}: {run}");
                // A call may be made again, under the key that it had; none is missing, and none is new.
                string[] before = Done(events, effects, k), all = [.. before.Concat(again.Calls.Select(c => $"{c.Key} {c.What}")).Distinct().Order(StringComparer.Ordinal)];
                Assert.True(effects.Calls.Select(c => $"{c.Key} {c.What}").Order(StringComparer.Ordinal).SequenceEqual(all), $"{at}: {string.Join(", ", all)}");
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task<(string Id, JsonElement Run, string[] Events)> RunAsync(string folder, TestWorkflows workflows, RecordTool effects)
    {
        await using TestHost host = await StartAsync(folder, workflows, effects);
        await host.Alpha.CreateAgentAsync();
        string id = (await host.Alpha.PostJsonAsync("/api/v1/runs", new { workflow = "w", inputs = new { order = "o-1", lines = new[] { 1, 2 } } })).Body.Text("id");
        JsonElement approval = default;
        await Waiting.UntilAsync(async () => (approval = (await host.Alpha.GetJsonAsync("/api/v1/approvals")).Body.GetProperty("data")).GetArrayLength() == 1, "the question");
        await host.Alpha.PostJsonAsync($"/api/v1/approvals/{approval[0].Text("id")}", new { decision = "approve" });
        JsonElement run = await host.Alpha.WaitForRunAsync(id);
        JsonElement[] events = [.. (await host.Alpha.GetJsonAsync($"/api/v1/runs/{id}/events?limit=200", ("Accept", "application/json"))).Body.GetProperty("data").EnumerateArray()];
        await host.StopAsync();
        return (id, run, [.. events.Select(e => $"{e.Text("type")} {(e.GetProperty("data").TryGetProperty("idempotencyKey", out JsonElement key) ? key.GetString() : e.GetProperty("data").TryGetProperty("path", out JsonElement path) ? path.GetString() : "")}")]);
    }

    /// <summary>Calls that were made before the crash: those whose result is in the log.</summary>
    private static string[] Done(string[] events, RecordTool effects, int k)
    {
        // The result's event names the place, the call's the key, which holds the place.
        string[] places = [.. events.Take(k).Where(e => e.StartsWith("tool_call.completed ", StringComparison.Ordinal)).Select(e => e["tool_call.completed ".Length..])];
        return [.. effects.Calls.Where(c => places.Any(p => c.Key.EndsWith(p, StringComparison.Ordinal))).Select(c => $"{c.Key} {c.What}")];
    }

    private static async Task<JsonElement> CrashAsync(string folder, TestWorkflows workflows, RecordTool effects, string id, int k, int children)
    {
        string crashed = Directory.CreateTempSubdirectory("maap-flow-").FullName;
        try
        {
            foreach (string file in Directory.EnumerateFiles(folder)) File.Copy(file, Path.Combine(crashed, Path.GetFileName(file)));
            using (var database = new SqliteDatabase("orchestrator", new() { Directory = crashed }))
            using (SqliteSession session = database.OpenSession())
            {
                // The runs of agents that had not begun, and of the others that had not ended in the middle of their call.
                session.Execute($"DELETE FROM runs WHERE parent_run_id = '{id}' AND id NOT IN (SELECT json_extract(data, '$.runId') FROM run_events WHERE run_id = '{id}' AND type = 'child.started' AND seq <= {children})");
                session.Execute($"""
                    UPDATE runs SET status = 'running', ended_at = NULL, lease_owner = 'dead' WHERE parent_run_id = '{id}'
                        AND id NOT IN (SELECT json_extract(data, '$.runId') FROM run_events WHERE run_id = '{id}' AND type = 'child.completed' AND seq <= {k})
                    """);
                session.Execute("DELETE FROM run_events WHERE seq > 4 AND run_id IN (SELECT id FROM runs WHERE status = 'running' AND kind = 'agent')");
                session.Execute($"DELETE FROM run_events WHERE run_id NOT IN (SELECT id FROM runs)");
                session.Execute($"DELETE FROM run_waits WHERE id NOT IN (SELECT json_extract(data, '$.waitId') FROM run_events WHERE run_id = '{id}' AND type = 'wait.requested' AND seq <= {k})");
                session.Execute($"UPDATE run_waits SET state = 'resolved' WHERE id NOT IN (SELECT json_extract(data, '$.waitId') FROM run_events WHERE run_id = '{id}' AND type = 'wait.resolved' AND seq <= {k})");
                session.Execute($"DELETE FROM run_events WHERE run_id = '{id}' AND seq > {k}");
                session.Execute($"UPDATE runs SET status = 'running', reason = NULL, error_code = NULL, error_message = NULL, error_status = NULL, output = NULL, ended_at = NULL, lease_owner = 'dead' WHERE id = '{id}'");
            }
            await using TestHost host = await StartAsync(crashed, workflows, effects);
            // Where the question was not asked yet.
            JsonElement run = default;
            await Waiting.UntilAsync(async () =>
            {
                run = (await host.Alpha.GetJsonAsync($"/api/v1/runs/{id}")).Body;
                if (run.Text("status") is not ("running" or "waiting")) return true;
                foreach (JsonElement open in (await host.Alpha.GetJsonAsync("/api/v1/approvals")).Body.GetProperty("data").EnumerateArray())
                    await host.Alpha.PostJsonAsync($"/api/v1/approvals/{open.Text("id")}", new { decision = "approve" });
                return false;
            }, $"the run's end after event {k}");
            return run;
        }
        finally
        {
            Directory.Delete(crashed, recursive: true);
        }
    }

    private static Task<TestHost> StartAsync(string folder, TestWorkflows workflows, RecordTool effects) => TestHost.StartAsync(folder, configure: services =>
    {
        services.AddSingleton<IWorkflowSource>(workflows);
        services.AddSingleton<ITool>(effects);
    });

    /// <summary>A tool that keeps what it was asked for, as a service with idempotency keys would.</summary>
    private sealed class RecordTool : ITool
    {
        public ConcurrentQueue<(string Key, string What)> Calls { get; } = new();

        public string Name => "record";
        public string Description => "Records.";
        public string ParametersSchema => """{"type":"object","properties":{"what":{"type":"string"}},"required":["what"]}""";
        public byte[] Definition { get; } = ToolRegistry.Define("record", "Records.", """{"type":"object"}""");

        public ToolEffect EffectOf(JsonElement arguments) => ToolEffect.Idempotent;

        public Task<ToolResult> ExecuteAsync(ToolContext context, JsonElement arguments, CancellationToken cancellationToken)
        {
            string what = arguments.GetProperty("what").GetString()!;
            Calls.Enqueue((context.IdempotencyKey, what));
            return Task.FromResult<ToolResult>(what);
        }
    }
}
