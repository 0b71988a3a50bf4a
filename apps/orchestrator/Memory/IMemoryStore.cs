namespace MultiAgent.Orchestrator.Memory;

/// <summary>Keeps facts. The tenant is part of every look-up; writes are durable when they return.</summary>
internal interface IMemoryStore
{
    /// <summary>Writes a fact down; one that is there already is brought to mind again instead. Returns it as it is kept. Above <paramref name="max"/> facts of the subject those unused for longest go.</summary>
    Task<Fact> RememberAsync(string tenantId, Fact fact, int max);

    ValueTask<Fact?> FindAsync(string tenantId, string id);

    /// <summary>All facts of some subjects.</summary>
    ValueTask<IReadOnlyList<Fact>> OfAsync(string tenantId, IReadOnlyList<string> subjects);

    /// <summary>Newest first; of one subject, or of all.</summary>
    ValueTask<IReadOnlyList<Fact>> ListAsync(string tenantId, string? subject, string? beforeId, int limit);

    /// <summary>Notes that facts were found.</summary>
    Task UsedAsync(string tenantId, IReadOnlyList<string> ids, DateTimeOffset now);

    /// <summary>Changes a text; false when it is not there, null when the subject has that fact already.</summary>
    Task<bool?> ChangeAsync(string tenantId, Fact fact);

    /// <summary>False when it is not there.</summary>
    Task<bool> ForgetAsync(string tenantId, string id);

    /// <summary>Forgets all of a subject; returns how many.</summary>
    Task<int> ForgetAllAsync(string tenantId, string subject);

    /// <summary>Forgets up to <paramref name="batch"/> facts of all tenants that were not used since; returns how many.</summary>
    Task<int> ForgetUnusedAsync(DateTimeOffset since, int batch);
}
