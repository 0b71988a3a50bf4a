using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Idempotency;
using MultiAgent.Hosting.Identity;

namespace MultiAgent.Orchestrator.Runs.Waits;

/// <summary>Body of POST /api/v1/events.</summary>
internal sealed record RaiseRequest
{
    /// <summary>What steps of type <c>wait</c> name as <c>event</c>.</summary>
    public string? Name { get; init; }
    /// <summary>What <c>match</c> is compared with: a text, or the JSON of another value.</summary>
    public JsonElement? Key { get; init; }
    /// <summary>The output of the steps that waited; at most 256 KB.</summary>
    public JsonElement? Data { get; init; }
}

/// <summary>The runs that had waited for the event.</summary>
internal sealed record RaisedView(IReadOnlyList<string> Runs);

/// <summary>/api/v1/events.</summary>
internal static partial class EventEndpoints
{
    private const int MaxData = 256 * 1024;

    public static void MapEvents(this IEndpointRouteBuilder routes)
    {
        routes.MapPost("/api/v1/events", RaiseAsync).WithTags("Runs").RequireScope(Scopes.RunsWrite)
            .Idempotent().WithSummary("Tell an event to the runs that wait for it; one that nobody waits for is not kept");
        // The address is the secret: it was made for one wait of one run.
        routes.MapPost($"{HookToken.Path}{{token}}", HookAsync).WithTags("Runs").AllowAnonymousCaller().WithSummary("Call the webhook that a run waits for, once; the body is JSON or empty");
    }

    private static async Task<Results<Ok<RaisedView>, ProblemHttpResult>> RaiseAsync(HttpContext http, IRunWaits waits, RunEngine engine, RunBell bell, TimeProvider time, RaiseRequest body)
    {
        Caller caller = http.GetCaller();
        if (body.Name is null || !EventName().IsMatch(body.Name)) return Problems.Invalid("name", "must be 1 to 128 letters, digits, dots, dashes or underscores.");
        if (body.Data is { } large && large.GetRawText().Length > MaxData) return Problems.Invalid("data", $"may have {MaxData} characters.");
        var resolution = new WaitResolution("event", caller.UserId ?? caller.ApiKeyId, null, body.Data?.GetRawText(), time.GetUtcNow());
        IReadOnlyList<string> runs = await waits.RaiseAsync(caller.TenantId, body.Name, body.Key is { } key ? Workflows.Execution.Waiting.KeyOf(key) : null, resolution);
        foreach (string run in runs) engine.Find(caller.TenantId, run)?.Nudged?.Invoke();
        if (runs.Count > 0) bell.Ring();
        return TypedResults.Ok(new RaisedView([.. runs.Distinct()]));
    }

    private static async Task<Results<Accepted, ProblemHttpResult>> HookAsync(HttpContext http, IRunWaits waits, RunEngine engine, RunBell bell, TimeProvider time, string token, CancellationToken cancellationToken)
    {
        if (HookToken.TenantOf(token) is not { } tenantId) return Problems.NotFound("The webhook");
        using var body = new MemoryStream();
        var buffer = new byte[8192];
        while (await http.Request.Body.ReadAsync(buffer, cancellationToken) is > 0 and var read)
        {
            if (body.Length + read > MaxData) return Problems.Of(413, ErrorCodes.BodyTooLarge, $"The body may have {MaxData} bytes.");
            body.Write(buffer, 0, read);
        }
        string? data = null;
        if (body.Length > 0)
        {
            if (Workflows.Execution.JsonText.TryParse(System.Text.Encoding.UTF8.GetString(body.GetBuffer().AsSpan(0, (int)body.Length))) is not { } json) return Problems.Of(400, ErrorCodes.InvalidJson, "The body is not valid JSON.");
            data = json.GetRawText();
        }
        IReadOnlyList<string> runs = await waits.RaiseAsync(tenantId, HookToken.NameOf(token), null, new WaitResolution("event", "webhook", null, data, time.GetUtcNow()));
        if (runs.Count == 0) return Problems.NotFound("The webhook");
        foreach (string run in runs) engine.Find(tenantId, run)?.Nudged?.Invoke();
        bell.Ring();
        return TypedResults.Accepted((string?)null);
    }

    [GeneratedRegex("^[A-Za-z0-9_.-]{1,128}$")]
    private static partial Regex EventName();
}
