using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Identity;
using MultiAgent.Data;
using MultiAgent.Hosting.Api;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Idempotency;
using MultiAgent.Hosting.Identity;

namespace MultiAgent.Orchestrator.Workflows.Compensations;

/// <summary>A compensation that failed for good, as the API shows it.</summary>
internal sealed record DeadLetterView
{
    public required string Id { get; init; }
    public required string RunId { get; init; }
    public required string Workflow { get; init; }
    public required int WorkflowVersion { get; init; }
    /// <summary>The step that was done and is not undone.</summary>
    public required string Path { get; init; }
    public required CompensationView Compensation { get; init; }
    /// <summary>Why it failed, the last time.</summary>
    public required Runs.RunErrorView Error { get; init; }
    public required int Attempts { get; init; }
    /// <summary><c>open</c>, <c>retrying</c>, <c>resolved</c> or <c>discarded</c>.</summary>
    public required string Status { get; init; }
    public int Retries { get; init; }
    public string? RetryRunId { get; init; }
    public string? By { get; init; }
    public string? Note { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public required DateTimeOffset UpdatedAt { get; init; }
}

/// <summary>What was to be done.</summary>
/// <param name="Path">Its place.</param>
/// <param name="Kind">Type of the step.</param>
/// <param name="Subject"><c>tool</c> and <c>arguments</c>, <c>agent</c> and <c>message</c>, and the <c>output</c> of the step that was done; not in lists.</param>
internal sealed record CompensationView(string Path, string Kind, JsonElement? Subject);

/// <summary>Body of POST …/resolve and …/discard.</summary>
internal sealed record DeadLetterNote
{
    /// <summary>Why; 1 to 2 000 characters.</summary>
    public string? Note { get; init; }
}

/// <summary>/api/v1/compensations/dead-letters.</summary>
internal static class DeadLetterEndpoints
{
    private const int MaxNote = 2000;

    public static void AddDeadLetters(this IServiceCollection services)
    {
        services.AddStore<IDeadLetterStore, SqliteDeadLetterStore, PostgresDeadLetterStore>();
        services.AddSingleton<DeadLetterCommands>();
        services.AddHostedService<DeadLetterWatch>();
    }

    public static void MapDeadLetters(this IEndpointRouteBuilder routes)
    {
        RouteGroupBuilder group = routes.MapGroup("/api/v1/compensations/dead-letters").WithTags("Compensations").RequireScope(Scopes.RunsRead);
        group.MapGet("", ListAsync).WithSummary("Compensations that failed for good, newest first; status=open by default, or retrying, resolved, discarded, all; filter by workflow and run");
        group.MapGet("/{id}", GetAsync).WithSummary("Get one, with what was to be undone");
        group.MapPost("/{id}/retry", RetryAsync).RequireScope(Scopes.RunsWrite).Idempotent().WithSummary("Try it again in a run of its own, with the same idempotency key");
        group.MapPost("/{id}/resolve", (HttpContext http, DeadLetterCommands commands, string id, DeadLetterNote body) => CloseAsync(http, commands, id, DeadLetterStatus.Resolved, body))
            .RequireScope(Scopes.RunsWrite).Idempotent().WithSummary("Say that it was undone by other means");
        group.MapPost("/{id}/discard", (HttpContext http, DeadLetterCommands commands, string id, DeadLetterNote body) => CloseAsync(http, commands, id, DeadLetterStatus.Discarded, body))
            .RequireScope(Scopes.RunsWrite).Idempotent().WithSummary("Say that it need not be undone");
    }

    private static async Task<Results<Ok<Page<DeadLetterView>>, ProblemHttpResult>> ListAsync(HttpContext http, IDeadLetterStore letters, string? status, string? workflow, string? run, int? limit, string? cursor)
    {
        PageRequest page = PageRequest.Of(limit, cursor);
        DeadLetterStatus? wanted = status is null ? DeadLetterStatus.Open : DeadLetterNames.TryParse(status);
        if (wanted is null && status != "all") return Problems.Invalid("status", "must be open, retrying, resolved, discarded or all.");
        IReadOnlyList<DeadLetter> found = await letters.ListAsync(http.GetCaller().TenantId, new DeadLetterFilter(wanted, workflow, run), page.After, page.Limit + 1);
        return TypedResults.Ok(Page<DeadLetterView>.From([.. found.Select(l => View(l, whole: false))], page.Limit, l => l.Id));
    }

    private static async Task<Results<Ok<DeadLetterView>, ProblemHttpResult>> GetAsync(HttpContext http, IDeadLetterStore letters, string id) =>
        Ids.IsValid(id, "cdl") && await letters.FindAsync(http.GetCaller().TenantId, id) is { } letter ? TypedResults.Ok(View(letter, whole: true)) : NotFound();

    private static async Task<Results<Accepted<DeadLetterView>, ProblemHttpResult>> RetryAsync(HttpContext http, DeadLetterCommands commands, string id, CancellationToken cancellationToken)
    {
        if (!Ids.IsValid(id, "cdl")) return NotFound();
        if (!IsAdmin(http)) return MissingRole();
        (DeadLetterOutcome outcome, DeadLetter? letter) = await commands.RetryAsync(http.GetCaller(), id, http.GetRequestId(), cancellationToken);
        return outcome switch
        {
            DeadLetterOutcome.Done => TypedResults.Accepted($"/api/v1/compensations/dead-letters/{id}", View(letter!, whole: true)),
            DeadLetterOutcome.LogDeleted => Problems.Of(410, ErrorCodes.RunLogDeleted, "The log of the run was deleted: it is older than events of runs are kept. Undo the step by other means and resolve the letter."),
            _ => Problem(outcome),
        };
    }

    private static async Task<Results<Ok<DeadLetterView>, ProblemHttpResult>> CloseAsync(HttpContext http, DeadLetterCommands commands, string id, DeadLetterStatus status, DeadLetterNote body)
    {
        if (!Ids.IsValid(id, "cdl")) return NotFound();
        if (!IsAdmin(http)) return MissingRole();
        if (string.IsNullOrWhiteSpace(body.Note) || body.Note.Length > MaxNote) return Problems.Invalid("note", $"is required and may have {MaxNote} characters.");
        (DeadLetterOutcome outcome, DeadLetter? letter) = await commands.CloseAsync(http.GetCaller(), id, status, body.Note);
        return outcome == DeadLetterOutcome.Done ? TypedResults.Ok(View(letter!, whole: true)) : Problem(outcome);
    }

    private static ProblemHttpResult Problem(DeadLetterOutcome outcome) =>
        outcome == DeadLetterOutcome.NotFound ? NotFound() : Problems.Conflict("It is being tried again, or was dealt with already.", ErrorCodes.DeadLetterNotOpen);

    private static ProblemHttpResult NotFound() => Problems.NotFound("The dead letter");

    private static ProblemHttpResult MissingRole() => Problems.Of(403, ErrorCodes.MissingRole, "This needs the role admin.");

    // As for approvals: whoever may do all that the role may do, holds it.
    private static bool IsAdmin(HttpContext http) => http.GetCaller().Has(ScopeNames.Of(Role.Admin) | Scopes.RunsWrite);

    private static DeadLetterView View(DeadLetter letter, bool whole) => new()
    {
        Id = letter.Id,
        RunId = letter.RunId,
        Workflow = letter.Workflow,
        WorkflowVersion = letter.WorkflowVersion,
        Path = letter.Path,
        Compensation = new CompensationView(letter.UndoPath, letter.Kind, whole ? JsonSerializer.Deserialize<JsonElement>(letter.Subject) : null),
        Error = new Runs.RunErrorView(letter.Code, letter.Message),
        Attempts = letter.Attempts,
        Status = DeadLetterNames.Of(letter.Status),
        Retries = letter.Retries,
        RetryRunId = letter.RetryRunId,
        By = letter.By,
        Note = letter.Note,
        CreatedAt = letter.CreatedAt,
        UpdatedAt = letter.UpdatedAt,
    };
}
