using System.Text.Json.Serialization;
using MultiAgent.Contracts.Events;

namespace MultiAgent.Messaging.Embedded;

/// <summary>An event as a CloudEvents 1.0 JSON object (data as base64), for dead letters.</summary>
internal sealed record StoredEvent(
    [property: JsonPropertyName("specversion")] string SpecVersion, string Id, string Type, string Source, DateTimeOffset Time,
    string? Tenantid, string? Partitionkey, string? Traceparent, [property: JsonPropertyName("data_base64")] byte[] Data)
{
    public static StoredEvent Of(EventEnvelope e) => new("1.0", e.Id, e.Subject, e.Source, e.Time, e.TenantId, e.OrderingKey, e.TraceParent, e.Data.ToArray());

    public EventEnvelope ToEvent() => new()
    {
        Id = Id,
        Subject = Type,
        Source = Source,
        Time = Time,
        TenantId = Tenantid,
        OrderingKey = Partitionkey,
        TraceParent = Traceparent,
        Data = Data,
    };
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(StoredEvent))]
internal sealed partial class StoredEventJson : JsonSerializerContext;
