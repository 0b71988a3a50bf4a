using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Events;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Errors;
using MultiAgent.Messaging;

namespace MultiAgent.Gateway.Requests;

/// <summary>Writes one record for each request of an authenticated caller. What the services know of it (model, run, error) they say in the headers of the answer.</summary>
internal sealed partial class RequestLog(RequestRecorder recorder, IOptions<RequestLogOptions> options, TimeProvider time, ILogger<RequestLog> logger) : IRequestLog
{
    private const int MaxPath = 512;
    private const int MaxAgent = 256;

    private readonly bool _enabled = options.Value.Enabled;
    private readonly bool _addresses = options.Value.ClientAddresses;

    public void Completed(HttpContext context, RequestInfo info, TimeSpan duration)
    {
        if (!_enabled || info.Caller is not { } caller) return;
        try
        {
            Record(context, info, caller, duration);
        }
        catch (ObjectDisposedException e)
        {
            // The host has stopped under a request.
            LogLost(e, info.RequestId);
        }
    }

    private void Record(HttpContext context, RequestInfo info, Caller caller, TimeSpan duration)
    {
        HttpRequest request = context.Request;
        IHeaderDictionary answer = context.Response.Headers;
        DateTimeOffset at = time.GetUtcNow() - duration;
        recorder.Record(new RequestRecord
        {
            // The client's own id may come twice.
            Id = Ids.New("rql", at),
            TenantId = caller.TenantId,
            ApiKeyId = caller.ApiKeyId,
            UserId = caller.UserId,
            RequestId = info.RequestId,
            Method = request.Method,
            Path = Cut(request.Path.Value ?? "/", MaxPath)!,
            // What a group maps at its root has a slash too many.
            Route = (info.PassedOnTo ?? (context.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText)?.TrimEnd('/'),
            Status = context.Response.StatusCode,
            ErrorCode = answer[ErrorWriter.CodeHeader],
            DurationMs = duration.TotalMilliseconds,
            RequestBytes = request.ContentLength,
            Model = answer["x-maap-model"],
            RunId = answer["x-maap-run-id"],
            UserAgent = Cut(request.Headers.UserAgent, MaxAgent),
            ClientAddress = _addresses ? Text(context.Connection.RemoteIpAddress) : null,
            At = at,
        });
    }

    private static string? Text(IPAddress? address) => (address is { IsIPv4MappedToIPv6: true } ? address.MapToIPv4() : address)?.ToString();

    private static string? Cut(string? text, int length) => text is null || text.Length <= length ? text : text[..length];

    [LoggerMessage(EventId = 1, EventName = "RequestNotLogged", Level = LogLevel.Debug, Message = "Request {RequestId} ended after the host, and is not in the request log")]
    private partial void LogLost(Exception e, string requestId);
}
