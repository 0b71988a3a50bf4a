using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace MultiAgent.Orchestrator.Runs.Leases;

/// <summary>
/// Keeps this process's runs its own where processes share the store: renews their leases whatever their steps are doing, hands them what other
/// processes left for them, lets go of runs that were lost, and takes up what others have let go.
/// </summary>
internal sealed partial class RunLeaseKeeper(RunEngine engine, RunTakeUp takeUp, IRunLeases leases, RunOwner owner, IOptions<RunsOptions> options, TimeProvider time, ILogger<RunLeaseKeeper> logger)
    : BackgroundService
{
    // How soon a cancelling or a turn that comes from another process is noticed, and a run that was let go is taken up.
    private static readonly TimeSpan Beat = TimeSpan.FromSeconds(1);

    private readonly TimeSpan _lease = options.Value.Lease;
    private long _renewed = time.GetTimestamp();

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (!leases.IsShared) return;
        Task renewing = Task.CompletedTask, listening = Task.CompletedTask;
        long begun = _renewed;
        using var timer = new PeriodicTimer(Beat < _lease / 6 ? Beat : _lease / 6, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                // Side by side, and never two of a kind: a database that answers slowly must not keep the clock of the leases from being read.
                if (renewing.IsCompleted && time.GetElapsedTime(begun) >= _lease / 3)
                {
                    begun = time.GetTimestamp();
                    renewing = GuardAsync(() => RenewAsync(begun));
                }
                if (listening.IsCompleted) listening = GuardAsync(() => ListenAsync(stoppingToken));
                if (time.GetElapsedTime(Interlocked.Read(ref _renewed)) >= _lease) LoseAll();
            }
        }
        catch (OperationCanceledException)
        {
            await Task.WhenAll(renewing, listening);
        }
    }

    private async Task RenewAsync(long begun)
    {
        LiveRun[] held = [.. engine.Active];
        IReadOnlySet<string> kept = held.Length == 0 ? new HashSet<string>() : await leases.RenewAsync(owner.Name, _lease, [.. held.Select(l => l.Record.Id)]);
        // Counted from before the statement: the lease began at the latest then.
        Interlocked.Exchange(ref _renewed, begun);
        foreach (LiveRun live in held)
        {
            if (kept.Contains(live.Record.Id)) continue;
            if (engine.Lose(live)) LogLost(live.Record.Id);
        }
        // A run that ended with its process may have left the turn to nobody.
        foreach ((string tenantId, string conversationId) in held.Where(l => !l.HasBegun && l.Record.ConversationId is not null).Select(l => (l.Record.TenantId, l.Record.ConversationId!)).Distinct())
            await engine.StartNextAsync(tenantId, conversationId);
    }

    private async Task ListenAsync(CancellationToken stoppingToken)
    {
        if (engine.Active.Count > 0)
        {
            string[] waiting = [.. engine.Active.Where(l => !l.HasBegun).Select(l => l.Record.Id)];
            foreach (RunSignal signal in await leases.SignalsAsync(owner.Name, waiting)) await engine.HearAsync(signal);
        }
        if (!engine.IsStopping) await takeUp.TakeUpAsync(stoppingToken);
    }

    // Whoever else takes the runs up from now on must find nobody at work on them.
    private void LoseAll()
    {
        int lost = engine.Active.Count(engine.Lose);
        if (lost > 0) LogExpired(lost, _lease.TotalSeconds);
    }

    private async Task GuardAsync(Func<Task> work)
    {
        try
        {
            await work();
        }
        catch (OperationCanceledException)
        {
            // The process stops.
        }
        catch (Exception e)
        {
            LogFailed(e);
        }
    }

    [LoggerMessage(EventId = 1, EventName = "RunLost", Level = LogLevel.Warning, Message = "Run {RunId} is held by another process now; this one stopped working on it")]
    private partial void LogLost(string runId);

    [LoggerMessage(EventId = 2, EventName = "RunLeasesExpired", Level = LogLevel.Error, Message = "{Count} runs were let go: their leases could not be renewed for {Seconds} s")]
    private partial void LogExpired(int count, double seconds);

    [LoggerMessage(EventId = 3, EventName = "RunLeasesNotKept", Level = LogLevel.Warning, Message = "The leases of runs could not be kept; trying again")]
    private partial void LogFailed(Exception e);
}
