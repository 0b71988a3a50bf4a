using System.Globalization;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using MultiAgent.Contracts;
using MultiAgent.Data.Postgres;
using MultiAgent.Data.Sqlite;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Limits;
using MultiAgent.Hosting.Telemetry;

namespace MultiAgent.Hosting.Edge;

/// <summary>
/// The outermost layer: request id, early refusal under overload, errors in the surface's shape, and the request's
/// metrics. One middleware and not four, since every layer costs a state machine per request.
/// </summary>
internal sealed partial class EdgeMiddleware(
    RequestDelegate next, TimeProvider time, HttpMetrics metrics, IOptions<LimitsOptions> limits, IHostApplicationLifetime lifetime, ILogger<EdgeMiddleware> logger, IRequestLog? log = null)
{
    private readonly CancellationToken _stopping = lifetime.ApplicationStopping;
    private readonly long _maxBody = limits.Value.MaxBodyBytes;
    private readonly int _maxInFlight = limits.Value.MaxInFlightRequests;
    private int _inFlight;
    private long _storageLogged;

    public async Task InvokeAsync(HttpContext context)
    {
        long started = time.GetTimestamp();
        string requestId = RequestIdOf(context);
        var info = new RequestInfo { RequestId = requestId, Started = started };
        context.Features.Set(info);
        context.Response.Headers["X-Request-Id"] = requestId;
        // Whoever keeps connections is to have none to this instance when it stops to listen.
        if (_stopping.IsCancellationRequested && HttpProtocol.IsHttp11(context.Request.Protocol)) context.Response.Headers.Connection = "close";
        int inFlight = Interlocked.Increment(ref _inFlight);
        try
        {
            // Health and metrics stay reachable under overload: that is when they are needed.
            if (inFlight > _maxInFlight && !context.Request.Path.StartsWithSegments("/health") && !context.Request.Path.StartsWithSegments("/metrics"))
            {
                metrics.Refused("overloaded");
                await ErrorWriter.WriteAsync(context, 503, ErrorCodes.Overloaded, "The server is at its limit of concurrent requests.", retryAfter: TimeSpan.FromSeconds(1));
            }
            else if (context.Request.ContentLength > _maxBody) await RefuseBodyAsync(context);
            else
            {
                await next(context);
                if (context.Response.StatusCode >= 400 && !context.Response.HasStarted && context.Response.ContentType is null && context.Response.ContentLength is null)
                    await WriteBareAsync(context);
            }
        }
        catch (Exception e)
        {
            await HandleAsync(context, e);
        }
        finally
        {
            Interlocked.Decrement(ref _inFlight);
            TimeSpan duration = time.GetElapsedTime(started);
            metrics.Completed(info.Service, (context.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText, context.Request.Method, context.Response.StatusCode, duration);
            log?.Completed(context, info, duration);
        }
    }

    // The server would close the connection under a client that is still sending, which then sees a broken pipe and not the answer. Without
    // its limit the server takes in what is on the way, for five seconds at most.
    private static Task RefuseBodyAsync(HttpContext context)
    {
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } feature) feature.MaxRequestBodySize = null;
        return ErrorWriter.WriteAsync(context, 413, ErrorCodes.BodyTooLarge, "The body is larger than this server accepts.");
    }

    private string RequestIdOf(HttpContext context)
    {
        string? given = context.Request.Headers["X-Request-Id"];
        if (given is { Length: > 0 and <= 128 } && given.AsSpan().IndexOfAnyExceptInRange('!', '~') < 0) return given;
        // Time-ordered and unique; the client gets it back and quotes it.
        return Ids.New("req", time);
    }

    /// <summary>Routing and the reading of bodies set a bare status for what they refuse.</summary>
    private static Task WriteBareAsync(HttpContext context) => context.Response.StatusCode switch
    {
        405 => ErrorWriter.WriteAsync(context, 405, ErrorCodes.MethodNotAllowed, $"{context.Request.Method} is not allowed on {context.Request.Path}."),
        415 => ErrorWriter.WriteAsync(context, 415, ErrorCodes.UnsupportedMediaType, "Send the body as application/json."),
        413 => ErrorWriter.WriteAsync(context, 413, ErrorCodes.BodyTooLarge, "The body is larger than this server accepts."),
        408 => ErrorWriter.WriteAsync(context, 408, ErrorCodes.RequestTimeout, "The body arrived too slowly."),
        404 => ErrorWriter.WriteAsync(context, 404, ErrorCodes.UnknownUrl, $"There is nothing at {context.Request.Method} {context.Request.Path}."),
        504 => ErrorWriter.WriteAsync(context, 504, ErrorCodes.RequestTimeout, "The request took longer than this server allows."),
        >= 500 => ErrorWriter.WriteAsync(context, context.Response.StatusCode, ErrorCodes.InternalError, "The server failed. Quote the request id when you report this."),
        _ => ErrorWriter.WriteAsync(context, context.Response.StatusCode, ErrorCodes.InvalidRequest, "The request cannot be read."),
    };

    private async Task HandleAsync(HttpContext context, Exception e)
    {
        if (context.RequestAborted.IsCancellationRequested && e is OperationCanceledException or ConnectionResetException or IOException)
        {
            if (!context.Response.HasStarted) context.Response.StatusCode = 499;
            return;
        }
        (int status, string code, string message, string? param, TimeSpan? retryAfter) = e switch
        {
            ApiException api => (api.Status, api.Code, api.Message, api.Param, api.RetryAfter),
            OverloadedException overloaded => (503, ErrorCodes.Overloaded, overloaded.Message, null, TimeSpan.FromSeconds(1)),
            BadHttpRequestException { StatusCode: 413 } => (413, ErrorCodes.BodyTooLarge, "The body is larger than this server accepts.", null, null),
            BadHttpRequestException { StatusCode: 415 } => (415, ErrorCodes.UnsupportedMediaType, "Send the body as application/json.", null, null),
            BadHttpRequestException { StatusCode: 408 } => (408, ErrorCodes.RequestTimeout, "The body arrived too slowly.", null, null),
            BadHttpRequestException { InnerException: System.Text.Json.JsonException json } when json.Message.Contains("maximum configured depth", StringComparison.Ordinal) =>
                (400, ErrorCodes.JsonTooDeep, "The JSON is nested deeper than this server accepts.", null, null),
            BadHttpRequestException { InnerException: System.Text.Json.JsonException json } => (400, ErrorCodes.InvalidJson, JsonMessage(json), json.Path, null),
            _ when PostgresFaults.IsUnavailable(e) || SqliteFaults.IsUnavailable(e) => (503, ErrorCodes.StorageUnavailable, "The database is not available. Try again in a moment.", null, TimeSpan.FromSeconds(1)),
            _ when PostgresFaults.IsUnstorableText(e) => (400, ErrorCodes.InvalidRequest, "A text of the request holds a character that cannot be stored.", null, null),
            BadHttpRequestException bad => (bad.StatusCode, ErrorCodes.InvalidRequest, bad.Message, null, null),
            _ => (500, ErrorCodes.InternalError, "The server failed. Quote the request id when you report this.", (string?)null, (TimeSpan?)null),
        };
        if (code == ErrorCodes.StorageUnavailable) LogStorageUnavailable(e);
        if (status == 500) LogFailed(e, context.Request.Method, context.Request.Path, RequestInfo.Of(context).RequestId);
        if (context.Response.HasStarted)
        {
            // The status is gone to the client already: only a broken connection says that the body is not whole.
            context.Abort();
            return;
        }
        await ErrorWriter.WriteAsync(context, status, code, message, param, retryAfter);
    }

    private static string JsonMessage(System.Text.Json.JsonException e)
    {
        // The serializer's text names .NET types; what the client needs is the place.
        if (UnknownMember().Match(e.Message) is { Success: true } unknown) return $"The member '{unknown.Groups[1].Value}' is not known here.";
        if (MissingMembers().Match(e.Message) is { Success: true } missing) return $"Required members are missing: {missing.Groups[1].Value}.";
        string where = e.Path is { Length: > 1 } path ? $" at {path}" : "";
        string line = e.LineNumber is { } number ? $" (line {(number + 1).ToString(CultureInfo.InvariantCulture)})" : "";
        return $"The JSON is invalid{where}{line}.";
    }

    // One line now and then: while the database is away every request fails alike.
    private void LogStorageUnavailable(Exception e)
    {
        long now = time.GetTimestamp(), last = Volatile.Read(ref _storageLogged);
        if ((last == 0 || time.GetElapsedTime(last, now) > TimeSpan.FromSeconds(10)) && Interlocked.CompareExchange(ref _storageLogged, now, last) == last)
            LogStorage((e.InnerException ?? e).Message);
    }

    [GeneratedRegex("^The JSON property '(.{1,100})' could not be mapped")]
    private static partial Regex UnknownMember();

    [GeneratedRegex("missing required properties including: (.+?)\\.( Path:|$)")]
    private static partial Regex MissingMembers();

    [LoggerMessage(EventId = 2, EventName = "StorageUnavailable", Level = LogLevel.Warning, Message = "The database is not available, requests get 503: {Reason}")]
    private partial void LogStorage(string reason);

    [LoggerMessage(EventId = 1, EventName = "RequestFailed", Level = LogLevel.Error, Message = "{Method} {Path} failed; request {RequestId}")]
    private partial void LogFailed(Exception e, string method, string path, string requestId);
}
