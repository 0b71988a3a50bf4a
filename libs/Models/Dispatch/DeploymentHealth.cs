using System.Collections.Concurrent;
using Microsoft.Extensions.Options;
using MultiAgent.Models.Catalogue;

namespace MultiAgent.Models.Dispatch;

/// <summary>State of a circuit; the numbers are the values of the metric <c>model_circuit_state</c>.</summary>
public enum CircuitState
{
    Closed = 0,
    HalfOpen = 1,
    Open = 2,
}

/// <summary>
/// Circuit breaker and cooldown of one deployment. Failures in a row open it; after the break one request may try, and
/// decides. A 429 only cools it down for as long as the provider asked.
/// </summary>
internal sealed class DeploymentHealth(string deploymentId, string provider, ResilienceOptions options, TimeProvider time)
{
    private int _failures;
    private long _blockedUntil;
    private int _probing;
    private long _lastLatency;
    private volatile bool _rateLimited;

    public string DeploymentId => deploymentId;

    public string Provider => provider;

    /// <summary>Time to the first byte of the last answer; null before the first.</summary>
    public TimeSpan? LastLatency => Volatile.Read(ref _lastLatency) is var ticks and > 0 ? TimeSpan.FromTicks(ticks) : null;

    public CircuitState State => _failures < options.BreakAfterFailures ? CircuitState.Closed
        : time.GetTimestamp() >= Volatile.Read(ref _blockedUntil) ? CircuitState.HalfOpen : CircuitState.Open;

    /// <summary>How long nothing will be sent yet; zero when a request may be.</summary>
    public TimeSpan BlockedFor => Volatile.Read(ref _blockedUntil) is var until and > 0 && time.GetElapsedTime(time.GetTimestamp(), until) is { Ticks: > 0 } left ? left : TimeSpan.Zero;

    /// <summary>True when a request may be sent now. On a half-open circuit only one caller gets true.</summary>
    public bool TryEnter()
    {
        if (Volatile.Read(ref _failures) == 0 && Volatile.Read(ref _blockedUntil) == 0) return true;
        if (time.GetTimestamp() < Volatile.Read(ref _blockedUntil)) return false;
        return State != CircuitState.HalfOpen || Interlocked.CompareExchange(ref _probing, 1, 0) == 0;
    }

    /// <summary>True while nothing is sent because the provider said that there were too many requests.</summary>
    public bool RateLimited => _rateLimited && BlockedFor > TimeSpan.Zero;

    /// <summary>An answer has begun. Whether it is a success shows at its end: a provider may break off every stream.</summary>
    public void Answered(TimeSpan latency) => Volatile.Write(ref _lastLatency, latency.Ticks);

    public void Succeeded()
    {
        if (Volatile.Read(ref _failures) == 0 && Volatile.Read(ref _blockedUntil) == 0) return;
        Volatile.Write(ref _failures, 0);
        // A pause that the provider asked for outlasts the success of a request that was under way.
        long until = Volatile.Read(ref _blockedUntil);
        if (time.GetTimestamp() >= until) Interlocked.CompareExchange(ref _blockedUntil, 0, until);
        Volatile.Write(ref _probing, 0);
    }

    public void Failed()
    {
        if (Interlocked.Increment(ref _failures) >= options.BreakAfterFailures)
        {
            _rateLimited = false;
            BlockFor(TimeSpan.FromSeconds(options.BreakSeconds));
        }
        Volatile.Write(ref _probing, 0);
    }

    /// <summary>The provider asked for a pause: nothing is sent until it is over. Not a failure.</summary>
    /// <param name="pause">For how long.</param>
    /// <param name="rateLimited">Because of too many requests, and not of a fault.</param>
    public void CoolDown(TimeSpan pause, bool rateLimited)
    {
        _rateLimited = rateLimited;
        BlockFor(pause);
        Volatile.Write(ref _probing, 0);
    }

    /// <summary>The attempt ended without saying anything about the deployment (the client left).</summary>
    public void Abandoned() => Volatile.Write(ref _probing, 0);

    // Of two pauses the longer one counts.
    private void BlockFor(TimeSpan pause)
    {
        long until = time.GetTimestamp() + (long)(pause.TotalSeconds * time.TimestampFrequency);
        long seen;
        while ((seen = Volatile.Read(ref _blockedUntil)) < until && Interlocked.CompareExchange(ref _blockedUntil, until, seen) != seen)
        {
            // another thread was first: compare again
        }
    }
}

/// <summary>
/// The health of every deployment that was used, by its id, so that it outlives a reload of the catalogue. Deployments of models
/// outside the catalogue keep their own, which goes with them: clients can name any number of those.
/// </summary>
internal sealed class DeploymentHealthRegistry(IOptions<ResilienceOptions> options, TimeProvider time)
{
    private readonly ConcurrentDictionary<string, DeploymentHealth> _all = new(StringComparer.Ordinal);

    public DeploymentHealth Of(Deployment deployment)
    {
        if (deployment.Health is DeploymentHealth known) return known;
        DeploymentHealth health = deployment.Listed
            ? _all.GetOrAdd(deployment.Id, static (id, self) => new DeploymentHealth(id, self.deployment.Provider, self.options.Value, self.time), (options, time, deployment))
            : new DeploymentHealth(deployment.Id, deployment.Provider, options.Value, time);
        return (DeploymentHealth?)Interlocked.CompareExchange(ref deployment.Health, health, null) ?? health;
    }

    public IEnumerable<DeploymentHealth> All => _all.Values;
}
