using System.Buffers;
using System.Globalization;
using System.Text.Json;

namespace MultiAgent.Orchestrator.Tools;

/// <summary>What <see cref="HttpRequestTool"/> tells a model as text, taken apart for workflows: they test the status and use members of the body.</summary>
internal sealed record HttpAnswer(int Status, string? ContentType, string Body)
{
    /// <summary>Another attempt may do better.</summary>
    public bool IsTransient => Status is 408 or 425 or 429 or >= 500;

    /// <summary>Null when the text is not of that tool.</summary>
    public static HttpAnswer? Parse(string text)
    {
        int end = text.IndexOf("\n\n", StringComparison.Ordinal);
        if (end < 0 || !text.StartsWith("HTTP ", StringComparison.Ordinal)) return null;
        string[] lines = text[..end].Split('\n');
        if (!int.TryParse(lines[0].AsSpan(5), NumberStyles.None, CultureInfo.InvariantCulture, out int status)) return null;
        const string Header = "Content-Type: ";
        return new HttpAnswer(status, Array.Find(lines, l => l.StartsWith(Header, StringComparison.Ordinal))?[Header.Length..], text[(end + 2)..]);
    }

    /// <summary><c>{status, contentType, body}</c>; the body as JSON when it is JSON, and as text otherwise.</summary>
    public JsonElement ToJson()
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteNumber("status"u8, Status);
            if (ContentType is not null) json.WriteString("contentType"u8, ContentType);
            json.WritePropertyName("body"u8);
            if (IsJson()) json.WriteRawValue(Body);
            else json.WriteStringValue(Body);
            json.WriteEndObject();
        }
        using var document = JsonDocument.Parse(buffer.WrittenMemory, new JsonDocumentOptions { MaxDepth = 128 });
        return document.RootElement.Clone();
    }

    private bool IsJson()
    {
        try
        {
            using var document = JsonDocument.Parse(Body, new JsonDocumentOptions { MaxDepth = 100 });
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
