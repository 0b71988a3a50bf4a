using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace MultiAgent.Testing;

/// <summary>
/// An OpenAI-compatible provider over real HTTP whose behaviour a test scripts. It counts what it reports, so that a test can
/// compare usage to the token.
/// </summary>
public sealed class FakeProvider : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ConcurrentQueue<Func<HttpContext, Task>> _script = new();
    private readonly ConcurrentDictionary<string, ConcurrentQueue<Func<HttpContext, Task>>> _scripts = new(StringComparer.Ordinal);
    private int _active;

    private FakeProvider(WebApplication app) => _app = app;

    /// <summary>Base URL, ending in <c>/v1</c>.</summary>
    public string BaseUrl => _app.Urls.First() + "/v1";

    /// <summary>Bodies of the requests, in order of arrival.</summary>
    public ConcurrentQueue<(string Path, string Body, IHeaderDictionary Headers)> Requests { get; } = new();

    /// <summary>Requests that were broken off by the caller.</summary>
    public int Aborted;

    /// <summary>What <see cref="AnswerAsync"/> reported, one entry per answer whose last byte was written.</summary>
    public ConcurrentQueue<ReportedUsage> Reported { get; } = new();

    /// <summary>Requests in progress.</summary>
    public int Active => Volatile.Read(ref _active);

    /// <summary>What happens when the script is empty.</summary>
    public Func<HttpContext, Task> Default { get; set; } = context => AnswerAsync(context, "Hello from the provider.");

    public static async Task<FakeProvider> StartAsync()
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        WebApplication app = builder.Build();
        var provider = new FakeProvider(app);
        app.Run(provider.HandleAsync);
        await app.StartAsync();
        return provider;
    }

    /// <summary>Scripts the next request's treatment.</summary>
    public FakeProvider Next(Func<HttpContext, Task> behaviour)
    {
        _script.Enqueue(behaviour);
        return this;
    }

    /// <summary>Scripts the next request for one model, whatever other tests ask for at the same time.</summary>
    public FakeProvider For(string model, Func<HttpContext, Task> behaviour)
    {
        _scripts.GetOrAdd(model, static _ => new()).Enqueue(behaviour);
        return this;
    }

    /// <summary>Bodies of the requests for one model, in order of arrival.</summary>
    public IReadOnlyList<JsonElement> RequestsFor(string model) =>
        [.. Requests.Select(r => r.Body).Where(b => ModelOf(b) == model).Select(b => JsonDocument.Parse(b).RootElement)];

    /// <summary>The next request gets a status and an OpenAI error.</summary>
    public FakeProvider NextError(int status, string? code = null, string? retryAfter = null) => Next(Error(status, code, retryAfter));

    /// <summary>Refuses with a status and an OpenAI error.</summary>
    public static Func<HttpContext, Task> Error(int status, string? code = null, string? retryAfter = null) => context =>
    {
        context.Response.StatusCode = status;
        if (retryAfter is not null) context.Response.Headers.RetryAfter = retryAfter;
        return context.Response.WriteAsJsonAsync(new { error = new { message = $"scripted {status}", type = "x", param = (string?)null, code } });
    };

    /// <summary>Sends these bytes as they are.</summary>
    public static Func<HttpContext, Task> Raw(string body, int status = 200, string contentType = "application/json") => context =>
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = contentType;
        return context.Response.WriteAsync(body);
    };

    /// <summary>Answers a chat request, streamed or not as it asks, with fixed usage.</summary>
    public static async Task AnswerAsync(HttpContext context, string text, int promptTokens = 11, int completionTokens = 7, int cachedTokens = 0, string finishReason = "stop")
    {
        JsonElement request = await ReadAsync(context);
        if (context.Request.Path.Value!.EndsWith("/embeddings", StringComparison.Ordinal))
        {
            await context.Response.WriteAsJsonAsync(new { @object = "list", data = new[] { new { @object = "embedding", index = 0, embedding = new[] { 0.5, -1, 0.25 } } }, model = "m", usage = new { prompt_tokens = promptTokens, total_tokens = promptTokens } });
            Report(context, request.GetProperty("model").GetString()!, promptTokens, 0, 0);
            return;
        }
        object usage = new { prompt_tokens = promptTokens, completion_tokens = completionTokens, total_tokens = promptTokens + completionTokens, prompt_tokens_details = new { cached_tokens = cachedTokens } };
        string model = request.GetProperty("model").GetString()!;
        if (!(request.TryGetProperty("stream", out JsonElement stream) && stream.ValueKind == JsonValueKind.True))
        {
            await context.Response.WriteAsJsonAsync(new
            {
                id = "chatcmpl-1",
                @object = "chat.completion",
                created = 1700000000,
                model,
                choices = new[] { new { index = 0, message = new { role = "assistant", content = text, refusal = (string?)null }, logprobs = (object?)null, finish_reason = finishReason } },
                usage,
            });
            Report(context, model, promptTokens, completionTokens, cachedTokens);
            return;
        }
        await BeginStreamAsync(context);
        await ChunkAsync(context, model, new { role = "assistant", content = "" });
        foreach (string word in text.Split(' ')) await ChunkAsync(context, model, new { content = word + " " });
        await ChunkAsync(context, model, new { }, finishReason);
        if (request.TryGetProperty("stream_options", out JsonElement options) && options.TryGetProperty("include_usage", out JsonElement include) && include.GetBoolean())
            await DataAsync(context, JsonSerializer.Serialize(new { id = "chatcmpl-1", @object = "chat.completion.chunk", created = 1700000000, model, choices = Array.Empty<object>(), usage }));
        await DataAsync(context, "[DONE]");
        Report(context, model, promptTokens, completionTokens, cachedTokens);
    }

    public static async Task<JsonElement> ReadAsync(HttpContext context)
    {
        context.Request.Body.Position = 0;
        using JsonDocument document = await JsonDocument.ParseAsync(context.Request.Body);
        return document.RootElement.Clone();
    }

    public static Task BeginStreamAsync(HttpContext context)
    {
        context.Response.ContentType = "text/event-stream";
        return context.Response.StartAsync();
    }

    public static Task ChunkAsync(HttpContext context, string model, object delta, string? finishReason = null) => DataAsync(context, JsonSerializer.Serialize(
        new { id = "chatcmpl-1", @object = "chat.completion.chunk", created = 1700000000, model, choices = new[] { new { index = 0, delta, logprobs = (object?)null, finish_reason = finishReason } }, usage = (object?)null }));

    public static async Task DataAsync(HttpContext context, string data)
    {
        await context.Response.WriteAsync($"data: {data}\n\n");
        await context.Response.Body.FlushAsync();
    }

    /// <summary>Waits until the caller breaks the request off.</summary>
    public static async Task UntilAbortedAsync(HttpContext context)
    {
        var aborted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using CancellationTokenRegistration _ = context.RequestAborted.Register(() => aborted.TrySetResult());
        await aborted.Task.WaitAsync(Eventually.Deadline);
    }

    public async ValueTask DisposeAsync()
    {
        // A test that failed may have left a request hanging; it is not waited for.
        using var now = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        await _app.StopAsync(now.Token);
        await _app.DisposeAsync();
    }

    private static void Report(HttpContext context, string model, int prompt, int completion, int cached) =>
        ((FakeProvider)context.Items[nameof(FakeProvider)]!).Reported.Enqueue(new(model, prompt, completion, cached));

    private static string? ModelOf(string body)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(body);
            return document.RootElement.TryGetProperty("model", out JsonElement model) ? model.GetString() : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private async Task HandleAsync(HttpContext context)
    {
        Interlocked.Increment(ref _active);
        try
        {
            var copy = new MemoryStream();
            await context.Request.Body.CopyToAsync(copy);
            copy.Position = 0;
            context.Request.Body = copy;
            string body = Encoding.UTF8.GetString(copy.ToArray());
            Requests.Enqueue((context.Request.Path, body, new HeaderDictionary(context.Request.Headers.ToDictionary())));
            context.Items[nameof(FakeProvider)] = this;
            Func<HttpContext, Task>? scripted = null;
            if (ModelOf(body) is { } model && _scripts.TryGetValue(model, out ConcurrentQueue<Func<HttpContext, Task>>? own)) own.TryDequeue(out scripted);
            if (scripted is null) _script.TryDequeue(out scripted);
            await (scripted ?? Default)(context);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // the caller has left
        }
        finally
        {
            if (context.RequestAborted.IsCancellationRequested) Interlocked.Increment(ref Aborted);
            Interlocked.Decrement(ref _active);
        }
    }
}

/// <summary>Tokens that the provider told in one whole answer.</summary>
public sealed record ReportedUsage(string Model, int PromptTokens, int CompletionTokens, int CachedTokens);
