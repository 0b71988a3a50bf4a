using System.Text.Json;

namespace MultiAgent.Testing;

/// <summary>Reads server-sent events as text.</summary>
public static class Sse
{
    /// <summary>The data of all events, in order, <c>[DONE]</c> included.</summary>
    public static string[] Data(string body) =>
        [.. body.Split('\n').Where(l => l.StartsWith("data:", StringComparison.Ordinal)).Select(l => l[5..].Trim())];

    /// <summary>The JSON of all events that have some.</summary>
    public static JsonElement[] Chunks(string body) => [.. Data(body).Where(d => d != "[DONE]").Select(d => JsonDocument.Parse(d).RootElement)];

    /// <summary>The text of the first choice.</summary>
    public static string Text(IEnumerable<JsonElement> chunks) => string.Concat(chunks
        .Where(c => c.TryGetProperty("choices", out JsonElement choices) && choices.GetArrayLength() > 0)
        .Select(c => c.GetProperty("choices")[0].GetProperty("delta"))
        .Select(d => d.TryGetProperty("content", out JsonElement content) ? content.GetString() : null));

    /// <summary>Event names with their JSON, of streams that name their events.</summary>
    public static IReadOnlyList<(string? Id, string Event, JsonElement Data)> Events(string body)
    {
        var events = new List<(string?, string, JsonElement)>();
        foreach (string block in body.Replace("\r", "", StringComparison.Ordinal).Split("\n\n", StringSplitOptions.RemoveEmptyEntries))
        {
            string? Field(string name) => block.Split('\n').Where(l => l.StartsWith(name + ":", StringComparison.Ordinal)).Select(l => l[(name.Length + 1)..].Trim()).FirstOrDefault();
            if (Field("event") is { } name && Field("data") is { } data) events.Add((Field("id"), name, JsonDocument.Parse(data).RootElement));
        }
        return events;
    }
}
