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
using MultiAgent.Hosting.Idempotency;
using MultiAgent.Hosting.Identity;
using MultiAgent.Orchestrator.Runs.Approvals;
using MultiAgent.Workflows;

namespace MultiAgent.Orchestrator.Runs.Waits;

/// <summary>A question to a person, as the API shows it.</summary>
internal sealed record ApprovalView
{
    public required string Id { get; init; }
    public required string RunId { get; init; }
    /// <summary>The step or call that asks.</summary>
    public required string Path { get; init; }
    /// <summary><c>open</c>, <c>resolved</c> (the run has not taken it yet), <c>consumed</c> or <c>cancelled</c>.</summary>
    public required string Status { get; init; }
    public required string Title { get; init; }
    public string? Message { get; init; }
    /// <summary>JSON schema of the answer, or of the arguments when a call is to be agreed to.</summary>
    public JsonElement? Form { get; init; }
    /// <summary>The call of a tool that is to be agreed to.</summary>
    public ApprovalSubject? Call { get; init; }
    /// <summary>The role that may answer now.</summary>
    public required string Role { get; init; }
    public required DateTimeOffset RequestedAt { get; init; }
    public DateTimeOffset? ExpiresAt { get; init; }
    public DateTimeOffset? EscalatesAt { get; init; }
    public string? Decision { get; init; }
    public string? DecidedBy { get; init; }
    public DateTimeOffset? DecidedAt { get; init; }
    public string? Comment { get; init; }
    public JsonElement? Answer { get; init; }
}

/// <summary>Body of POST /api/v1/approvals/{id}.</summary>
internal sealed record DecisionRequest
{
    /// <summary><c>approve</c>, <c>edit</c>, <c>reject</c> or <c>answer</c>.</summary>
    public string? Decision { get; init; }
    /// <summary>Follows the form, where there is one. Of a call: its new arguments with <c>edit</c>, what the model gets as its result with <c>answer</c>.</summary>
    public JsonElement? Answer { get; init; }
    /// <summary>The hash of the arguments that the decision is about; refused when the call has others.</summary>
    public string? ArgumentsHash { get; init; }
    /// <summary>At most 2 000 characters.</summary>
    public string? Comment { get; init; }
}

/// <summary>/api/v1/approvals.</summary>
internal static class ApprovalEndpoints
{
    private const int MaxComment = 2000;
    private const int MaxAnswer = 256 * 1024;

    public static void MapApprovals(this IEndpointRouteBuilder routes)
    {
        RouteGroupBuilder group = routes.MapGroup("/api/v1/approvals").WithTags("Approvals").RequireScope(Scopes.RunsRead);
        group.MapGet("", ListAsync).WithSummary("What waits for a person, newest first; status=open by default");
        group.MapGet("/{id}", GetAsync).WithSummary("Get one");
        group.MapPost("/{id}", DecideAsync).RequireScope(Scopes.RunsWrite).Idempotent().WithSummary("Approve, edit, reject or answer; the run goes on");
    }

    private static async Task<Results<Ok<Page<ApprovalView>>, ProblemHttpResult>> ListAsync(HttpContext http, IRunWaits waits, TimeProvider time, string? status, string? run, int? limit, string? cursor)
    {
        PageRequest page = PageRequest.Of(limit, cursor);
        WaitState? state = WaitState.Open;
        if (status == "all") state = null;
        else if (status is not null)
        {
            if (status is not ("open" or "resolved" or "consumed" or "cancelled")) return Problems.Invalid("status", "must be open, resolved, consumed, cancelled or all.");
            state = WaitNames.StateOf(status);
        }
        IReadOnlyList<RunWait> found = await waits.ListHumanAsync(http.GetCaller().TenantId, new WaitFilter(state, run), page.After, page.Limit + 1);
        DateTimeOffset now = time.GetUtcNow();
        return TypedResults.Ok(Page<ApprovalView>.From([.. found.Select(w => View(w, now))], page.Limit, a => a.Id));
    }

    private static async Task<Results<Ok<ApprovalView>, ProblemHttpResult>> GetAsync(HttpContext http, IRunWaits waits, TimeProvider time, string id) =>
        await FindAsync(http, waits, id) is { } wait ? TypedResults.Ok(View(wait, time.GetUtcNow())) : Problems.NotFound("The approval");

    private static async Task<Results<Ok<ApprovalView>, ProblemHttpResult>> DecideAsync(HttpContext http, IRunWaits waits, RunEngine engine, RunBell bell, TimeProvider time, string id, DecisionRequest body)
    {
        Caller caller = http.GetCaller();
        if (await FindAsync(http, waits, id) is not { } wait) return Problems.NotFound("The approval");
        DateTimeOffset now = time.GetUtcNow();
        if (!MayAnswer(caller, wait, now)) return Problems.Of(403, ErrorCodes.MissingRole, $"This needs the role {RoleNow(wait, now)}.");
        if (Check(body, wait) is { Count: > 0 } errors) return Problems.Invalid(errors);
        if (body.ArgumentsHash is { } seen && ApprovalSubject.Parse(wait.Subject) is { } subject && seen != subject.ArgumentsHash)
            return Problems.Conflict("The call has other arguments than those that the decision is about.", ErrorCodes.ApprovalArgumentsChanged);
        if (wait.State != WaitState.Open || wait.ExpiresAt <= now) return NotOpen();
        var resolution = new WaitResolution(body.Decision!, caller.UserId ?? caller.ApiKeyId, body.Comment, body.Answer?.GetRawText(), now);
        if (await waits.ResolveAsync(wait, resolution) == ResolveOutcome.NotOpen) return NotOpen();
        engine.Find(wait.TenantId, wait.RunId)?.Nudged?.Invoke();
        bell.Ring();
        return TypedResults.Ok(View(wait with { State = WaitState.Resolved, Resolution = resolution }, now));
    }

    private static ProblemHttpResult NotOpen() => Problems.Conflict("It was decided already, or is not waited for any more.", ErrorCodes.ApprovalNotOpen);

    private static ValueTask<RunWait?> FindAsync(HttpContext http, IRunWaits waits, string id) => Ids.IsValid(id, "wait") ? Human(waits.FindAsync(http.GetCaller().TenantId, id)) : default;

    private static async ValueTask<RunWait?> Human(ValueTask<RunWait?> found) => await found is { Kind: WaitKind.Human } wait ? wait : null;

    private static string RoleNow(RunWait wait, DateTimeOffset now) => wait.EscalateAt <= now && wait.EscalateRole is { } escalated ? escalated : wait.Role!;

    /// <summary>Whoever may do all that a role may do, holds it: so it is for people and for API keys. From its time on, the role that it escalates to may answer too.</summary>
    private static bool MayAnswer(Caller caller, RunWait wait, DateTimeOffset now) => Holds(caller, wait.Role!) || (wait.EscalateAt <= now && wait.EscalateRole is { } escalated && Holds(caller, escalated));

    private static bool Holds(Caller caller, string role) => Enum.TryParse(role, ignoreCase: true, out Role asked) && caller.Has(ScopeNames.Of(asked) | Scopes.RunsWrite);

    private static Dictionary<string, string[]> Check(DecisionRequest body, RunWait wait)
    {
        var errors = new Dictionary<string, string[]>();
        if (body.Decision is not ("approve" or "edit" or "reject" or "answer")) errors["decision"] = ["must be approve, edit, reject or answer."];
        if (body.Comment?.Length > MaxComment) errors["comment"] = [$"may have {MaxComment} characters."];
        if (body.Answer is { } large && large.GetRawText().Length > MaxAnswer) errors["answer"] = [$"may have {MaxAnswer} characters."];
        else if (body.Answer is { } answer && wait.Form is { } form && (wait.Subject is null || body.Decision == "edit") && JsonShape.TryParse(JsonSerializer.Deserialize<JsonElement>(form), out _)?.Check(answer) is { Count: > 0 } wrong) errors["answer"] = [.. wrong];
        else if (body.Answer is null && body.Decision is "edit" or "answer") errors["answer"] = [$"is required with '{body.Decision}'."];
        return errors;
    }

    private static ApprovalView View(RunWait wait, DateTimeOffset now) => new()
    {
        Id = wait.Id,
        RunId = wait.RunId,
        Path = wait.Path,
        Status = WaitNames.Of(wait.State),
        Title = wait.Title ?? "",
        Message = wait.Message,
        Form = wait.Form is { } form ? JsonSerializer.Deserialize<JsonElement>(form) : null,
        Call = ApprovalSubject.Parse(wait.Subject),
        Role = RoleNow(wait, now),
        RequestedAt = wait.RequestedAt,
        ExpiresAt = wait.ExpiresAt,
        EscalatesAt = wait.EscalateAt,
        Decision = wait.Resolution?.Decision,
        DecidedBy = wait.Resolution?.By,
        DecidedAt = wait.Resolution?.At,
        Comment = wait.Resolution?.Comment,
        Answer = wait.Resolution?.Data is { } data ? JsonSerializer.Deserialize<JsonElement>(data) : null,
    };
}
