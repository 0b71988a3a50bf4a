using System.Text.Json.Serialization;

namespace MultiAgent.Contracts.Events;

/// <summary>Several usage records in one event, so that metering costs little per request.</summary>
public sealed record UsageBatch(IReadOnlyList<UsageRecord> Records);

/// <summary>One call of a model as it is metered. The ledger entry for money: every attempt that a provider charges has one.</summary>
public sealed record UsageRecord
{
    /// <summary>Unique; the consumer stores a record once however often it is delivered.</summary>
    public required string Id { get; init; }
    public required string TenantId { get; init; }
    public string? ApiKeyId { get; init; }
    public string? UserId { get; init; }
    /// <summary>The client's request (header <c>X-Request-Id</c>).</summary>
    public required string RequestId { get; init; }
    public string? RunId { get; init; }
    /// <summary>Slug of the agent on whose behalf the model was called.</summary>
    public string? Agent { get; init; }
    /// <summary><c>chat</c> or <c>embeddings</c> (OpenTelemetry <c>gen_ai.operation.name</c>).</summary>
    public required string Operation { get; init; }
    /// <summary>The name that the client asked for.</summary>
    public required string RequestedModel { get; init; }
    /// <summary>The model that answered, <c>provider/model</c>.</summary>
    public required string Model { get; init; }
    public required string Provider { get; init; }
    /// <summary>All input tokens, cached ones included.</summary>
    public required long InputTokens { get; init; }
    /// <summary>Input tokens served from the provider's cache, billed at the cached price.</summary>
    public long CachedInputTokens { get; init; }
    /// <summary>Input tokens written to the provider's cache (Anthropic), billed at the cache-write price.</summary>
    public long CacheWriteTokens { get; init; }
    /// <summary>All output tokens, reasoning included.</summary>
    public required long OutputTokens { get; init; }
    public long ReasoningTokens { get; init; }
    /// <summary>True when the provider reported no usage and the tokens were counted here.</summary>
    public bool Estimated { get; init; }
    /// <summary>US dollars; null when the model's price is unknown, which is never the same as free.</summary>
    public decimal? CostUsd { get; init; }
    /// <summary><c>ok</c>, <c>error</c>, <c>cancelled</c> (client left) or <c>interrupted</c> (provider broke off).</summary>
    public required string Status { get; init; }
    public string? ErrorCode { get; init; }
    public bool Stream { get; init; }
    /// <summary>Attempts made before this one, retries and fallbacks together.</summary>
    public int Attempt { get; init; }
    /// <summary>Whole time of the call, milliseconds.</summary>
    public required double LatencyMs { get; init; }
    /// <summary>Time to the first byte of the answer's body, milliseconds; null when none came.</summary>
    public double? FirstTokenMs { get; init; }
    /// <summary>When the call began.</summary>
    public required DateTimeOffset At { get; init; }
}

/// <summary>JSON of the event payloads. Zeros are written: a required member that is left out cannot be read back.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(UsageBatch))]
[JsonSerializable(typeof(UsageRecord))]
[JsonSerializable(typeof(RequestBatch))]
[JsonSerializable(typeof(RequestRecord))]
[JsonSerializable(typeof(JourneyBatch))]
[JsonSerializable(typeof(JourneyChange))]
[JsonSerializable(typeof(RunEnded))]
[JsonSerializable(typeof(ConversationHandled))]
[JsonSerializable(typeof(ApprovalRequested))]
[JsonSerializable(typeof(CompensationFailed))]
[JsonSerializable(typeof(FeedbackRecorded))]
[JsonSerializable(typeof(CallerChanged))]
[JsonSerializable(typeof(TenantCreated))]
public sealed partial class EventJson : JsonSerializerContext;
