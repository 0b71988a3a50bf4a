using System.Buffers;
using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Services.Calls;

namespace MultiAgent.Hosting.Errors;

/// <summary>
/// Writes an error in the shape of the surface it happened on: problem details under <c>/api</c>, the OpenAI error object
/// under <c>/v1</c>.
/// </summary>
public static class ErrorWriter
{
    /// <summary>The header of an error's stable code: for logs and proxies, which do not read bodies.</summary>
    public const string CodeHeader = "x-maap-error-code";

    /// <summary>Writes the whole response. The response must not have started.</summary>
    public static Task WriteAsync(HttpContext context, int status, string code, string message, string? param = null, TimeSpan? retryAfter = null)
    {
        HttpResponse response = context.Response;
        string requestId = RequestInfo.Of(context).RequestId;
        // What the client was told of its rate limit and its connection stays true; everything else belonged to an answer that is not given.
        KeyValuePair<string, StringValues>[] kept = [.. response.Headers.Where(static h =>
            h.Key.StartsWith("RateLimit-", StringComparison.OrdinalIgnoreCase) || h.Key.StartsWith("x-ratelimit-", StringComparison.OrdinalIgnoreCase) || h.Key.Equals("Connection", StringComparison.OrdinalIgnoreCase)
            || h.Key.Equals(ServiceHttp.RouteHeader, StringComparison.OrdinalIgnoreCase))];
        response.Clear();
        foreach ((string name, StringValues value) in kept) response.Headers[name] = value;
        response.StatusCode = status;
        response.Headers["X-Request-Id"] = requestId;
        response.Headers[CodeHeader] = code;
        if (retryAfter is { } after)
            response.Headers.RetryAfter = Math.Max(1, (long)Math.Ceiling(after.TotalSeconds)).ToString(CultureInfo.InvariantCulture);
        if (status == 401) response.Headers.WWWAuthenticate = "Bearer";
        var buffer = new ArrayBufferWriter<byte>(512);
        if (IsOpenAiSurface(context.Request.Path))
        {
            response.ContentType = "application/json; charset=utf-8";
            WriteOpenAi(buffer, status, code, message, param);
        }
        else
        {
            response.ContentType = "application/problem+json; charset=utf-8";
            using var json = new Utf8JsonWriter(buffer);
            var details = Problems.Details(status, code, message);
            json.WriteStartObject();
            json.WriteString("type"u8, details.Type);
            json.WriteString("title"u8, details.Title);
            json.WriteNumber("status"u8, status);
            json.WriteString("detail"u8, message);
            json.WriteString("code"u8, code);
            if (param is not null) json.WriteString("param"u8, param);
            json.WriteString("requestId"u8, requestId);
            json.WriteEndObject();
        }
        response.ContentLength = buffer.WrittenCount;
        return response.Body.WriteAsync(buffer.WrittenMemory, context.RequestAborted).AsTask();
    }

    /// <summary>True for paths that answer in the OpenAI error shape.</summary>
    public static bool IsOpenAiSurface(PathString path) => path.StartsWithSegments("/v1");

    /// <summary>The OpenAI error object: <c>{"error":{"message","type","param","code"}}</c>.</summary>
    public static void WriteOpenAi(IBufferWriter<byte> output, int status, string? code, string message, string? param = null)
    {
        using var json = new Utf8JsonWriter(output);
        json.WriteStartObject();
        json.WriteStartObject("error"u8);
        json.WriteString("message"u8, message);
        json.WriteString("type"u8, OpenAiType(status));
        json.WriteString("param"u8, param);
        json.WriteString("code"u8, code);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static string OpenAiType(int status) => status switch
    {
        429 => "requests",
        >= 500 => "server_error",
        _ => "invalid_request_error",
    };
}
