using System.Buffers;
using System.Text.Json;

namespace MultiAgent.Models.Dispatch;

/// <summary>What a provider's error status asks for.</summary>
internal enum RefusalKind
{
    /// <summary>The request is at fault: the client gets the provider's own words.</summary>
    Client,
    /// <summary>Too many requests: pause this deployment.</summary>
    Pause,
    /// <summary>The provider is in trouble: try again.</summary>
    Transient,
    /// <summary>Our credentials are refused: another deployment may work.</summary>
    Deployment,
    /// <summary>Too long or against this model's policy: another model may serve it.</summary>
    OtherModelMayServe,
}

/// <summary>A provider's answer of status 3xx, 4xx or 5xx.</summary>
internal sealed record ProviderRefusal(RefusalKind Kind, int Status, string? Code, byte[] Body, TimeSpan? RetryAfter)
{
    public static ProviderRefusal Of(int status, byte[] body, TimeSpan? retryAfter)
    {
        (string? code, bool isOpenAiError) = ReadCode(body);
        RefusalKind kind = status switch
        {
            429 when code == "insufficient_quota" => RefusalKind.Deployment,
            429 => RefusalKind.Pause,
            408 or >= 500 => RefusalKind.Transient,
            401 or 403 or 402 or (>= 300 and < 400) => RefusalKind.Deployment,
            400 or 413 or 422 when code is "context_length_exceeded" or "content_filter" or "content_policy_violation" => RefusalKind.OtherModelMayServe,
            _ => RefusalKind.Client,
        };
        return new ProviderRefusal(kind, status, code, isOpenAiError ? body : Wrap(status), retryAfter);
    }

    private static (string? Code, bool IsOpenAiError) ReadCode(byte[] body)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(body);
            if (document.RootElement.ValueKind != JsonValueKind.Object || !document.RootElement.TryGetProperty("error", out JsonElement error) || error.ValueKind != JsonValueKind.Object)
                return (null, false);
            return (error.TryGetProperty("code", out JsonElement code) && code.ValueKind == JsonValueKind.String && code.GetString() is { Length: <= 64 } text ? text : null, true);
        }
        catch (JsonException)
        {
            return (null, false);
        }
    }

    // Not the provider's text: it may be an HTML page of a proxy that names inner hosts.
    private static byte[] Wrap(int status)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteStartObject("error");
            json.WriteString("message", $"The provider refused the request with status {status}.");
            json.WriteString("type", "invalid_request_error");
            json.WriteNull("param");
            json.WriteNull("code");
            json.WriteEndObject();
            json.WriteEndObject();
        }
        return buffer.WrittenSpan.ToArray();
    }
}
