using System.Collections.Concurrent;
using MultiAgent.Contracts.Identity;

namespace MultiAgent.Hosting.Telemetry;

/// <summary>
/// <c>active_users_total</c>: distinct users (or API keys, where no person is known) seen in the last five minutes.
/// </summary>
public sealed class ActiveUsers
{
    private const int MaxTracked = 100_000;
    private static readonly TimeSpan Window = TimeSpan.FromMinutes(5);

    private readonly ConcurrentDictionary<string, long> _seen = new(StringComparer.Ordinal);
    private readonly TimeProvider _time;

    public ActiveUsers(TimeProvider time)
    {
        _time = time;
        PlatformTelemetry.Meter.CreateObservableGauge("active_users_total", Count, null, "Distinct users or API keys seen in the last five minutes.");
    }

    internal void Seen(Caller caller)
    {
        string id = caller.ApiKeyId ?? caller.UserId ?? caller.TenantId;
        long now = _time.GetTimestamp();
        // A write per request to a shared line is dear; a second is exact enough for a window of five minutes.
        if (_seen.TryGetValue(id, out long last))
        {
            if (_time.GetElapsedTime(last, now) > TimeSpan.FromSeconds(1)) _seen[id] = now;
        }
        else if (_seen.Count < MaxTracked) _seen[id] = now;
    }

    private long Count()
    {
        long now = _time.GetTimestamp();
        long count = 0;
        foreach ((string id, long last) in _seen)
        {
            if (_time.GetElapsedTime(last, now) <= Window) count++;
            else _seen.TryRemove(new(id, last));
        }
        return count;
    }
}
