using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

namespace MultiAgent.Faults.Tests;

/// <summary>What was sent of one kind, and what came back.</summary>
public sealed class Tally
{
    private int _sent;

    /// <summary>By the client's own id: what the server said it took. The value is the server's id.</summary>
    public ConcurrentDictionary<string, string> Acknowledged { get; } = new();

    /// <summary>Sent, and not acknowledged: refused, or broken off.</summary>
    public ConcurrentDictionary<string, byte> Open { get; } = new();

    /// <summary>Answers other than success, by status; 0 is a connection that broke.</summary>
    public ConcurrentDictionary<int, int> Errors { get; } = new();

    /// <summary>Answers that no client can make sense of: an error without its code, a success without its body.</summary>
    public ConcurrentQueue<string> Nonsense { get; } = new();

    public int Sent => Volatile.Read(ref _sent);

    public void Begin(string id)
    {
        Interlocked.Increment(ref _sent);
        Open[id] = 0;
    }

    public void Accept(string id, string serverId)
    {
        Acknowledged[id] = serverId;
        Open.TryRemove(id, out _);
    }
}

/// <summary>A steady mixed load: chat completions, runs of an agent, and journeys of a client's own. Each request has an id that can be found again.</summary>
public sealed class Load : IAsyncDisposable
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(25);

    private readonly HttpClient _client;
    private readonly CancellationTokenSource _stop = new();
    private readonly List<Task> _workers = [];
    private readonly string _name;
    private readonly ConcurrentDictionary<int, TimeSpan> _recovered = new();
    private long _restored = long.MaxValue;
    private int _number;

    public Load(Uri gateway, string name)
    {
        _name = name;
        _client = new HttpClient(new SocketsHttpHandler { PooledConnectionLifetime = TimeSpan.FromSeconds(5) }) { BaseAddress = gateway, Timeout = TimeSpan.FromSeconds(40) };
        _client.DefaultRequestHeaders.Add("Authorization", $"Bearer {Stack.Key}");
    }

    public Tally Chats { get; } = new();

    public Tally Runs { get; } = new();

    public Tally Journeys { get; } = new();

    public IEnumerable<(string Name, Tally Tally)> All => [("chats", Chats), ("runs", Runs), ("journeys", Journeys)];

    public HttpClient Client => _client;

    public void Start()
    {
        for (int i = 0; i < 3; i++) _workers.Add(WorkAsync(i, Chats, ChatAsync));
        for (int i = 3; i < 5; i++) _workers.Add(WorkAsync(i, Runs, RunAsync));
        _workers.Add(WorkAsync(5, Journeys, JourneyAsync));
    }

    /// <summary>The fault is over now. Returns how long it took until each sender had a success with a request that it sent since.</summary>
    public async Task<TimeSpan> RecoveredAsync()
    {
        _recovered.Clear();
        Volatile.Write(ref _restored, Stopwatch.GetTimestamp());
        try
        {
            await Eventually.TrueAsync(() => _recovered.Count == _workers.Count, "every sender is served again");
        }
        catch (TimeoutException)
        {
            Assert.Fail($"Not served again: {string.Join(", ", Enumerable.Range(0, _workers.Count).Where(w => !_recovered.ContainsKey(w)).Select(w => w < 3 ? "chats" : w < 5 ? "runs" : "journeys"))}. {this}");
        }
        return _recovered.Values.Max();
    }

    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_workers);
    }

    /// <summary>Sends again what was not acknowledged and may be sent twice under its key, until all is.</summary>
    public async Task RepeatOpenAsync()
    {
        foreach ((Tally tally, Func<string, Task<string?>> send) in ((Tally, Func<string, Task<string?>>)[])[(Runs, id => RunAsync(Runs, id)), (Journeys, id => JourneyAsync(Journeys, id))])
        {
            foreach (string id in tally.Open.Keys)
                await Eventually.TrueAsync(async () => await SendAsync(tally, id, send), $"{id} is taken at last");
        }
    }

    public override string ToString() => string.Join("; ", All.Select(t => $"{t.Name}: {t.Tally.Acknowledged.Count} of {t.Tally.Sent}, {string.Join(", ", t.Tally.Errors)}"));

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _client.Dispose();
        _stop.Dispose();
    }

    private async Task WorkAsync(int worker, Tally tally, Func<Tally, string, Task<string?>> send)
    {
        while (!_stop.IsCancellationRequested)
        {
            string id = $"{_name}-{Interlocked.Increment(ref _number)}";
            tally.Begin(id);
            long started = Stopwatch.GetTimestamp(), restored = Volatile.Read(ref _restored);
            if (await SendAsync(tally, id, i => send(tally, i)) && started >= restored) _recovered.TryAdd(worker, Stopwatch.GetElapsedTime(restored));
            await Task.Delay(Pause);
        }
    }

    private static async Task<bool> SendAsync(Tally tally, string id, Func<string, Task<string?>> send)
    {
        try
        {
            if (await send(id) is not { } serverId) return false;
            tally.Accept(id, serverId);
            return true;
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException or IOException)
        {
            tally.Errors.AddOrUpdate(0, 1, (_, n) => n + 1);
            return false;
        }
    }

    private async Task<string?> ChatAsync(Tally tally, string id)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = JsonContent.Create(new { model = "local/assistant", messages = new[] { new { role = "user", content = $"Say {id}" } } }) };
        request.Headers.Add("X-Request-Id", id);
        using HttpResponseMessage response = await _client.SendAsync(request);
        return await BodyAsync(tally, response) is { } body ? body.GetProperty("id").GetString() : null;
    }

    private async Task<string?> RunAsync(Tally tally, string id)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/api/v1/chat") { Content = JsonContent.Create(new { agent = "helper", message = "What is 6 * 7?" }) };
        request.Headers.Add("Idempotency-Key", id);
        using HttpResponseMessage response = await _client.SendAsync(request);
        return await BodyAsync(tally, response) is { } body ? body.GetProperty("runId").GetString() : null;
    }

    private async Task<string?> JourneyAsync(Tally tally, string id)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/api/v1/journeys") { Content = JsonContent.Create(new { type = "fault-test", userId = id }) };
        request.Headers.Add("Idempotency-Key", id);
        using HttpResponseMessage response = await _client.SendAsync(request);
        return await BodyAsync(tally, response) is { } body ? body.GetProperty("id").GetString() : null;
    }

    private static async Task<JsonElement?> BodyAsync(Tally tally, HttpResponseMessage response)
    {
        string text = await response.Content.ReadAsStringAsync();
        JsonElement? body = null;
        try
        {
            body = JsonDocument.Parse(text).RootElement.Clone();
        }
        catch (JsonException)
        {
            // told below
        }
        if (response.IsSuccessStatusCode && body is not null) return body;
        tally.Errors.AddOrUpdate((int)response.StatusCode, 1, (_, n) => n + 1);
        bool coded = body is { ValueKind: JsonValueKind.Object } error && (error.TryGetProperty("code", out _) || (error.TryGetProperty("error", out JsonElement inner) && inner.TryGetProperty("code", out _)));
        if (response.IsSuccessStatusCode || !coded) tally.Nonsense.Enqueue($"{(int)response.StatusCode}: {text[..Math.Min(300, text.Length)]}");
        return null;
    }
}
