using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Data;

namespace MultiAgent.Hosting.Health;

/// <summary>
/// State of all dependencies, looked at once a second at most however many ask: a look writes to the databases, and anybody may ask. One that found
/// something down is believed for less, so that its end is soon known.
/// </summary>
internal sealed class HealthState(IServiceProvider services, TimeProvider time)
{
    private static readonly TimeSpan ProbeTimeout = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Fresh = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan FreshWhileDown = TimeSpan.FromMilliseconds(200);

    private readonly Lock _lock = new();
    private Task<DependencyHealth[]>? _look;
    private long _looked;

    public Task<DependencyHealth[]> DependenciesAsync(CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            // Not with the token of one of those who ask: others may wait for the same look.
            if (_look is null || (_look.IsCompleted && time.GetElapsedTime(_looked) >= FreshnessOf(_look))) _look = Task.Run(LookAsync, CancellationToken.None);
            return _look.WaitAsync(cancellationToken);
        }
    }

    private static TimeSpan FreshnessOf(Task<DependencyHealth[]> look) =>
        !look.IsCompletedSuccessfully ? TimeSpan.Zero : look.Result.Any(d => d.Status == "down") ? FreshWhileDown : Fresh;

    private async Task<DependencyHealth[]> LookAsync()
    {
        var databases = services.GetRequiredService<Databases>();
        IEnumerable<IHealthProbe> probes = services.GetServices<IHealthProbe>()
            .Concat(services.GetServices<IHealthProbeSource>().SelectMany(s => s.Probes))
            .Concat(databases.Sqlite.Select(d => new DatabaseProbe(d))).Concat(databases.Postgres.SelectMany(PostgresProbe.Of));
        DependencyHealth[] found = await Task.WhenAll(probes.Select(CheckAsync));
        lock (_lock) _looked = time.GetTimestamp();
        return found;
    }

    private static async Task<DependencyHealth> CheckAsync(IHealthProbe probe)
    {
        long started = Stopwatch.GetTimestamp();
        ProbeResult result;
        using var limit = new CancellationTokenSource(ProbeTimeout);
        try
        {
            // A probe that blocks its thread must not block the report.
            result = await Task.Run(async () => await probe.CheckAsync(limit.Token), limit.Token).WaitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            result = ProbeResult.Down($"no answer within {ProbeTimeout.TotalSeconds:0} s");
        }
        catch (Exception e)
        {
            result = ProbeResult.Down(e.GetType().Name);
        }
        string status = result.Status switch { ProbeStatus.Ok => "ok", ProbeStatus.Degraded => "degraded", ProbeStatus.Down => "down", _ => "down" };
        return new DependencyHealth(probe.Name, probe.Service, status, Math.Round((result.Latency ?? Stopwatch.GetElapsedTime(started)).TotalMilliseconds, 3), result.Detail);
    }
}
