using System.Buffers;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Identity;
using MultiAgent.Data;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Idempotency;
using MultiAgent.Hosting.Identity;
using MultiAgent.Hosting.Limits;
using MultiAgent.Orchestrator.Completions;
using MultiAgent.Orchestrator.Runs;

namespace MultiAgent.Orchestrator.Responses;

/// <summary>The members of a request that decide where it goes; the others are in OpenAI's reference.</summary>
internal sealed record ResponseShape(string Model, object Input, string? Instructions, bool? Stream, bool? Background, bool? Store, string? PreviousResponseId);

/// <summary><c>/v1/responses</c>: every response is a run.</summary>
internal static class ResponseEndpoints
{
    // A run that is asked to stop does so within this, or its response is told as it stands.
    private static readonly TimeSpan CancelPatience = TimeSpan.FromSeconds(5);

    public static void AddResponses(this IServiceCollection services)
    {
        services.AddStore<IResponseDeletions, SqliteResponseDeletions, PostgresResponseDeletions>();
        services.TryAddSingleton<StoredResponses>();
        services.TryAddSingleton<ResponseStart>();
    }

    public static void MapResponses(this IEndpointRouteBuilder routes)
    {
        RouteGroupBuilder group = routes.MapGroup("/v1/responses").WithTags("OpenAI-compatible").RequireScope(Scopes.ModelsInvoke);
        // Runs have time limits of their own, and their streams end with them.
        group.DisableRequestTimeout();
        group.MapPost("", (Delegate)CreateAsync).WithSummary("Answer with a model (provider/model, an alias, auto), an agent (agent/<slug>) or a workflow (workflow/<slug>) in the format of OpenAI's Responses API")
            .Accepts<ResponseShape>("application/json", "*/*").Produces(200, contentType: "application/json");
        group.MapGet("/{id}", (Delegate)GetAsync).WithSummary("Get a response; with stream=true its events, with starting_after those after a sequence number").Produces(200, contentType: "application/json");
        group.MapPost("/{id}/cancel", (Delegate)CancelAsync).WithSummary("Cancel a response").Produces(200, contentType: "application/json");
        group.MapDelete("/{id}", (Delegate)DeleteAsync).WithSummary("Delete a response; one that is in progress is cancelled").Produces(200, contentType: "application/json");
        group.MapGet("/{id}/input_items", (Delegate)ListInputAsync).WithSummary("List the items of a response's input").Produces(200, contentType: "application/json");
    }

    private static async Task CreateAsync(HttpContext http, ResponseStart start, StoredResponses responses, RunOutcomes outcomes, IRunStore store, IOptions<LimitsOptions> limits)
    {
        using var body = new MemoryStream();
        await http.Request.Body.CopyToAsync(body, http.RequestAborted);
        ResponseRequest request = ResponseRequest.Parse(body.ToArray(), limits.Value.MaxJsonDepth);
        string? journey = http.Request.Headers["X-Journey-Id"].ToString() is { Length: > 0 } named && Ids.IsValid(named, "jrn") ? named : null;
        StartedRun started = await start.StartAsync(http.GetCaller(), request, http.GetRequestId(), http.Request.IdempotencyKey(), journey, http.RequestAborted);
        http.Response.Headers["x-maap-run-id"] = started.Run.Id;
        // Nobody could read it later: it ends with its client.
        LiveRun? bound = request.Store ? null : started.Live;
        bound?.Follow();
        try
        {
            if (request.Stream) await new RunStreamResult(started.Run, started.Live, LiveCursor.FromStart, new ResponseStream(store, started.Run, request, -1)).ExecuteAsync(http);
            else if (request.Background) await WriteAsync(http, await responses.ReadAsync(started.Outcome?.Run ?? started.Run, request, started.Outcome is null ? "queued" : null));
            else await AnswerAsync(http, request, started, responses, outcomes);
        }
        finally
        {
            bound?.Unfollow();
        }
    }

    private static async Task AnswerAsync(HttpContext http, ResponseRequest request, StartedRun started, StoredResponses responses, RunOutcomes outcomes)
    {
        // One that waits for a person is told as it stands: in progress.
        RunOutcome outcome = await outcomes.WaitAsync(started, http.RequestAborted, orRest: true)
            ?? throw new ApiException(503, ErrorCodes.Overloaded, AgentCompletions.Describe(null).Message) { RetryAfter = TimeSpan.FromSeconds(1) };
        if (outcome.Run.Error is { } error) throw new ApiException(error.Status, error.Code, error.Message) { RetryAfter = error.Status is 429 or 503 ? TimeSpan.FromSeconds(1) : null };
        await WriteAsync(http, await responses.ReadAsync(outcome.Run, request));
    }

    private static async Task GetAsync(HttpContext http, StoredResponses responses, RunEngine engine, IRunStore store, string id)
    {
        string tenantId = http.GetCaller().TenantId;
        // Live first: a run that ends between the two look-ups is then found in the store with its end.
        LiveRun? live = ResponseWriter.RunIdOf(id) is { } runId ? engine.Find(tenantId, runId) : null;
        (RunRecord run, ResponseRequest request) = await responses.GetAsync(tenantId, id);
        if (http.Request.Query["stream"] != "true")
        {
            await WriteAsync(http, await responses.ReadAsync(run, request));
            return;
        }
        long after = -1;
        if (http.Request.Query["starting_after"].ToString() is { Length: > 0 } text && (!long.TryParse(text, out after) || after < 0))
            throw ResponseRequest.Invalid("'starting_after' must be the sequence number of an event.", "starting_after");
        await new RunStreamResult(run, live, LiveCursor.FromStart, new ResponseStream(store, run, request, after)).ExecuteAsync(http);
    }

    private static async Task CancelAsync(HttpContext http, StoredResponses responses, RunEngine engine, RunOutcomes outcomes, IRunStore store, TimeProvider time, string id)
    {
        (RunRecord run, ResponseRequest request) = await responses.GetAsync(http.GetCaller().TenantId, id);
        if (await engine.CancelAsync(run.TenantId, run.Id, StopCause.Requested) == CancelOutcome.Cancelling)
        {
            using var patience = new CancellationTokenSource(CancelPatience, time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, http.RequestAborted);
            try
            {
                await outcomes.WaitAsync(await engine.LookAsync(run), either.Token);
            }
            catch (OperationCanceledException) when (patience.IsCancellationRequested)
            {
                // It stops at its next step.
            }
        }
        await WriteAsync(http, await responses.ReadAsync(await store.FindAsync(run.TenantId, run.Id) ?? run, request));
    }

    private static async Task DeleteAsync(HttpContext http, StoredResponses responses, IResponseDeletions deletions, RunEngine engine, TimeProvider time, string id)
    {
        RunRecord run = (await responses.GetAsync(http.GetCaller().TenantId, id)).Run;
        await deletions.DeleteAsync(run.TenantId, run.Id, time.GetUtcNow());
        if (!run.IsFinal) await engine.CancelAsync(run.TenantId, run.Id, StopCause.Requested);
        await WriteAsync(http, JsonSerializer.SerializeToUtf8Bytes(new { id, @object = "response", deleted = true }));
    }

    private static async Task ListInputAsync(HttpContext http, StoredResponses responses, string id)
    {
        (RunRecord run, ResponseRequest request) = await responses.GetAsync(http.GetCaller().TenantId, id);
        IQueryCollection query = http.Request.Query;
        int limit = 20;
        if (query["limit"].ToString() is { Length: > 0 } text && (!int.TryParse(text, out limit) || limit is < 1 or > 100)) throw ResponseRequest.Invalid("'limit' must be between 1 and 100.", "limit");
        if (query["order"].ToString() is not ("" or "asc" or "desc")) throw ResponseRequest.Invalid("'order' must be 'asc' or 'desc'.", "order");
        IEnumerable<(string Id, Action<Utf8JsonWriter> Write)> items = InputItems.List(request, ResponseWriter.SuffixOf(run));
        if (query["order"] != "asc") items = items.Reverse();
        if (query["after"].ToString() is { Length: > 0 } after) items = items.SkipWhile(i => i.Id != after).Skip(1);
        (string Id, Action<Utf8JsonWriter> Write)[] page = [.. items.Take(limit + 1)];
        var buffer = new ArrayBufferWriter<byte>(512);
        using var json = new Utf8JsonWriter(buffer, Json.WriterOptions);
        json.WriteStartObject();
        json.WriteString("object"u8, "list"u8);
        json.WriteStartArray("data"u8);
        foreach ((_, Action<Utf8JsonWriter> write) in page.Take(limit)) write(json);
        json.WriteEndArray();
        json.WriteString("first_id"u8, page.Length == 0 ? null : page[0].Id);
        json.WriteString("last_id"u8, page.Length == 0 ? null : page[Math.Min(limit, page.Length) - 1].Id);
        json.WriteBoolean("has_more"u8, page.Length > limit);
        json.WriteEndObject();
        json.Flush();
        await WriteAsync(http, buffer.WrittenMemory);
    }

    private static async Task WriteAsync(HttpContext http, ReadOnlyMemory<byte> json)
    {
        http.Response.ContentType = "application/json; charset=utf-8";
        http.Response.ContentLength = json.Length;
        await http.Response.Body.WriteAsync(json, http.RequestAborted);
    }
}
