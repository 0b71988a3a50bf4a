namespace MultiAgent.Contracts.Events;

/// <summary>Several records of requests in one event, so that the log costs little per request.</summary>
public sealed record RequestBatch(IReadOnlyList<RequestRecord> Records);

/// <summary>One authenticated request as the front door saw it. Without its body, its query and its credential.</summary>
public sealed record RequestRecord
{
    /// <summary>Unique; the consumer stores a record once however often it is delivered.</summary>
    public required string Id { get; init; }
    public required string TenantId { get; init; }
    public string? ApiKeyId { get; init; }
    public string? UserId { get; init; }
    /// <summary>The client's <c>X-Request-Id</c>, or the one that it was given; the same as in usage and runs.</summary>
    public required string RequestId { get; init; }
    public required string Method { get; init; }
    /// <summary>The path as it was asked for, without the query.</summary>
    public required string Path { get; init; }
    /// <summary>The endpoint's pattern, such as <c>/api/v1/runs/{id}</c>; null where nothing is.</summary>
    public string? Route { get; init; }
    /// <summary>HTTP status; 499 when the client left before the answer began.</summary>
    public required int Status { get; init; }
    /// <summary>The error's stable code.</summary>
    public string? ErrorCode { get; init; }
    /// <summary>From the request's arrival to the answer's end, milliseconds.</summary>
    public required double DurationMs { get; init; }
    /// <summary>Size of the request's body, as it was announced.</summary>
    public long? RequestBytes { get; init; }
    /// <summary>The model that answered, <c>provider/model</c>.</summary>
    public string? Model { get; init; }
    public string? RunId { get; init; }
    /// <summary>The client's <c>User-Agent</c>.</summary>
    public string? UserAgent { get; init; }
    /// <summary>The client's address.</summary>
    public string? ClientAddress { get; init; }
    /// <summary>When the request arrived.</summary>
    public required DateTimeOffset At { get; init; }
}
