using System.Collections.Concurrent;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>Counts each tenant's active runs against its limit.</summary>
internal sealed class RunSlots
{
    private readonly ConcurrentDictionary<string, StrongBox> _active = new(StringComparer.Ordinal);

    /// <summary>Takes a slot; false when the tenant has none left.</summary>
    public bool TryTake(string tenantId, int limit)
    {
        StrongBox count = Of(tenantId);
        if (Interlocked.Increment(ref count.Value) <= limit) return true;
        Interlocked.Decrement(ref count.Value);
        return false;
    }

    /// <summary>Takes a slot for a run that was accepted before: it is not refused now.</summary>
    public void Take(string tenantId) => Interlocked.Increment(ref Of(tenantId).Value);

    public void Release(string tenantId) => Interlocked.Decrement(ref Of(tenantId).Value);

    private StrongBox Of(string tenantId) => _active.GetOrAdd(tenantId, static _ => new StrongBox());

    private sealed class StrongBox
    {
        public int Value;
    }
}
