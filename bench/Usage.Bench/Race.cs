using System.Diagnostics;
using System.Text.Json;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Events;

namespace MultiAgent.Bench.Usage;

/// <summary>Something that stores usage records durably.</summary>
internal interface IContestant : IAsyncDisposable
{
    /// <summary>Returns once the records of the events are on disk.</summary>
    Task StoreAsync(IReadOnlyList<EventEnvelope> events);

    /// <summary>Records that are there.</summary>
    Task<long> CountAsync();
}

/// <summary>Hands a number of records to a store as the event bus does, and stops the clock when the last one is stored.</summary>
internal static class Race
{
    public const int Tenants = 50;
    public const int RecordsPerEvent = 100;
    public const int EventsPerBatch = 32;
    public const int Consumers = 2;

    public static async Task<double> RunAsync(IContestant contestant, int records)
    {
        EventEnvelope[][] batches = [.. Enumerable.Range(0, records / RecordsPerEvent).Select(_ => Event()).Chunk(EventsPerBatch)];
        long before = await contestant.CountAsync(), expected = batches.Sum(b => b.Length) * (long)RecordsPerEvent;
        var next = -1;
        var started = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, Consumers).Select(_ => Task.Run(async () =>
        {
            while (Interlocked.Increment(ref next) is var mine && mine < batches.Length) await contestant.StoreAsync(batches[mine]);
        })));
        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        var stored = await contestant.CountAsync() - before;
        if (stored != expected) throw new InvalidOperationException($"{stored} records were stored, {expected} were sent.");
        return expected / seconds;
    }

    public static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return sorted.Length % 2 == 1 ? sorted[sorted.Length / 2] : (sorted[(sorted.Length / 2) - 1] + sorted[sorted.Length / 2]) / 2;
    }

    private static EventEnvelope Event()
    {
        var now = DateTimeOffset.UtcNow;
        return new EventEnvelope
        {
            Id = Ids.New("evt", now),
            Subject = Subjects.UsageModelInference,
            Source = "bench",
            Time = now,
            Data = JsonSerializer.SerializeToUtf8Bytes(new UsageBatch([.. Enumerable.Range(0, RecordsPerEvent).Select(_ => Record(now))]), EventJson.Default.UsageBatch),
        };
    }

    private static UsageRecord Record(DateTimeOffset now)
    {
        var at = now.AddMilliseconds(-Random.Shared.Next(0, 1000));
        var tenant = Random.Shared.Next(Tenants);
        int input = Random.Shared.Next(20, 8000), output = Random.Shared.Next(1, 1500);
        return new UsageRecord
        {
            Id = Ids.New("use", at),
            TenantId = $"ten_01jdm3x9q2e6k8y5c7b4a1v{tenant:d3}",
            ApiKeyId = $"key_01jdm3x9q2e6k8y5c7b4a1v{tenant:d3}",
            UserId = Random.Shared.Next(3) == 0 ? $"user-{Random.Shared.Next(1000)}" : null,
            RequestId = Ids.New("req", at),
            RunId = Random.Shared.Next(2) == 0 ? Ids.New("run", at) : null,
            Agent = Random.Shared.Next(2) == 0 ? "assistant" : null,
            Operation = "chat",
            RequestedModel = "gpt-5-mini",
            Model = "openai/gpt-5-mini",
            Provider = "openai",
            InputTokens = input,
            CachedInputTokens = input / 2,
            OutputTokens = output,
            CostUsd = (input * 0.25m + output * 2m) / 1_000_000m,
            Status = "ok",
            Stream = true,
            LatencyMs = Random.Shared.Next(200, 9000) + 0.125,
            FirstTokenMs = Random.Shared.Next(100, 900) + 0.5,
            At = at,
        };
    }
}
