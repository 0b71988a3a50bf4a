using System.Diagnostics;
using System.Text.Json;

namespace MultiAgent.Bench.Gateway;

/// <summary>
/// Hangs up in the middle of one stream after another, and measures how long the provider goes on: from the moment at which the client
/// closes its connection to the moment at which the provider sees its own closed, on the clock that all processes of a machine share.
/// </summary>
internal sealed class AbortLoop(ChatRequest request, Uri provider) : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private readonly HttpClient _client = new(new SocketsHttpHandler
    {
        UseProxy = false,
        ActivityHeadersPropagator = null,
        // To hang up means to close, not to read the rest first.
        MaxResponseDrainSize = 0,
    });

    public async Task<LoadResult> RunAsync(int seconds, CancellationToken cancellationToken)
    {
        var samples = new List<long>();
        var failures = 0;
        var begin = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(begin).TotalSeconds < seconds)
        {
            if (await OneAsync(cancellationToken) is { } nanoseconds)
                samples.Add(nanoseconds);
            else
                failures++;
        }
        return new LoadResult
        {
            Requests = samples.Count,
            Failures = failures,
            Seconds = Stopwatch.GetElapsedTime(begin).TotalSeconds,
            Latency = Percentiles.Of([.. samples]),
        };
    }

    public void Dispose() => _client.Dispose();

    private async Task<long?> OneAsync(CancellationToken cancellationToken)
    {
        var (before, _) = await AbortsAsync(cancellationToken);
        long left;
        using (var message = request.ToMessage())
        {
            using var response = await _client.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
            await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
            if (await body.ReadAsync(new byte[4096], cancellationToken) == 0)
                return null;
            left = Stopwatch.GetTimestamp();
        }
        var begin = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(begin) < Patience)
        {
            var (count, at) = await AbortsAsync(cancellationToken);
            if (count > before)
                return (long)(Stopwatch.GetElapsedTime(left, at).TotalMilliseconds * 1e6);
            await Task.Delay(2, cancellationToken);
        }
        return null;
    }

    private async Task<(long Count, long At)> AbortsAsync(CancellationToken cancellationToken)
    {
        using var stats = JsonDocument.Parse(await _client.GetStringAsync(new Uri(provider, "/stats"), cancellationToken));
        return (stats.RootElement.GetProperty("aborted").GetInt64(), stats.RootElement.GetProperty("lastAbort").GetInt64());
    }
}
