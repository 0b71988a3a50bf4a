using System.Collections.Concurrent;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Runs.Leases;
using MultiAgent.Orchestrator.Runs.Storage;

namespace MultiAgent.Orchestrator.Worker;

/// <summary>
/// A fuse in the store of runs, which blows for one run at one of its writes: from then on nothing of this run, of the runs of its agents and of theirs is stored any
/// more by this process. Once the process is gone the database holds what it holds after kill -9 at that moment, and many runs can be brought to their
/// moments by one process. The moment is in the run's idempotency key, <c>cut:&lt;write&gt;:&lt;how&gt;:…</c>; writes are counted from 1, those of agents' runs included.
/// </summary>
internal sealed class Fuse
{
    /// <summary>The write is on disk, and the process does nothing after it.</summary>
    public const string AtOnce = "now";

    /// <summary>The write is on disk, and the process goes on up to the next one: a tool is called whose result is not stored.</summary>
    public const string BeforeNext = "next";

    private readonly ConcurrentDictionary<string, Family> _families = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, string> _roots = new(StringComparer.Ordinal);
    private readonly TaskCompletionSource _removed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Writes of a run and its agents that were let through.</summary>
    public int Writes(string runId) => _families.TryGetValue(runId, out Family? family) ? family.Writes : 0;

    /// <summary>Keys of the runs for which the fuse has blown.</summary>
    public IReadOnlyList<string> Blown => [.. _families.Values.Where(f => f.Blown).Select(f => f.Key!)];

    public static string Key(int write, string how, string rest) => $"cut:{write}:{how}:{rest}";

    /// <summary>Whoever hangs in a write hears that the run is another's: the process can be stopped.</summary>
    public void Remove() => _removed.TrySetResult();

    public void AddTo(IServiceCollection services, bool postgres) => services.AddSingleton<IRunStore>(s => postgres
        ? new Store(this, ActivatorUtilities.CreateInstance<PostgresRunStore>(s)) : new Store(this, ActivatorUtilities.CreateInstance<SqliteRunStore>(s)));

    private async Task<T> PassAsync<T>(RunRecord run, Func<Task<T>> write)
    {
        // A parent writes before the runs that it starts.
        string root = _roots.GetOrAdd(run.Id, run.ParentRunId is { } parent ? _roots.GetValueOrDefault(parent, parent) : run.Id);
        Family family = _families.GetOrAdd(root, static (_, key) => Family.Of(key), run.ParentRunId is null ? run.IdempotencyKey : null);
        bool last;
        lock (family)
        {
            last = !family.Blown && ++family.Writes == family.At;
            if (last) family.Blown = true;
            else if (family.Blown) family.Hangs = true;
        }
        if (family.Hangs && !last) return await HangAsync<T>(run);
        T result = await write();
        return last && !family.GoesOn ? await HangAsync<T>(run) : result;
    }

    private async Task<T> HangAsync<T>(RunRecord run)
    {
        await _removed.Task;
        throw new LeaseLostException(run.Id);
    }

    private sealed class Family(string? key, int at, bool goesOn)
    {
        public string? Key => key;
        public int At => at;
        public bool GoesOn => goesOn;
        public int Writes;
        public volatile bool Blown;
        public volatile bool Hangs;

        public static Family Of(string? key) => key?.Split(':') is ["cut", { } at, { } how, ..] ? new Family(key, int.Parse(at, System.Globalization.CultureInfo.InvariantCulture), how == BeforeNext) : new Family(key, 0, false);
    }

    private sealed class Store(Fuse fuse, IRunStore inner) : IRunStore
    {
        public Task<AcceptOutcome> AcceptAsync(NewRun run) => fuse.PassAsync(run.Record, () => inner.AcceptAsync(run));

        public Task AppendAsync(RunWrite write) => fuse.PassAsync(write.Run, async () =>
        {
            await inner.AppendAsync(write);
            return true;
        });

        public Task<StartedNext?> StartNextAsync(string tenantId, string conversationId, DateTimeOffset now) => inner.StartNextAsync(tenantId, conversationId, now);
        public Task<bool> CancelQueuedAsync(RunWrite write) => fuse.PassAsync(write.Run, () => inner.CancelQueuedAsync(write));
        public ValueTask<RunRecord?> FindAsync(string tenantId, string runId) => inner.FindAsync(tenantId, runId);
        public ValueTask<RunRecord?> FindByKeyAsync(string tenantId, string idempotencyKey) => inner.FindByKeyAsync(tenantId, idempotencyKey);
        public ValueTask<IReadOnlyList<RunEvent>> EventsAsync(string tenantId, string runId, long afterSeq, int limit) => inner.EventsAsync(tenantId, runId, afterSeq, limit);
        public ValueTask<long> LastSeqAsync(string tenantId, string runId) => inner.LastSeqAsync(tenantId, runId);
        public ValueTask<byte[]?> LastEventAsync(string tenantId, string runId, string type) => inner.LastEventAsync(tenantId, runId, type);
        public ValueTask<IReadOnlyList<RunRecord>> ListAsync(string tenantId, RunFilter filter, string? beforeId, int limit) => inner.ListAsync(tenantId, filter, beforeId, limit);
        public ValueTask<StoredHistory> HistoryAsync(string tenantId, string conversationId, string exceptRunId, int limit) => inner.HistoryAsync(tenantId, conversationId, exceptRunId, limit);
        public Task<int> ForgetKeysAsync(DateTimeOffset before, int batch) => inner.ForgetKeysAsync(before, batch);
    }
}
