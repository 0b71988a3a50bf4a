using System.Text.Json;

namespace MultiAgent.Orchestrator.Tests.Support;

/// <summary>One server-sent event as it came.</summary>
internal sealed record SseEvent(string? Id, string? Name, string Data)
{
    public JsonElement Json => JsonDocument.Parse(Data).RootElement;
}

/// <summary>Reads server-sent events off a response, one by one.</summary>
internal sealed class SseReader(HttpResponseMessage response) : IAsyncDisposable
{
    private StreamReader? _reader;

    public HttpResponseMessage Response => response;

    public static async Task<SseReader> OpenAsync(HttpClient client, HttpMethod method, string path, object? body = null, params (string Name, string Value)[] headers)
    {
        var request = new HttpRequestMessage(method, path);
        if (body is not null) request.Content = System.Net.Http.Json.JsonContent.Create(body);
        foreach ((string name, string value) in headers) request.Headers.TryAddWithoutValidation(name, value);
        return new SseReader(await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead));
    }

    /// <summary>The next event, or null at the end of the stream. Comments come with the name <c>:</c>.</summary>
    public async Task<SseEvent?> NextAsync()
    {
        _reader ??= new StreamReader(await response.Content.ReadAsStreamAsync());
        string? id = null, name = null;
        var data = new List<string>();
        while (await _reader.ReadLineAsync().WaitAsync(TestHost.Deadline) is { } line)
        {
            if (line.Length == 0)
            {
                if (data.Count > 0 || name is not null) return new SseEvent(id, name, string.Join('\n', data));
                continue;
            }
            if (line.StartsWith(':')) return new SseEvent(null, ":", line);
            string value = line[(line.IndexOf(':') + 1)..].TrimStart(' ');
            if (line.StartsWith("id:", StringComparison.Ordinal)) id = value;
            else if (line.StartsWith("event:", StringComparison.Ordinal)) name = value;
            else if (line.StartsWith("data:", StringComparison.Ordinal)) data.Add(value);
        }
        return null;
    }

    public async Task<List<SseEvent>> AllAsync()
    {
        var events = new List<SseEvent>();
        while (await NextAsync() is { } e) events.Add(e);
        return events;
    }

    public async Task<SseEvent> UntilAsync(string name)
    {
        while (await NextAsync() is { } e)
            if (e.Name == name) return e;
        throw new Xunit.Sdk.XunitException($"The stream ended without '{name}'.");
    }

    public ValueTask DisposeAsync()
    {
        response.Dispose();
        return default;
    }
}
