using MultiAgent.Contracts;
using MultiAgent.Data.Postgres;
using MultiAgent.Orchestrator.Runs.Leases;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>Writes a run's steps, and outlasts a database that is away for a while: the run was accepted, and waits rather than fail.</summary>
internal sealed class RunWriter(RunServices services, LiveRun live)
{
    // Longer than a database takes to come back after a crash or a change of the primary.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <param name="write">What is to be stored.</param>
    /// <param name="unknown">It may have been stored before.</param>
    /// <exception cref="LeaseLostException">The run is another process's; it is stopped here.</exception>
    public async Task WriteAsync(RunWrite write, bool unknown = false)
    {
        long begun = services.Time.GetTimestamp();
        for (int attempt = 0; ; attempt++)
        {
            try
            {
                if (unknown && await IsStoredAsync(write)) return;
                await services.Store.AppendAsync(write);
                return;
            }
            catch (LeaseLostException)
            {
                // What it is refused by may be itself: an attempt whose answer was lost, and which was committed only after it was looked for.
                if (unknown && await IsStoredAsync(write)) return;
                // Before anything else of the run hears of it: its runs and its tool calls are the new holder's, and not to be cancelled with the strand that failed.
                live.Stop(StopCause.LeaseLost);
                throw;
            }
            catch (Exception e) when (unknown && PostgresFaults.IsDuplicate(e) && attempt < 6)
            {
                // The same.
            }
            catch (OverloadedException) when (attempt < 6)
            {
                // It waits for its turn rather than fail.
            }
            catch (StorageUnavailableException e) when (services.Time.GetElapsedTime(begun) < Patience && live.Cause is not (StopCause.Shutdown or StopCause.LeaseLost))
            {
                // A database that restarts is no reason to fail, or to make the call of the model again.
                unknown |= e.OutcomeUnknown;
            }
            await Task.Delay(TimeSpan.FromMilliseconds(50 << Math.Min(attempt, 5)), services.Time);
        }
    }

    /// <summary>True when the write was stored, though the answer to it was lost.</summary>
    private async Task<bool> IsStoredAsync(RunWrite write)
    {
        RunEvent first = write.Events[0];
        return await services.Store.EventsAsync(write.Run.TenantId, write.Run.Id, first.Seq - 1, 1) is [{ } stored]
            && stored.Seq == first.Seq && stored.Type == first.Type && stored.Data.AsSpan().SequenceEqual(first.Data);
    }
}
