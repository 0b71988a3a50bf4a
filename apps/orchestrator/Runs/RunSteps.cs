using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using MultiAgent.Contracts;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Identity;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>A step of a workflow's run.</summary>
internal sealed record RunStepView
{
    /// <summary>The place: ids of the steps around it, with branches, items and iterations between.</summary>
    public required string Path { get; init; }
    public string? Step { get; set; }
    public string? Kind { get; set; }
    /// <summary><c>started</c>, <c>waiting</c>, <c>completed</c>, <c>skipped</c> or <c>failed</c>.</summary>
    public required string Status { get; set; }
    public int Attempt { get; set; } = 1;
    public DateTimeOffset? StartedAt { get; set; }
    public DateTimeOffset? EndedAt { get; set; }
    public JsonElement? Output { get; set; }
    public RunErrorView? Error { get; set; }
    /// <summary>The run of the agent that answers for the step.</summary>
    public string? ChildRunId { get; set; }
    /// <summary>What the step waits for.</summary>
    public string? WaitId { get; set; }
    /// <summary>The path of the webhook that the step waits for: whoever has it can call it.</summary>
    public string? Hook { get; set; }
}

/// <summary>The steps of a run as its log tells them.</summary>
internal sealed record RunStepsView(string RunId, string Status, IReadOnlyList<RunStepView> Steps);

/// <summary>GET /api/v1/runs/{id}/steps.</summary>
internal static class RunSteps
{
    private const int Page = 1000;

    public static async Task<Results<Ok<RunStepsView>, ProblemHttpResult>> GetAsync(HttpContext http, IRunStore store, string id, long? untilSeq)
    {
        string tenantId = http.GetCaller().TenantId;
        if (!Ids.IsValid(id, "run") || await store.FindAsync(tenantId, id) is not { } run) return Problems.NotFound("The run");
        var steps = new Dictionary<string, RunStepView>(StringComparer.Ordinal);
        long last = 0;
        while (await store.EventsAsync(tenantId, id, last, Page) is { Count: > 0 } events)
        {
            last = events[^1].Seq;
            foreach (RunEvent e in events)
                if (!(e.Seq > untilSeq)) Apply(steps, e);
        }
        return TypedResults.Ok(new RunStepsView(id, RunStatusNames.Of(run.Status), [.. steps.Values]));
    }

    private static void Apply(Dictionary<string, RunStepView> steps, RunEvent e)
    {
        using var document = JsonDocument.Parse(e.Data, new JsonDocumentOptions { MaxDepth = 1002 });
        JsonElement root = document.RootElement;
        if (Text(root, "path") is not { } path) return;
        if (e.Type is RunEventTypes.ChildStarted)
        {
            // The answer's place lies below that of the step.
            if (path.LastIndexOf('/') is > 0 and var cut && steps.TryGetValue(path[..cut], out RunStepView? asking)) asking.ChildRunId = Text(root, "runId");
            return;
        }
        if (!steps.TryGetValue(path, out RunStepView? step))
        {
            if (e.Type is not (RunEventTypes.StepStarted or RunEventTypes.StepSkipped)) return;
            steps[path] = step = new RunStepView { Path = path, Step = Text(root, "step"), Status = "started" };
        }
        switch (e.Type)
        {
            case RunEventTypes.StepStarted:
                (step.Kind, step.StartedAt) = (Text(root, "kind"), e.At);
                break;
            case RunEventTypes.StepSkipped:
                (step.Status, step.EndedAt) = ("skipped", e.At);
                break;
            case RunEventTypes.StepRetrying:
                (step.Attempt, step.Status, step.Error) = (root.GetProperty("attempt").GetInt32(), "waiting", new RunErrorView(Text(root, "code")!, Text(root, "message") ?? ""));
                break;
            case RunEventTypes.StepCompleted:
                (step.Status, step.EndedAt, step.Error) = ("completed", e.At, null);
                step.Output = root.TryGetProperty("output", out JsonElement output) ? output.Clone() : null;
                break;
            case RunEventTypes.StepFailed:
                (step.Status, step.EndedAt, step.Error) = ("failed", e.At, new RunErrorView(Text(root, "code")!, Text(root, "message") ?? ""));
                break;
            case RunEventTypes.TimerSet:
                step.Status = "waiting";
                break;
            case RunEventTypes.WaitRequested:
                (step.Status, step.WaitId, step.Hook) = ("waiting", Text(root, "waitId"), Text(root, "hook"));
                break;
            case RunEventTypes.WaitResolved or RunEventTypes.WaitExpired:
                (step.Status, step.Hook) = ("started", null);
                break;
        }
    }

    private static string? Text(JsonElement root, string name) => root.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
