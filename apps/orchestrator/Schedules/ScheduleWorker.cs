using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MultiAgent.Contracts;
using MultiAgent.Hosting.Errors;
using MultiAgent.Orchestrator.Runs.Leases;

namespace MultiAgent.Orchestrator.Schedules;

/// <summary>
/// Fires what is due, every second. First it is decided what fires, which is kept in one write with the time that comes next; then the runs are started. A process
/// that dies in between leaves the rest to another, when its lease is over: what was decided is there once, and its run is found by its id.
/// </summary>
internal sealed partial class ScheduleWorker(IScheduleStore store, IFiringStarter starter, RunOwner owner, TimeProvider time, ILogger<ScheduleWorker> logger) : BackgroundService
{
    /// <summary>Firings of one schedule that may wait for the run before.</summary>
    public const int MaxQueued = 10;

    private static readonly TimeSpan Beat = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Again = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan AfterRefusal = TimeSpan.FromSeconds(5);
    // A start that is refused for so long is given up.
    private static readonly TimeSpan Patience = TimeSpan.FromHours(1);
    private static readonly TimeSpan Retention = TimeSpan.FromDays(90);
    private const int Batch = 50;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Beat, time);
        DateTimeOffset prune = time.GetUtcNow();
        do
        {
            try
            {
                await FireAsync(stoppingToken);
                if (time.GetUtcNow() < prune) continue;
                prune = time.GetUtcNow().AddHours(1);
                while (await store.PruneAsync(time.GetUtcNow() - Retention, 500) == 500) stoppingToken.ThrowIfCancellationRequested();
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                LogFailed(e);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    /// <summary>Decides on all that is due, and tries all starts that are.</summary>
    public async Task FireAsync(CancellationToken cancellationToken)
    {
        IReadOnlyList<Schedule> due;
        do
        {
            due = await store.ClaimDueAsync(owner.Name, time.GetUtcNow(), Lease, Batch);
            foreach (Schedule schedule in due) await PlanAsync(schedule);
        }
        while (due.Count == Batch && !cancellationToken.IsCancellationRequested);
        IReadOnlyList<Firing> firings;
        do
        {
            firings = await store.ClaimFiringsAsync(owner.Name, time.GetUtcNow(), Lease, Batch);
            await Parallel.ForEachAsync(firings, new ParallelOptions { MaxDegreeOfParallelism = 8, CancellationToken = cancellationToken }, async (firing, token) => await StartAsync(firing, token));
        }
        while (firings.Count > 0 && !cancellationToken.IsCancellationRequested);
    }

    private async Task PlanAsync(Schedule schedule)
    {
        FiringPlan plan = FiringPlan.Of(schedule, time.GetUtcNow());
        if (schedule.Spec.Overlap == "queue" && plan.Firings.Count > 0)
        {
            int room = MaxQueued - await store.CountPendingAsync(schedule.TenantId, schedule.Id);
            plan = plan with { Firings = [.. plan.Firings.Select(f => f.State == FiringState.Pending && room-- <= 0 ? f with { State = FiringState.Skipped, Reason = Firing.QueueFull } : f)] };
        }
        await store.PlanAsync(schedule, owner.Name, plan);
    }

    private async Task StartAsync(Firing firing, CancellationToken cancellationToken)
    {
        DateTimeOffset now = time.GetUtcNow();
        try
        {
            if (await store.FindAsync(firing.TenantId, firing.ScheduleId) is not { } schedule) return;
            if (await starter.IsStartedAsync(firing))
            {
                await store.CompleteFiringAsync(firing, owner.Name, FiringState.Started, null, now);
                return;
            }
            if (!firing.Manual && schedule.Spec.Overlap != "allow" && await store.ActiveRunsAsync(firing.TenantId, firing.ScheduleId) is { Count: > 0 } active)
            {
                if (schedule.Spec.Overlap is not ("queue" or "cancel_previous"))
                {
                    await store.CompleteFiringAsync(firing, owner.Name, FiringState.Skipped, Firing.Overlap, now);
                    return;
                }
                if (schedule.Spec.Overlap == "cancel_previous")
                    foreach (string run in active) await starter.CancelAsync(firing.TenantId, run);
                await store.CompleteFiringAsync(firing, owner.Name, FiringState.Pending, null, now + Again);
                return;
            }
            string? refused = await starter.StartAsync(schedule, firing, cancellationToken);
            await store.CompleteFiringAsync(firing, owner.Name, refused is null ? FiringState.Started : FiringState.Failed, refused, now);
        }
        catch (ApiException e)
        {
            await RefusedAsync(firing, e.Code, now);
        }
        catch (OverloadedException)
        {
            await RefusedAsync(firing, ErrorCodes.Overloaded, now);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            // It is tried again when the lease is over.
            LogNotStarted(e, firing.Id);
        }
    }

    private Task RefusedAsync(Firing firing, string code, DateTimeOffset now) => now - firing.CreatedAt > Patience
        ? store.CompleteFiringAsync(firing, owner.Name, FiringState.Failed, code, now)
        : store.CompleteFiringAsync(firing, owner.Name, FiringState.Pending, code, now + AfterRefusal);

    [LoggerMessage(EventId = 1, EventName = "SchedulesNotFired", Level = LogLevel.Warning, Message = "Schedules that are due could not be looked for; trying again")]
    private partial void LogFailed(Exception e);

    [LoggerMessage(EventId = 2, EventName = "FiringNotStarted", Level = LogLevel.Warning, Message = "The run of firing {FiringId} could not be started; trying again")]
    private partial void LogNotStarted(Exception e, string firingId);
}
