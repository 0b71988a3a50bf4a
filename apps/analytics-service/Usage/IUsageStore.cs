using MultiAgent.Contracts;
using MultiAgent.Hosting.Errors;

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
    ValueTask<IReadOnlyList<UsageGroup>> SummarizeAsync(UsageFilter filter, IReadOnlyList<UsageGrouping> groups);

    /// <summary>Records from the newest to the oldest.</summary>
    ValueTask<IReadOnlyList<UsageItem>> ListAsync(UsageFilter filter, UsagePosition? after, int limit);
}

/// <summary>Which usage of which tenant.</summary>
internal sealed record UsageFilter(string TenantId, TimeRange Range, string? Model, string? Agent, string? ApiKey);

/// <summary>Where a record stands in the list.</summary>
internal readonly record struct UsagePosition(long At, string Id)
{
    public static UsagePosition Of(UsageItem item) => new(item.At.ToUnixTimeMilliseconds(), item.Id);

    /// <summary>From a cursor.</summary>
    /// <exception cref="ApiException">400: it is not one of this list.</exception>
    public static UsagePosition? Parse(string? cursor)
    {
        if (cursor is null) return null;
        int bar = cursor.IndexOf('|');
        return bar > 0 && long.TryParse(cursor.AsSpan(0, bar), out long at) && at >= DateTimeOffset.MinValue.ToUnixTimeMilliseconds() && at <= DateTimeOffset.MaxValue.ToUnixTimeMilliseconds()
            ? new UsagePosition(at, cursor[(bar + 1)..])
            : throw new ApiException(400, ErrorCodes.ValidationFailed, "'cursor' is not a cursor of this list.", "cursor");
    }

    public override string ToString() => $"{At}|{Id}";
}
