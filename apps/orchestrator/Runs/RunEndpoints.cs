using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting.Api;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Identity;
using MultiAgent.Orchestrator.Blackboards;
using MultiAgent.Orchestrator.Conversations;
using MultiAgent.Orchestrator.Runs.Graphs;
using MultiAgent.Orchestrator.Runs.Waits;
using MultiAgent.Orchestrator.Workflows.Forks;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>A run as the API shows it.</summary>
internal sealed record RunView
{
    public required string Id { get; init; }
    public string? ConversationId { get; init; }
    /// <summary><c>agent</c> or <c>workflow</c>.</summary>
    public required string Kind { get; init; }
    public string? Agent { get; init; }
    public int? AgentVersion { get; init; }
    public string? Workflow { get; init; }
    public int? WorkflowVersion { get; init; }
    /// <summary>The run that this one is a step of.</summary>
    public string? ParentRunId { get; init; }
    public required string Surface { get; init; }
    public required string Status { get; init; }
    public string? Reason { get; init; }
    public RunErrorView? Error { get; init; }
    /// <summary>The result of a workflow.</summary>
    public JsonElement? Output { get; init; }
    /// <summary>The secret that the run's webhook is signed with, where none was given: shown when the run is started, and not again.</summary>
    public string? WebhookSecret { get; init; }
    /// <summary>What it waits for now, at most 100; of a single run alone.</summary>
    public IReadOnlyList<RunWaitView>? Waits { get; init; }
    public required int Steps { get; init; }
    public required UsageView Usage { get; init; }
    public required string RequestId { get; init; }
    public string? UserId { get; init; }
    public IReadOnlyDictionary<string, string>? Metadata { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset? StartedAt { get; init; }
    public DateTimeOffset? EndedAt { get; init; }

    public static RunView Of(RunRecord run) => new()
    {
        Id = run.Id,
        ConversationId = run.ConversationId,
        Kind = RunKindNames.Of(run.Kind),
        Agent = run.Kind == RunKind.Agent ? run.Agent : null,
        AgentVersion = run.Kind == RunKind.Agent ? run.AgentVersion : null,
        Workflow = run.Kind == RunKind.Workflow ? run.Agent : null,
        WorkflowVersion = run.Kind == RunKind.Workflow ? run.AgentVersion : null,
        ParentRunId = run.ParentRunId,
        Surface = run.Surface,
        Status = RunStatusNames.Of(run.Status),
        Reason = run.Reason,
        Error = run.Error is { } error ? new RunErrorView(error.Code, error.Message) : null,
        Output = run.Output is { } output ? JsonSerializer.Deserialize<JsonElement>(output) : null,
        Steps = run.Steps,
        Usage = UsageView.Of(run),
        RequestId = run.RequestId,
        UserId = run.UserId,
        Metadata = run.Metadata is null ? null : JsonSerializer.Deserialize(run.Metadata, ConversationJson.Default.IReadOnlyDictionaryStringString),
        CreatedAt = run.CreatedAt,
        StartedAt = run.StartedAt,
        EndedAt = run.EndedAt,
    };
}

internal sealed record RunErrorView(string Code, string Message);

/// <summary>An entry of a run's log.</summary>
internal sealed record RunEventView(long Seq, string Type, DateTimeOffset At, JsonElement Data);

/// <summary>/api/v1/runs.</summary>
internal static class RunEndpoints
{
    private const int MaxWaits = 100;

    public static void MapRuns(this IEndpointRouteBuilder routes)
    {
        RouteGroupBuilder group = routes.MapGroup("/api/v1/runs").WithTags("Runs").RequireScope(Scopes.RunsRead);
        group.MapGet("", ListAsync).WithSummary("List runs, newest first; filter by status, agent or workflow, and conversation. Runs that are steps of another are listed by its id: parent");
        group.MapPost("", StartRunEndpoint.StartAsync).RequireScope(Scopes.RunsWrite).DisableRequestTimeout().WithSummary("Start a run of an agent or a workflow in the background; with wait=seconds the answer waits for its end so long");
        group.MapPost("/{id}/retry", ForkEndpoints.RetryAsync).RequireScope(Scopes.RunsWrite).WithSummary("Run a failed or cancelled workflow again from where it failed, as a new run");
        group.MapPost("/{id}/fork", ForkEndpoints.ForkAsync).RequireScope(Scopes.RunsWrite).WithSummary("Run a workflow again from an event of an earlier run on, with outputs or inputs changed, as a new run");
        group.MapGet("/{id}/steps", RunSteps.GetAsync).WithSummary("The steps of a workflow's run, with their state, outputs and errors");
        group.MapGet("/{id}/blackboard", BlackboardEndpoints.GetAsync).WithSummary("The blackboard that a run shares with the runs around it, as it stands or as it was after a write: version");
        group.MapGet("/{id}/blackboard/history", BlackboardEndpoints.HistoryAsync).WithSummary("The writes to a run's blackboard, oldest first; filter by the name of an entry");
        group.MapGet("/{id}/graph", RunGraphEndpoint.GetAsync).WithSummary("The graph of what a run runs, with the state of each node, as JSON or with ?format=mermaid as a Mermaid flow chart; If-None-Match for who asks again and again");
        group.MapGet("/{id}", GetAsync).WithSummary("Get a run");
        group.MapGet("/{id}/events", EventsAsync).DisableRequestTimeout().WithSummary("Follow a run's log as server-sent events from Last-Event-ID on, or page through it with Accept: application/json");
        group.MapPost("/{id}/pause", PauseAsync).RequireScope(Scopes.RunsWrite).WithSummary("Have a run rest at its next step, until it is resumed");
        group.MapPost("/{id}/resume", ResumeAsync).RequireScope(Scopes.RunsWrite).WithSummary("Let a paused run go on");
        group.MapPost("/{id}/cancel", CancelAsync).RequireScope(Scopes.RunsWrite).WithSummary("Cancel a run; closes the call to the model");
    }

    private static async Task<Results<Ok<Page<RunView>>, ProblemHttpResult>> ListAsync(HttpContext http, IRunStore store, string? status, string? agent, string? workflow, string? conversation, string? parent, int? limit, string? cursor)
    {
        PageRequest page = PageRequest.Of(limit, cursor);
        RunStatus? wanted = null;
        if (status is not null)
        {
            if (!RunStatusNames.TryParse(status, out RunStatus parsed)) return Problems.Invalid("status", "must be queued, running, waiting, paused, completed, failed or cancelled.");
            wanted = parsed;
        }
        IReadOnlyList<RunRecord> runs = await store.ListAsync(http.GetCaller().TenantId, new RunFilter(wanted, workflow ?? agent, conversation, parent, workflow is not null ? RunKind.Workflow : agent is not null ? RunKind.Agent : null), page.After, page.Limit + 1);
        return TypedResults.Ok(Page<RunView>.From([.. runs.Select(RunView.Of)], page.Limit, r => r.Id));
    }

    private static async Task<Results<Ok<RunView>, ProblemHttpResult>> GetAsync(HttpContext http, IRunStore store, IRunWaits waits, string id)
    {
        if (await FindAsync(http, store, id) is not { } run) return Problems.NotFound("The run");
        IReadOnlyList<RunWait> open = run.IsFinal ? [] : await waits.OpenAsync(run.TenantId, run.Id, MaxWaits);
        return TypedResults.Ok(RunView.Of(run) with { Waits = open.Count == 0 ? null : [.. open.Select(RunWaitView.Of)] });
    }

    private static async Task<Results<Ok<Page<RunEventView>>, RunStreamResult, ProblemHttpResult>> EventsAsync(HttpContext http, IRunStore store, RunEngine engine, string id, int? limit, string? cursor)
    {
        // Live first: a run that ends between the two look-ups is then found in the store with its end.
        LiveRun? live = engine.Find(http.GetCaller().TenantId, id);
        if (await FindAsync(http, store, id) is not { } run) return Problems.NotFound("The run");
        if (http.Request.Headers.Accept.ToString().Contains("application/json", StringComparison.OrdinalIgnoreCase))
        {
            PageRequest page = PageRequest.Of(limit, cursor);
            long after = page.After is null ? 0 : long.TryParse(page.After, NumberStyles.None, CultureInfo.InvariantCulture, out long position) ? position : long.MaxValue;
            IReadOnlyList<RunEvent> events = await store.EventsAsync(run.TenantId, run.Id, after, page.Limit + 1);
            return TypedResults.Ok(Page<RunEventView>.From([.. events.Select(View)], page.Limit, e => e.Seq.ToString(CultureInfo.InvariantCulture)));
        }
        string? last = http.Request.Headers["Last-Event-ID"];
        long seen = 0;
        if (!string.IsNullOrEmpty(last) && !long.TryParse(last, NumberStyles.None, CultureInfo.InvariantCulture, out seen))
            return Problems.Invalid("Last-Event-ID", "must be the id of an event of this run.");
        return new RunStreamResult(run, live, LiveCursor.After(seen), new RunEventWriter(forChat: false));
    }

    private static async Task<Results<Accepted<RunView>, ProblemHttpResult>> CancelAsync(HttpContext http, IRunStore store, RunEngine engine, string id)
    {
        string tenantId = http.GetCaller().TenantId;
        if (!Ids.IsValid(id, "run")) return Problems.NotFound("The run");
        return await engine.CancelAsync(tenantId, id, StopCause.Requested) switch
        {
            CancelOutcome.NotFound => Problems.NotFound("The run"),
            CancelOutcome.NotActive => Problems.Conflict("The run has ended already.", ErrorCodes.RunNotActive),
            _ => TypedResults.Accepted($"/api/v1/runs/{id}", RunView.Of((await store.FindAsync(tenantId, id))!)),
        };
    }

    private static async Task<Results<Accepted<RunView>, ProblemHttpResult>> PauseAsync(HttpContext http, IRunStore store, RunEngine engine, string id) =>
        await AnswerAsync(store, http.GetCaller().TenantId, id, Ids.IsValid(id, "run") ? await engine.PauseAsync(http.GetCaller().TenantId, id) : PauseOutcome.NotFound, "The run has ended already.", ErrorCodes.RunNotActive);

    private static async Task<Results<Accepted<RunView>, ProblemHttpResult>> ResumeAsync(HttpContext http, IRunStore store, RunEngine engine, string id) =>
        await AnswerAsync(store, http.GetCaller().TenantId, id, Ids.IsValid(id, "run") ? await engine.ResumeAsync(http.GetCaller().TenantId, id) : PauseOutcome.NotFound, "The run is not paused.", ErrorCodes.RunNotPaused);

    private static async ValueTask<Results<Accepted<RunView>, ProblemHttpResult>> AnswerAsync(IRunStore store, string tenantId, string id, PauseOutcome outcome, string refused, string code) => outcome switch
    {
        PauseOutcome.NotFound => Problems.NotFound("The run"),
        PauseOutcome.Refused => Problems.Conflict(refused, code),
        _ => TypedResults.Accepted($"/api/v1/runs/{id}", RunView.Of((await store.FindAsync(tenantId, id))!)),
    };

    private static ValueTask<RunRecord?> FindAsync(HttpContext http, IRunStore store, string id) =>
        Ids.IsValid(id, "run") ? store.FindAsync(http.GetCaller().TenantId, id) : default;

    private static RunEventView View(RunEvent e)
    {
        using var document = JsonDocument.Parse(e.Data, new JsonDocumentOptions { MaxDepth = 1002 });
        return new RunEventView(e.Seq, e.Type, e.At, document.RootElement.Clone());
    }
}
