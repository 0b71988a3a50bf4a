using System.Collections.Concurrent;

namespace MultiAgent.Hosting.Limits;

/// <summary>The slots of a process by itself. Tenants with nothing under way take no memory.</summary>
public sealed class ConcurrencyLimiter : IConcurrencyLimiter
{
    private readonly ConcurrentDictionary<string, HashSet<string>> _holders = new(StringComparer.Ordinal);

    /// <summary>What is held, tenant by tenant: a copy.</summary>
    internal IEnumerable<(string TenantId, string[] Holders)> Held
    {
        get
        {
            foreach ((string tenantId, HashSet<string> set) in _holders)
            {
                string[] copy;
                lock (set) copy = [.. set];
                if (copy.Length > 0) yield return (tenantId, copy);
            }
        }
    }

    public ValueTask<bool> TryTakeAsync(string tenantId, string holder, int limit) => new(Add(tenantId, holder, limit));

    public void Take(string tenantId, string holder) => Add(tenantId, holder, int.MaxValue);

    public void Release(string tenantId, string holder)
    {
        if (!_holders.TryGetValue(tenantId, out HashSet<string>? set)) return;
        lock (set)
        {
            // Under the set's lock: who finds an empty set that is no longer in the table looks again.
            if (set.Remove(holder) && set.Count == 0) _holders.TryRemove(new(tenantId, set));
        }
    }

    internal bool Holds(string tenantId, string holder)
    {
        if (!_holders.TryGetValue(tenantId, out HashSet<string>? set)) return false;
        lock (set) return set.Contains(holder);
    }

    internal bool Add(string tenantId, string holder, int limit)
    {
        while (true)
        {
            HashSet<string> set = _holders.GetOrAdd(tenantId, static _ => new HashSet<string>(StringComparer.Ordinal));
            lock (set)
            {
                if (set.Count == 0 && !(_holders.TryGetValue(tenantId, out HashSet<string>? current) && ReferenceEquals(current, set))) continue;
                if (set.Count >= limit && !set.Contains(holder)) return false;
                set.Add(holder);
                return true;
            }
        }
    }
}
