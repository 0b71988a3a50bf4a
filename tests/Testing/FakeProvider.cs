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
    private int _active;

    private FakeProvider(WebApplication app) => _app = app;

    /// <summary>Base URL, ending in <c>/v1</c>.</summary>
    public string BaseUrl => _app.Urls.First() + "/v1";

    /// <summary>Bodies of the requests, in order of arrival.</summary>
    public ConcurrentQueue<(string Path, string Body, IHeaderDictionary Headers)> Requests { get; } = new();

    /// <summary>Requests that were broken off by the caller.</summary>
    public int Aborted;

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

    /// <summary>The next request gets a status and an OpenAI error.</summary>
    public FakeProvider NextError(int status, string? code = null, string? retryAfter = null) => Next(context =>
    {
        context.Response.StatusCode = status;
        if (retryAfter is not null) context.Response.Headers.RetryAfter = retryAfter;
        return context.Response.WriteAsJsonAsync(new { error = new { message = $"scripted {status}", type = "x", param = (string?)null, code } });
    });

    /// <summary>Answers a chat request, streamed or not as it asks, with fixed usage.</summary>
    public static async Task AnswerAsync(HttpContext context, string text, int promptTokens = 11, int completionTokens = 7, int cachedTokens = 0, string finishReason = "stop")
    {
        JsonElement request = await ReadAsync(context);
        if (context.Request.Path.Value!.EndsWith("/embeddings", StringComparison.Ordinal))
        {
            await context.Response.WriteAsJsonAsync(new { @object = "list", data = new[] { new { @object = "embedding", index = 0, embedding = new[] { 0.5, -1, 0.25 } } }, model = "m", usage = new { prompt_tokens = promptTokens, total_tokens = promptTokens } });
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
            return;
        }
        await BeginStreamAsync(context);
        await ChunkAsync(context, model, new { role = "assistant", content = "" });
        foreach (string word in text.Split(' ')) await ChunkAsync(context, model, new { content = word + " " });
        await ChunkAsync(context, model, new { }, finishReason);
        if (request.TryGetProperty("stream_options", out JsonElement options) && options.TryGetProperty("include_usage", out JsonElement include) && include.GetBoolean())
            await DataAsync(context, JsonSerializer.Serialize(new { id = "chatcmpl-1", @object = "chat.completion.chunk", created = 1700000000, model, choices = Array.Empty<object>(), usage }));
        await DataAsync(context, "[DONE]");
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
        var aborted = new TaskCompletionSource();
        await using CancellationTokenRegistration _ = context.RequestAborted.Register(() => aborted.TrySetResult());
        await aborted.Task.WaitAsync(Eventually.Deadline);
    }

    public async ValueTask DisposeAsync() => await _app.DisposeAsync();

    private async Task HandleAsync(HttpContext context)
    {
        Interlocked.Increment(ref _active);
        await using CancellationTokenRegistration _ = context.RequestAborted.Register(() => Interlocked.Increment(ref Aborted));
        try
        {
            var copy = new MemoryStream();
            await context.Request.Body.CopyToAsync(copy);
            copy.Position = 0;
            context.Request.Body = copy;
            Requests.Enqueue((context.Request.Path, Encoding.UTF8.GetString(copy.ToArray()), new HeaderDictionary(context.Request.Headers.ToDictionary())));
            await (_script.TryDequeue(out Func<HttpContext, Task>? scripted) ? scripted : Default)(context);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // the caller has left
        }
        finally
        {
            Interlocked.Decrement(ref _active);
        }
    }
}
