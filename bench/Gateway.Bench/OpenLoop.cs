using System.Diagnostics;

namespace MultiAgent.Bench.Gateway;

/// <summary>
/// Sends requests by a timetable that is fixed before the run. A slow answer does not delay the next request, and each
/// latency counts from the time the request was due, not from when it left: nothing hides in a late start.
/// </summary>
internal sealed class OpenLoop(ChatRequest request, int perSecond) : IDisposable
{
    // A server that falls behind must not make this process grow without end.
    private const int MostInFlight = 4000;

    private readonly HttpMessageInvoker _client = new(new SocketsHttpHandler
    {
        UseProxy = false,
        UseCookies = false,
        AllowAutoRedirect = false,
        ActivityHeadersPropagator = null,
        PooledConnectionIdleTimeout = TimeSpan.FromMinutes(2),
    });

    private int _inFlight;
    private long _failures;

    public async Task<LoadResult> RunAsync(int seconds, CancellationToken cancellationToken)
    {
        var count = perSecond * seconds;
        var total = new long[count];
        var firstByte = new long[count];
        _failures = 0;

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var begin = Stopwatch.GetTimestamp();
        var sender = new TaskCompletionSource();
        var thread = new Thread(() => Send(total, firstByte, stop.Token, sender)) { IsBackground = true, Name = "timetable" };
        thread.Start();
        await sender.Task;

        // The last answers may come late; what is not there 30 s after the end of the timetable has failed.
        stop.CancelAfter(TimeSpan.FromSeconds(30));
        while (Volatile.Read(ref _inFlight) > 0)
            await Task.Delay(5, cancellationToken);
        cancellationToken.ThrowIfCancellationRequested();

        return new LoadResult
        {
            Requests = count - _failures,
            Failures = _failures,
            Seconds = Stopwatch.GetElapsedTime(begin).TotalSeconds,
            Latency = Percentiles.Of([.. total.Where(sample => sample > 0)]),
            FirstByte = Percentiles.Of([.. firstByte.Where(sample => sample > 0)]),
        };
    }

    public void Dispose() => _client.Dispose();

    private void Send(long[] total, long[] firstByte, CancellationToken stop, TaskCompletionSource sent)
    {
        var interval = 1_000_000_000L / perSecond;
        var start = MonotonicClock.Now + 10_000_000;
        for (var i = 0; i < total.Length && !stop.IsCancellationRequested; i++)
        {
            var due = start + (i * interval);
            MonotonicClock.SleepUntil(due);
            if (Interlocked.Increment(ref _inFlight) > MostInFlight)
            {
                Interlocked.Decrement(ref _inFlight);
                Interlocked.Increment(ref _failures);
                continue;
            }
            _ = OneAsync(i, due, total, firstByte, stop);
        }
        sent.SetResult();
    }

    private async Task OneAsync(int index, long due, long[] total, long[] firstByte, CancellationToken stop)
    {
        try
        {
            using var message = request.ToMessage();
            using var response = await _client.SendAsync(message, stop);
            await using var body = await response.Content.ReadAsStreamAsync(stop);
            var answer = new AnswerReader(response);
            await answer.ReadAsync(body, () => firstByte[index] = MonotonicClock.Now - due, stop);
            if (answer.IsComplete)
                total[index] = MonotonicClock.Now - due;
            else
                Interlocked.Increment(ref _failures);
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or OperationCanceledException)
        {
            Interlocked.Increment(ref _failures);
        }
        finally
        {
            Interlocked.Decrement(ref _inFlight);
        }
    }
}
