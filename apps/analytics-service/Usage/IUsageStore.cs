using MultiAgent.Analytics.Records;

namespace MultiAgent.Analytics.Usage;

/// <summary>Usage records: added by events, read by their tenant.</summary>
internal interface IUsageStore
{
    /// <summary>
    /// Adds the records of batches as they came, which are the JSON of <see cref="Contracts.Events.UsageBatch"/>; one that is known already is left
    /// as it is. Durable when it returns.
    /// </summary>
    /// <exception cref="System.Text.Json.JsonException">A batch is malformed; nothing was added.</exception>
    Task AddAsync(IReadOnlyList<ReadOnlyMemory<byte>> batches);

    /// <summary>Sums by group, dearest first; without groups exactly one row.</summary>
    ValueTask<IReadOnlyList<UsageGroup>> SummarizeAsync(UsageFilter filter, IReadOnlyList<RecordGrouping> groups);

    /// <summary>Records from the newest to the oldest.</summary>
    ValueTask<IReadOnlyList<UsageItem>> ListAsync(UsageFilter filter, RecordPosition? after, int limit);
}

/// <summary>Which usage of which tenant.</summary>
internal sealed record UsageFilter(string TenantId, TimeRange Range, string? Model, string? Agent, string? ApiKey);
