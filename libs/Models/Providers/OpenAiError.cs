using System.Buffers;
using System.Text.Json;

namespace MultiAgent.Models.Providers;

/// <summary>An error as the OpenAI dialect shows it: always all four members.</summary>
internal sealed record OpenAiError(int Status, string Message, string Type, string? Code = null, string? Param = null)
{
    public const string InvalidRequest = "invalid_request_error";
    public const string ServerError = "server_error";

    /// <summary>400 with a code that says what is wrong with the request.</summary>
    public static OpenAiError Invalid(string message, string? param, string code = "invalid_value") => new(400, message, InvalidRequest, code, param);

    public static OpenAiError Unsupported(string message, string param) => Invalid(message, param, "unsupported_parameter");

    public byte[] ToJson()
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using (var writer = new Utf8JsonWriter(buffer)) Write(writer);
        return buffer.WrittenSpan.ToArray();
    }

    public void Write(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteStartObject("error");
        writer.WriteString("message", Message);
        writer.WriteString("type", Type);
        writer.WriteString("param", Param);
        writer.WriteString("code", Code);
        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    public CannedResponse ToResponse(TimeSpan? retryAfter = null) => new(Status, ToJson(), retryAfter: retryAfter);
}

/// <summary>A request that cannot be translated for its provider; ends as an error response.</summary>
internal sealed class RequestRejectedException(OpenAiError error) : Exception(error.Message)
{
    public OpenAiError Error { get; } = error;
}
