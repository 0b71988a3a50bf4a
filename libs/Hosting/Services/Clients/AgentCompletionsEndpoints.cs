using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Clients;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Idempotency;
using MultiAgent.Hosting.Services.Calls;
using MultiAgent.Hosting.Services.Tokens;

namespace MultiAgent.Hosting.Services.Clients;

/// <summary>The other side of <see cref="AgentCompletionsClient"/>.</summary>
internal static class AgentCompletionsEndpoints
{
    /// <summary>The agent that is to answer.</summary>
    public const string AgentHeader = "Maap-Agent";

    /// <summary>The journey that the client named.</summary>
    public const string JourneyHeader = "Maap-Journey";

    /// <summary>Marks an answer of the orchestrator itself, be it an error, from one of the layers before it.</summary>
    public const string RunHeader = "Maap-Run";

    public const string NoRun = "none";

    public static void MapAgentCompletions(this RouteGroupBuilder group)
    {
        // The run has the agent's time limit.
        group.MapPost("/completions", (Delegate)CompleteAsync).WithMetadata(new ReadsOwnBody());
        group.MapGet("/agents", ListAsync);
    }

    private static async Task<JsonHttpResult<IReadOnlyList<AgentSummary>>> ListAsync(HttpContext http, IAgentCompletions agents) =>
        TypedResults.Json(await agents.ListAsync(http.GetCaller(), http.RequestAborted), ServiceJson.Default.IReadOnlyListAgentSummary);

    private static async Task CompleteAsync(HttpContext http, IAgentCompletions agents)
    {
        HttpRequest request = http.Request;
        string agent = Uri.UnescapeDataString(request.Headers[AgentHeader].ToString());
        ReadOnlyMemory<byte> body = await ReadAsync(request, http.RequestAborted);
        await using IAgentCompletion completion = await agents.CompleteAsync(new AgentCompletionRequest
        {
            Caller = http.GetCaller(),
            Agent = agent,
            Body = body,
            Stream = request.Query["stream"] == "true",
            RequestId = http.GetRequestId(),
            IdempotencyKey = request.IdempotencyKey(),
            JourneyId = request.Headers[JourneyHeader].ToString() is { Length: > 0 } journey ? Uri.UnescapeDataString(journey) : null,
        }, http.RequestAborted);
        HttpResponse response = http.Response;
        response.StatusCode = completion.StatusCode;
        response.ContentType = "application/octet-stream";
        response.Headers[RunHeader] = completion.RunId ?? NoRun;
        if (completion.RetryAfterSeconds is { } retry) response.Headers.RetryAfter = retry.ToString(CultureInfo.InvariantCulture);
        if (completion is { StatusCode: 503, RunId: null }) response.Headers[ServiceClient.NotAccepted] = "true";
        // The caller waits for the status before there is text.
        await response.Body.FlushAsync(http.RequestAborted);
        await CopyAsync(completion.Body, response.BodyWriter, http.RequestAborted);
    }

    private static async Task CopyAsync(PipeReader from, PipeWriter to, CancellationToken cancellationToken)
    {
        while (true)
        {
            ReadResult read = await from.ReadAsync(cancellationToken);
            foreach (ReadOnlyMemory<byte> segment in read.Buffer) to.Write(segment.Span);
            from.AdvanceTo(read.Buffer.End);
            FlushResult flushed = await to.FlushAsync(cancellationToken);
            if (flushed.IsCompleted) throw new OperationCanceledException("The caller left.");
            if (read.IsCompleted) return;
        }
    }

    private static async Task<ReadOnlyMemory<byte>> ReadAsync(HttpRequest request, CancellationToken cancellationToken)
    {
        using var body = new MemoryStream((int)Math.Clamp(request.ContentLength ?? 0, 0, 1 << 20));
        await request.Body.CopyToAsync(body, cancellationToken);
        return body.GetBuffer().AsMemory(0, (int)body.Length);
    }
}
