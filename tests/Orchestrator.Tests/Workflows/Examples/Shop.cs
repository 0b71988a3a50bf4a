using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace MultiAgent.Orchestrator.Tests.Workflows.Examples;

/// <summary>Something that was changed at the shop.</summary>
/// <param name="Key">The idempotency key under which it was asked for.</param>
/// <param name="What">Method, path and body.</param>
internal sealed record Effect(string Key, string What);

/// <summary>
/// The systems around the example workflows, over real HTTP: stock, payments, parcels, tickets, customers. Like a good service it honours idempotency keys:
/// a repetition gets the first answer and changes nothing. It writes down what was changed, and each request that it got.
/// </summary>
internal sealed class Shop : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ConcurrentDictionary<string, Effect> _effects = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<Effect> _inOrder = new();
    private readonly ConcurrentQueue<string> _without = new();
    private int _repeated;

    private Shop(WebApplication app) => _app = app;

    public string Url => _app.Urls.First();

    /// <summary>Changes that were asked for again under their key.</summary>
    public int Repeated => Volatile.Read(ref _repeated);

    /// <summary>Changes that came without a key.</summary>
    public IReadOnlyCollection<string> WithoutKey => _without;

    /// <summary>What was changed by a run, in order, with <c>{run}</c> in the place of its id.</summary>
    public Effect[] Of(string runId) => [.. _inOrder.Where(e => e.Key.StartsWith(runId, StringComparison.Ordinal)).Select(e => new Effect(e.Key.Replace(runId, "{run}"), e.What.Replace(runId, "{run}")))];

    public static async Task<Shop> StartAsync()
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        WebApplication app = builder.Build();
        app.Urls.Add("http://127.0.0.1:0");
        var shop = new Shop(app);
        app.Run(shop.HandleAsync);
        await app.StartAsync();
        return shop;
    }

    public async ValueTask DisposeAsync()
    {
        using var now = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        await _app.StopAsync(now.Token);
        await _app.DisposeAsync();
    }

    private async Task HandleAsync(HttpContext http)
    {
        string path = http.Request.Path.Value!;
        using var reader = new StreamReader(http.Request.Body);
        string body = await reader.ReadToEndAsync();
        (int status, object? answer) = Answer(http.Request.Method, path.Split('/', StringSplitOptions.RemoveEmptyEntries), body);
        if (status < 400 && http.Request.Method != "GET") Note(http.Request.Headers["Idempotency-Key"].ToString(), $"{http.Request.Method} {path}{(body.Length == 0 ? "" : " ")}{body}");
        http.Response.StatusCode = status;
        if (answer is not null) await http.Response.WriteAsJsonAsync(answer);
    }

    private void Note(string key, string what)
    {
        if (key.Length == 0) _without.Enqueue(what);
        var effect = new Effect(key, what);
        Effect first = _effects.GetOrAdd(key, effect);
        if (ReferenceEquals(first, effect)) _inOrder.Enqueue(effect);
        // A key that comes back with something else is a change of its own, which a test must see.
        else if (first != effect) _inOrder.Enqueue(effect);
        else Interlocked.Increment(ref _repeated);
    }

    /// <summary>What it answers depends on the request alone, so that a repetition gets the same.</summary>
    private static (int Status, object? Answer) Answer(string method, string[] path, string body) => (method, path[0], path.Length) switch
    {
        ("GET", "orders", _) when path[1] == "o-unknown" => (404, null),
        ("GET", "orders", _) => (200, new { id = path[1], status = path[1] == "o-late" ? "late" : "delivered", total = 40, payment = path[1] == "o-unpaid" ? "p-none" : "p-1", daysSinceDelivery = path[1] == "o-old" ? 90 : 3 }),
        ("GET", "payments", _) when path[1] == "p-none" => (404, null),
        ("GET", "payments", _) => (200, new { id = path[1], amount = 200, refunded = 20 }),
        ("GET", "customers", _) => (200, Array.Empty<object>()),
        ("GET", "leads", _) => (200, new { visits = 3 }),
        ("PUT", "payments", 4) => (200, new { status = "pending" }),
        ("PUT", "payments", _) => (200, new { status = "paid" }),
        ("PUT", "shipments", _) when body.Contains("o-noship", StringComparison.Ordinal) => (409, null),
        ("PUT", "shipments", _) => (200, new { tracking = "T-1" }),
        ("PUT", "letters", _) when body.Contains("Nobody", StringComparison.Ordinal) => (409, null),
        ("PUT", "labels", _) => (200, new { url = "https://labels.example.com/1" }),
        ("PUT", "vouchers", _) => (200, new { code = "V-7" }),
        ("PUT" or "DELETE", _, _) => (200, new { done = true }),
        _ => (404, null),
    };
}
