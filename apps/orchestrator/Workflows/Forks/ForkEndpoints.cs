using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using MultiAgent.Contracts;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Idempotency;
using MultiAgent.Hosting.Identity;
using MultiAgent.Orchestrator.Blackboards;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Workflows;

namespace MultiAgent.Orchestrator.Workflows.Forks;

/// <summary>Body of POST /api/v1/runs/{id}/fork.</summary>
internal sealed record ForkRequest
{
    /// <summary>The last event of the run that counts; by default all that there are.</summary>
    public long? AfterSeq { get; init; }
    /// <summary>Outputs to put in place of those of finished steps, by path.</summary>
    public IReadOnlyDictionary<string, JsonElement>? Outputs { get; init; }
    /// <summary>Other inputs.</summary>
    public JsonElement? Inputs { get; init; }
    /// <summary>Other values of entries of the blackboard.</summary>
    public IReadOnlyDictionary<string, JsonElement>? Blackboard { get; init; }
}

/// <summary>Runs that go on from an earlier one.</summary>
internal static class ForkEndpoints
{
    private const int Page = 1000;

    public static async Task<Results<Accepted<RunView>, ProblemHttpResult>> RetryAsync(HttpContext http, IRunStore store, RunEngine engine, IWorkflowSource workflows, BlackboardFork boards, TimeProvider time, string id, CancellationToken cancellationToken)
    {
        if (!Ids.IsValid(id, "run") || await store.FindAsync(http.GetCaller().TenantId, id) is not { } run) return Problems.NotFound("The run");
        if (run.Kind != RunKind.Workflow || run.Status is not (RunStatus.Failed or RunStatus.Cancelled)) return Problems.Conflict("Only a workflow's run that failed or was cancelled can be tried again.");
        if (run.Surface == RunInput.CompensationSurface) return Undoes();
        return await StartAsync(http, store, engine, workflows, boards, time, run, new ForkRequest(), cancellationToken);
    }

    public static async Task<Results<Accepted<RunView>, ProblemHttpResult>> ForkAsync(HttpContext http, IRunStore store, RunEngine engine, IWorkflowSource workflows, BlackboardFork boards, TimeProvider time, string id, ForkRequest body, CancellationToken cancellationToken)
    {
        if (!Ids.IsValid(id, "run") || await store.FindAsync(http.GetCaller().TenantId, id) is not { } run) return Problems.NotFound("The run");
        if (run.Kind != RunKind.Workflow) return Problems.Conflict("Only a workflow's run can be forked.");
        if (run.Surface == RunInput.CompensationSurface) return Undoes();
        if (body.AfterSeq < 1) return Problems.Invalid("afterSeq", "must be the number of an event.");
        if (body.Inputs is { ValueKind: not JsonValueKind.Object }) return Problems.Invalid("inputs", "must be an object.");
        return await StartAsync(http, store, engine, workflows, boards, time, run, body, cancellationToken);
    }

    private static ProblemHttpResult Undoes() => Problems.Conflict("This run undoes a step of another one. Retry the compensation through its dead letter.");

    private static async Task<Results<Accepted<RunView>, ProblemHttpResult>> StartAsync(HttpContext http, IRunStore store, RunEngine engine, IWorkflowSource workflows, BlackboardFork boards, TimeProvider time, RunRecord run, ForkRequest fork, CancellationToken cancellationToken)
    {
        if (await workflows.FindVersionAsync(run.TenantId, run.AgentId, run.AgentVersion, cancellationToken) is not { } workflow) return Problems.NotFound("The version of the workflow");
        var events = new List<RunEvent>();
        while (await store.EventsAsync(run.TenantId, run.Id, events.Count, Page) is { Count: > 0 } more) events.AddRange(more);
        long after = fork.AfterSeq ?? events[^1].Seq;
        IReadOnlyList<RunEvent> done = WorkflowFork.Take(workflow.Definition, events, after, fork.Outputs ?? new Dictionary<string, JsonElement>());
        var finished = done.Where(e => e.Type == RunEventTypes.StepCompleted).Select(e => WorkflowFork.PathOf(e)!).ToHashSet(StringComparer.Ordinal);
        if (WorkflowFork.Undone(events).FirstOrDefault(finished.Contains) is { } undone)
            return Problems.Conflict($"The step '{undone}' was undone when the run ended. Fork from an event before it, or start anew.");
        if (fork.Outputs?.Keys.FirstOrDefault(path => !finished.Contains(path)) is { } unknown) return Problems.Invalid("outputs", $"'{unknown}' is no step that was finished by then.");
        JsonElement? inputs = fork.Inputs ?? RunInput.FromEvent(events[0].Data).Inputs;
        if (workflow.Definition.Inputs is { } shape && inputs is { } given && shape.Check(given) is { Count: > 0 } wrong) return Problems.Invalid(new Dictionary<string, string[]> { ["inputs"] = [.. wrong] });
        List<BlackboardWrite> board = await boards.TakeAsync(run, workflow.Definition.Blackboard, done);
        done = BlackboardFork.See(done, board);
        string runId = Ids.New("run", time);
        board = [.. board.Select(w => w.RunId == run.Id ? w with { RunId = runId } : w)];
        foreach ((string name, JsonElement value) in fork.Blackboard ?? new Dictionary<string, JsonElement>())
        {
            if (!workflow.Definition.Blackboard.TryGetValue(name, out BlackboardEntry? entry)) return Problems.Invalid("blackboard", $"has no entry '{name}'.");
            if (entry.Shape.Check(value) is { Count: > 0 } misfit) return Problems.Invalid(new Dictionary<string, string[]> { [$"blackboard.{name}"] = [.. misfit] });
            byte[] edited = JsonSerializer.SerializeToUtf8Bytes(value);
            if (edited.Length > RunBlackboards.MaxEntry) return Problems.Invalid("blackboard", $"'{name}' may have {RunBlackboards.MaxEntry} bytes.");
            long version = board.Count == 0 ? 1 : board[^1].Version + 1;
            board.Add(new BlackboardWrite { TenantId = run.TenantId, BoardRunId = runId, Name = name, Version = version, Key = $"fork:{runId}:{name}", RunId = runId, Path = "", Given = edited, Value = edited, At = time.GetUtcNow() });
        }
        string? key = http.Request.IdempotencyKey();
        StartedRun started = await engine.StartAsync(new RunRequest
        {
            Caller = http.GetCaller(),
            Workflow = workflow,
            Surface = RunInput.RunSurface,
            Input = new RunInput { Inputs = inputs, Stream = false, ForkedFrom = (run.Id, after) },
            Done = done,
            Board = board,
            RunId = runId,
            RequestId = http.GetRequestId(),
            IdempotencyKey = key,
            RequestHash = key is null ? null : Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{run.Id} {JsonSerializer.Serialize(fork)}"))),
            Metadata = run.Metadata,
        });
        return TypedResults.Accepted($"/api/v1/runs/{started.Run.Id}", RunView.Of(started.Run));
    }
}
