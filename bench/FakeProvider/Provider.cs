using System.Buffers;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace MultiAgent.Bench.FakeProvider;

/// <summary>
/// An OpenAI-compatible provider that answers at once from bytes encoded at start. The harness sets length and pace of
/// streams with <c>POST /control?chunks=40&amp;paceMs=5</c> and reads the number of requests at <c>GET /stats</c>, where <c>lastAbort</c> is the time of the last stream that was cut (<see cref="Stopwatch"/>).
/// </summary>
internal sealed class Provider
{
    private static readonly byte[] Completion = Encoding.UTF8.GetBytes(
        """
        {"id":"chatcmpl-bench0123456789","object":"chat.completion","created":1700000000,"model":"bench-model","choices":[{"index":0,"message":{"role":"assistant","content":"A gateway should cost very little: it checks the key, counts the tokens and passes the bytes on.","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":57,"completion_tokens":21,"total_tokens":78,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":null}
        """);

    private static readonly float[] Vector = [.. Enumerable.Range(0, 256).Select(i => (i - 128) / 256f)];

    private static readonly byte[] CompletionAnswer = [.. Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {Completion.Length}\r\n\r\n"), .. Completion];

    private readonly string _vectorAsJson = $"[{string.Join(',', Vector.Select(v => v.ToString(CultureInfo.InvariantCulture)))}]";
    private readonly string _vectorAsBase64 = $"\"{Convert.ToBase64String(MemoryMarshal.AsBytes<float>(Vector))}\"";

    private Plans _plans = new(40, TimeSpan.Zero);
    private long _requests;
    private long _streams;
    private long _aborted;
    private long _lastAbort;

    /// <summary>Head and body of an answer that needs no waiting; null for one that does.</summary>
    public byte[]? AnswerFor(in ReadOnlySequence<byte> body)
    {
        var facts = RequestFacts.Read(body);
        if (facts.Stream && _plans.WithUsage.Pace > TimeSpan.Zero) return null;
        Interlocked.Increment(ref _requests);
        if (!facts.Stream) return CompletionAnswer;
        Interlocked.Increment(ref _streams);
        return (facts.IncludeUsage ? _plans.WithUsage : _plans.WithoutUsage).Answer;
    }

    public Task HandleAsync(HttpContext context) => context.Request.Path.Value switch
    {
        "/v1/chat/completions" => ChatAsync(context),
        "/v1/embeddings" => EmbeddingsAsync(context),
        "/stats" => StatsAsync(context),
        "/control" => ControlAsync(context),
        _ => NotFoundAsync(context),
    };

    private async Task ChatAsync(HttpContext context)
    {
        Interlocked.Increment(ref _requests);
        var facts = await ReadFactsAsync(context);
        if (!facts.Stream)
        {
            await WriteJsonAsync(context, Completion);
            return;
        }

        Interlocked.Increment(ref _streams);
        context.Response.ContentType = "text/event-stream; charset=utf-8";
        context.Response.Headers.CacheControl = "no-cache";
        var plan = facts.IncludeUsage ? _plans.WithUsage : _plans.WithoutUsage;
        if (plan.Pace == TimeSpan.Zero)
            await context.Response.BodyWriter.WriteAsync(plan.Whole);
        else
            await WritePacedAsync(context, plan);
    }

    private async Task WritePacedAsync(HttpContext context, StreamPlan plan)
    {
        var started = Stopwatch.GetTimestamp();
        try
        {
            for (var i = 0; i < plan.Beats.Length; i++)
            {
                // Each beat is due at a fixed time after the start, so that late timers do not add up.
                var wait = (plan.Pace * i) - Stopwatch.GetElapsedTime(started);
                if (wait > TimeSpan.Zero)
                    await Task.Delay(wait, context.RequestAborted);
                await context.Response.BodyWriter.WriteAsync(plan.Beats[i], context.RequestAborted);
            }
        }
        catch (OperationCanceledException)
        {
            Interlocked.Exchange(ref _lastAbort, Stopwatch.GetTimestamp());
            Interlocked.Increment(ref _aborted);
        }
    }

    private async Task EmbeddingsAsync(HttpContext context)
    {
        Interlocked.Increment(ref _requests);
        var facts = await ReadFactsAsync(context);
        var vector = facts.Base64 ? _vectorAsBase64 : _vectorAsJson;
        var answer = new StringBuilder("""{"object":"list","data":[""");
        for (var i = 0; i < facts.Inputs; i++)
            answer.Append(i == 0 ? "" : ",").Append(
                CultureInfo.InvariantCulture, $$"""{"object":"embedding","index":{{i}},"embedding":{{vector}}}""");
        answer.Append(
            CultureInfo.InvariantCulture,
            $$$"""],"model":"bench-model","usage":{"prompt_tokens":{{{8 * facts.Inputs}}},"total_tokens":{{{8 * facts.Inputs}}}}}""");
        await WriteJsonAsync(context, Encoding.UTF8.GetBytes(answer.ToString()));
    }

    private Task StatsAsync(HttpContext context) => WriteJsonAsync(context, Encoding.UTF8.GetBytes(
        $$"""{"requests":{{Interlocked.Read(ref _requests)}},"streams":{{Interlocked.Read(ref _streams)}},"aborted":{{Interlocked.Read(ref _aborted)}},"lastAbort":{{Interlocked.Read(ref _lastAbort)}}}"""));

    private Task ControlAsync(HttpContext context)
    {
        var query = context.Request.Query;
        var chunks = int.Parse(query["chunks"].FirstOrDefault() ?? "40", CultureInfo.InvariantCulture);
        var pace = int.Parse(query["paceMs"].FirstOrDefault() ?? "0", CultureInfo.InvariantCulture);
        _plans = new Plans(Math.Clamp(chunks, 1, 10_000), TimeSpan.FromMilliseconds(Math.Clamp(pace, 0, 60_000)));
        context.Response.StatusCode = StatusCodes.Status204NoContent;
        return Task.CompletedTask;
    }

    private static Task NotFoundAsync(HttpContext context)
    {
        context.Response.StatusCode = StatusCodes.Status404NotFound;
        return Task.CompletedTask;
    }

    private static async ValueTask<RequestFacts> ReadFactsAsync(HttpContext context)
    {
        var reader = context.Request.BodyReader;
        while (true)
        {
            var read = await reader.ReadAsync();
            if (read.IsCompleted)
            {
                var facts = RequestFacts.Read(read.Buffer);
                reader.AdvanceTo(read.Buffer.End);
                return facts;
            }
            reader.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
    }

    private static async Task WriteJsonAsync(HttpContext context, byte[] body)
    {
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = body.Length;
        await context.Response.BodyWriter.WriteAsync(body);
    }

    private sealed class Plans(int chunks, TimeSpan pace)
    {
        public StreamPlan WithUsage { get; } = StreamPlan.Create(chunks, pace, includeUsage: true);

        public StreamPlan WithoutUsage { get; } = StreamPlan.Create(chunks, pace, includeUsage: false);
    }
}
