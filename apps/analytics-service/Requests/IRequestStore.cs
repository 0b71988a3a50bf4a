using MultiAgent.Analytics.Records;

namespace MultiAgent.Analytics.Requests;

/// <summary>The log of requests: added by events, read by their tenant.</summary>
internal interface IRequestStore
{
    /// <summary>
    /// Adds the records of batches as they came, which are the JSON of <see cref="Contracts.Events.RequestBatch"/>; one that is known already is left
    /// as it is. Durable when it returns.
    /// </summary>
    /// <exception cref="System.Text.Json.JsonException">A batch is malformed; nothing was added.</exception>
    Task AddAsync(IReadOnlyList<ReadOnlyMemory<byte>> batches);

    /// <summary>Counts and times by group, in the order of time and then the most first; without groups exactly one row.</summary>
    ValueTask<IReadOnlyList<RequestGroup>> SummarizeAsync(RequestFilter filter, IReadOnlyList<RecordGrouping> groups);

    /// <summary>Records from the newest to the oldest.</summary>
    ValueTask<IReadOnlyList<RequestItem>> ListAsync(RequestFilter filter, RecordPosition? after, int limit);

    /// <summary>One record; null when the tenant has none of that id.</summary>
    ValueTask<RequestItem?> FindAsync(string tenantId, string id);
}

/// <summary>Which requests of which tenant. What is null does not matter.</summary>
internal sealed record RequestFilter(string TenantId, TimeRange Range)
{
    public string? Method { get; init; }

    /// <summary>The endpoint's pattern.</summary>
    public string? Route { get; init; }

    /// <summary>The first and the last status.</summary>
    public (int First, int Last) Status { get; init; } = (0, 999);

    public string? ErrorCode { get; init; }

    public string? ApiKey { get; init; }

    public string? UserId { get; init; }

    public string? RequestId { get; init; }

    public string? RunId { get; init; }

    public string? Model { get; init; }

    /// <summary>Milliseconds.</summary>
    public double MinDurationMs { get; init; }
}

/// <summary>One request.</summary>
/// <param name="Id">Of the record; the request's own is <paramref name="RequestId"/>.</param>
/// <param name="At">When it arrived.</param>
/// <param name="RequestId">The client's <c>X-Request-Id</c>, or the one that it was given.</param>
/// <param name="ApiKeyId">The key that it came with.</param>
/// <param name="UserId">The user that it came from.</param>
/// <param name="Method">HTTP method.</param>
/// <param name="Path">Without the query.</param>
/// <param name="Route">The endpoint's pattern; absent where nothing is.</param>
/// <param name="Status">HTTP status; 499 when the client left before the answer began.</param>
/// <param name="ErrorCode">The error's stable code.</param>
/// <param name="DurationMs">From its arrival to the answer's end, milliseconds.</param>
/// <param name="RequestBytes">Size of its body, as it was announced.</param>
/// <param name="Model">The model that answered.</param>
/// <param name="RunId">The run that answered.</param>
/// <param name="UserAgent">The client's <c>User-Agent</c>.</param>
/// <param name="ClientAddress">The client's address.</param>
internal sealed record RequestItem(
    string Id, DateTimeOffset At, string RequestId, string? ApiKeyId, string? UserId, string Method, string Path, string? Route, int Status, string? ErrorCode, double DurationMs,
    long? RequestBytes, string? Model, string? RunId, string? UserAgent, string? ClientAddress);

/// <summary>Requests of one group.</summary>
internal sealed record RequestGroup
{
    /// <summary>The group's values by the names in <c>groupBy</c>; absent without grouping.</summary>
    public IReadOnlyDictionary<string, string?>? Group { get; init; }
    public required long Requests { get; init; }
    /// <summary>Requests that were answered with 400 to 499.</summary>
    public required long ClientErrors { get; init; }
    /// <summary>Requests that were answered with 500 or more.</summary>
    public required long ServerErrors { get; init; }
    public double? AverageMs { get; init; }
    /// <summary>The time that half of the requests did not need.</summary>
    public double? P50Ms { get; init; }
    /// <summary>The time that five of a hundred requests needed or exceeded.</summary>
    public double? P95Ms { get; init; }
    public double? MaxMs { get; init; }
}
