using System.Text;

namespace MultiAgent.Bench.Gateway;

/// <summary>One server that answers chat completions: how to start it, and how to talk to it.</summary>
internal sealed record Candidate
{
    public required string Name { get; init; }

    public required string Command { get; init; }

    public required IReadOnlyList<string> Arguments { get; init; }

    /// <summary>The file that must be there for the candidate to run; without it the report says "missing".</summary>
    public required string Requires { get; init; }

    public required Uri Address { get; init; }

    /// <summary>Answers 200 once the server takes requests.</summary>
    public string ReadyPath { get; init; } = "/";

    /// <summary>Where requests go.</summary>
    public string ChatPath { get; init; } = "/v1/chat/completions";

    /// <summary>What requests ask for; empty where the path says it.</summary>
    public string Model { get; init; } = "bench-model";

    public bool IsDotNet { get; init; }

    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    public IReadOnlyDictionary<string, string> Headers { get; init; } = new Dictionary<string, string>();

    public ChatRequest Chat(bool stream, string? model = null) =>
        new(new Uri(Address, ChatPath), Headers, ChatBody(model ?? Model, stream));

    private static byte[] ChatBody(string model, bool stream) => Encoding.UTF8.GetBytes(
        $$"""{{{(model.Length == 0 ? "" : $"\"model\":\"{model}\",")}}{{(stream ? "\"stream\":true,\"stream_options\":{\"include_usage\":true}," : "")}}"messages":[{"role":"system","content":"You are a helpful assistant of a company that sells tea. Answer briefly and name the source."},{"role":"user","content":"How long does an order to Hue take, and what does it cost if it is heavier than two kilograms?"}],"temperature":0.2,"max_tokens":200}""");
}

internal sealed record ChatRequest(Uri Url, IReadOnlyDictionary<string, string> Headers, byte[] Body)
{
    public HttpRequestMessage ToMessage()
    {
        var message = new HttpRequestMessage(HttpMethod.Post, Url) { Content = new ByteArrayContent(Body) };
        message.Content.Headers.TryAddWithoutValidation("Content-Type", "application/json");
        foreach (var (name, value) in Headers)
            message.Headers.TryAddWithoutValidation(name, value);
        return message;
    }
}
