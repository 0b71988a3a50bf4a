using System.Text.Json;
using MultiAgent.Contracts;

namespace MultiAgent.Models.Providers.Anthropic;

/// <summary>Translates Anthropic's errors, from an error response or from an <c>error</c> event in a stream.</summary>
internal static class AnthropicErrors
{
    /// <param name="status">The response's status; 0 for an event.</param>
    /// <param name="body">The body or the event's data; may be anything when a proxy answered.</param>
    public static OpenAiError Translate(int status, ReadOnlyMemory<byte> body)
    {
        string? type = null, message = null;
        try
        {
            using JsonDocument document = JsonDocument.Parse(body);
            JsonElement error = document.RootElement.Member("error"u8);
            type = error.Text("type"u8);
            message = error.Text("message"u8);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // Not from Anthropic; the status has to do.
        }
        return Translate(status, type ?? TypeOf(status), message ?? (status == 0 ? "The provider reported an error." : $"The provider answered with status {status}."));
    }

    private static OpenAiError Translate(int status, string type, string message) => type switch
    {
        "invalid_request_error" when IsTooLong(message) => new(400, message, OpenAiError.InvalidRequest, ErrorCodes.ContextLengthExceeded, "messages"),
        // An empty purse is reported as a bad request, but it is the operator's problem and another provider may do.
        "invalid_request_error" when message.Contains("credit balance", StringComparison.OrdinalIgnoreCase) => new(429, message, "insufficient_quota", "insufficient_quota"),
        "invalid_request_error" => new(status is >= 400 and < 500 ? status : 400, message, OpenAiError.InvalidRequest),
        "billing_error" => new(429, message, "insufficient_quota", "insufficient_quota"),
        "authentication_error" => new(401, message, OpenAiError.InvalidRequest, ErrorCodes.InvalidApiKey),
        "permission_error" => new(403, message, OpenAiError.InvalidRequest, "permission_denied"),
        "not_found_error" => new(404, message, OpenAiError.InvalidRequest, message.Contains("model", StringComparison.OrdinalIgnoreCase) ? ErrorCodes.ModelNotFound : ErrorCodes.NotFound),
        "request_too_large" => new(413, message, OpenAiError.InvalidRequest, ErrorCodes.BodyTooLarge),
        "rate_limit_error" => new(429, message, "requests", ErrorCodes.RateLimitExceeded),
        "overloaded_error" => new(503, message, OpenAiError.ServerError, ErrorCodes.Overloaded),
        "timeout_error" => new(504, message, OpenAiError.ServerError, ErrorCodes.ProviderTimeout),
        _ => new(status is >= 500 and < 600 ? status : 500, message, OpenAiError.ServerError, ErrorCodes.ProviderError),
    };

    private static string TypeOf(int status) => status switch
    {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        >= 400 and < 500 => "invalid_request_error",
        _ => "api_error",
    };

    private static bool IsTooLong(string message) =>
        message.Contains("prompt is too long", StringComparison.OrdinalIgnoreCase)
        || message.Contains("context limit", StringComparison.OrdinalIgnoreCase)
        || message.Contains("context window", StringComparison.OrdinalIgnoreCase);
}
