using System.Collections.Concurrent;
using Polly;
using Polly.CircuitBreaker;
using Polly.RateLimiting;
using Polly.Retry;

namespace MultiAgent.Orchestrator.Tools.Sources;

/// <summary>
/// What stands between calls and a source: a bulkhead, a circuit breaker that all calls share, and retries for those that may be repeated. One set per source, so that
/// one that is down takes nothing from the others.
/// </summary>
internal sealed class SourcePipelines(TimeProvider time)
{
    private const int MaxKept = 10_000;

    private readonly ConcurrentDictionary<string, Set> _bySource = new(StringComparer.Ordinal);

    public SourcePipeline Of(ToolSource source, bool repeatable)
    {
        SourceLimits limits = source.Spec.Limits ?? new SourceLimits();
        if (!_bySource.TryGetValue(source.Id, out Set? set) || set.Limits != limits)
        {
            if (_bySource.Count >= MaxKept) _bySource.Clear();
            _bySource[source.Id] = set = Build(source.Slug, limits);
        }
        return repeatable ? set.Repeatable : set.Once;
    }

    private Set Build(string slug, SourceLimits limits)
    {
        int concurrent = limits.MaxConcurrent ?? 16, attempts = limits.MaxAttempts ?? 3;
        ResiliencePipeline bulkhead = new ResiliencePipelineBuilder { TimeProvider = time }.AddConcurrencyLimiter(concurrent, queueLimit: concurrent).Build();
        ResiliencePipeline breaker = new ResiliencePipelineBuilder { TimeProvider = time }.AddCircuitBreaker(new CircuitBreakerStrategyOptions
        {
            ShouldHandle = new PredicateBuilder().Handle<ToolException>(e => e.IsTransient),
            FailureRatio = 0.5,
            MinimumThroughput = 8,
            SamplingDuration = TimeSpan.FromSeconds(30),
            BreakDuration = TimeSpan.FromSeconds(15),
        }).Build();
        ResiliencePipeline once = new ResiliencePipelineBuilder { TimeProvider = time }.AddPipeline(bulkhead).AddPipeline(breaker).Build();
        if (attempts <= 1) return new Set(limits, new SourcePipeline(slug, once), new SourcePipeline(slug, once));
        ResiliencePipeline repeatable = new ResiliencePipelineBuilder { TimeProvider = time }.AddPipeline(bulkhead).AddRetry(new RetryStrategyOptions
        {
            ShouldHandle = new PredicateBuilder().Handle<ToolException>(e => e.IsTransient),
            MaxRetryAttempts = attempts - 1,
            BackoffType = DelayBackoffType.Exponential,
            UseJitter = true,
            Delay = TimeSpan.FromMilliseconds(200),
            MaxDelay = TimeSpan.FromSeconds(5),
        }).AddPipeline(breaker).Build();
        return new Set(limits, new SourcePipeline(slug, once), new SourcePipeline(slug, repeatable));
    }

    private sealed record Set(SourceLimits Limits, SourcePipeline Once, SourcePipeline Repeatable);
}

/// <summary>The way of one call to a source.</summary>
internal sealed class SourcePipeline(string slug, ResiliencePipeline pipeline)
{
    /// <exception cref="ToolException">It failed, or was not made.</exception>
    public async Task<T> RunAsync<T>(Func<CancellationToken, Task<T>> attempt, CancellationToken cancellationToken)
    {
        try
        {
            return await pipeline.ExecuteAsync(async token => await attempt(token), cancellationToken);
        }
        catch (BrokenCircuitException)
        {
            throw new ToolException($"'{slug}' has failed too often and is given a pause. Try again later.") { Code = ToolErrorCodes.SourceUnavailable };
        }
        catch (RateLimiterRejectedException)
        {
            throw new ToolException($"'{slug}' is busy with as many calls as it may have at once. Try again later.") { Code = ToolErrorCodes.SourceBusy };
        }
    }
}
