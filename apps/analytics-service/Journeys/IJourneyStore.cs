using System.Text.Json;
using MultiAgent.Contracts.Events;

namespace MultiAgent.Analytics.Journeys;

/// <summary>Journeys and their steps. Changes are idempotent by their ids and may come in any order after the start.</summary>
internal interface IJourneyStore
{
    /// <summary>Applies every change of the batches, which are the JSON of <see cref="JourneyBatch"/>. Durable when it returns.</summary>
    /// <exception cref="JsonException">A batch is malformed; nothing was applied.</exception>
    Task ApplyAsync(IReadOnlyList<ReadOnlyMemory<byte>> batches);

    /// <summary>Applies one change if the journey is the tenant's and active. False: it is not there; null: it has ended.</summary>
    Task<bool?> TryApplyAsync(JourneyChange change);

    /// <summary>A journey with its steps.</summary>
    ValueTask<JourneyItem?> FindAsync(string tenantId, string id);

    /// <summary>Journeys from the newest to the oldest, below the id <paramref name="before"/>.</summary>
    ValueTask<IReadOnlyList<JourneyItem>> ListAsync(JourneyFilter filter, string? before, int limit);

    /// <summary>
    /// Ends active journeys that were last seen before the given time, of all tenants; returns their types and durations. Each is ended by one caller,
    /// however many call at once.
    /// </summary>
    Task<IReadOnlyList<(string Type, double DurationMs)>> AbandonAsync(DateTimeOffset lastSeenBefore, DateTimeOffset now, int batch);

    /// <summary>Active journeys of all tenants.</summary>
    ValueTask<long> CountActiveAsync();

    Task ApplyAsync(IReadOnlyList<JourneyChange> changes) => ApplyAsync([ToBatch(changes)]);

    /// <summary>Changes as an event holds them.</summary>
    static ReadOnlyMemory<byte> ToBatch(IReadOnlyList<JourneyChange> changes) => JsonSerializer.SerializeToUtf8Bytes(new JourneyBatch(changes), EventJson.Default.JourneyBatch);
}

/// <summary>Which journeys of which tenant.</summary>
internal sealed record JourneyFilter(string TenantId, TimeRange Range, string? Type, string? Status, string? UserId);
