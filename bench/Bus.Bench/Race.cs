using System.Diagnostics;

namespace MultiAgent.Bench.Bus;

/// <summary>Something that takes in events durably and hands every one of them to a consumer that acknowledges it.</summary>
internal interface IContestant : IAsyncDisposable
{
    /// <summary>Returns once all events of the batch are stored.</summary>
    Task PublishAsync(IReadOnlyList<(string Id, byte[] Payload)> batch);

    /// <summary>Events that the consumer has seen.</summary>
    long Consumed { get; }
}

/// <summary>Publishes a number of events as fast as they are taken, and stops the clock when the last one has been consumed.</summary>
internal static class Race
{
    public const int PayloadBytes = 512;
    public const int Publishers = 4;
    public const int BatchSize = 100;

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    public static async Task<double> RunAsync(IContestant contestant, int events)
    {
        var payload = new byte[PayloadBytes];
        Random.Shared.NextBytes(payload);
        var run = Guid.NewGuid().ToString("N");
        var next = 0;
        var started = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, Publishers).Select(_ => Task.Run(async () =>
        {
            while (Interlocked.Add(ref next, BatchSize) - BatchSize is var first && first < events)
                await contestant.PublishAsync([.. Enumerable.Range(first, Math.Min(BatchSize, events - first)).Select(n => ($"{run}-{n}", payload))]);
        })));
        while (contestant.Consumed < events)
        {
            if (Stopwatch.GetElapsedTime(started) > Patience) throw new TimeoutException($"{contestant.Consumed} of {events} events were consumed within {Patience.TotalMinutes} minutes.");
            await Task.Delay(1);
        }
        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        if (contestant.Consumed != events) throw new InvalidOperationException($"{contestant.Consumed} events were consumed, {events} were published.");
        return events / seconds;
    }

    public static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return sorted.Length % 2 == 1 ? sorted[sorted.Length / 2] : (sorted[(sorted.Length / 2) - 1] + sorted[sorted.Length / 2]) / 2;
    }
}
