namespace MultiAgent.Hosting.Limits;

/// <summary>How many things of a tenant, such as runs, may be under way at once.</summary>
public interface IConcurrencyLimiter
{
    /// <summary>Takes a slot for <paramref name="holder"/>; false when the tenant has none left.</summary>
    /// <param name="tenantId">Whose slots.</param>
    /// <param name="holder">Id of what holds the slot, e.g. a run; unique.</param>
    /// <param name="limit">How many the tenant may hold.</param>
    ValueTask<bool> TryTakeAsync(string tenantId, string holder, int limit);

    /// <summary>Takes a slot for what was accepted before: it is not refused now.</summary>
    void Take(string tenantId, string holder);

    /// <summary>Gives the slot back; nothing happens when the holder has none.</summary>
    void Release(string tenantId, string holder);
}
