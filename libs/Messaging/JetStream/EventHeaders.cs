using System.Globalization;
using MultiAgent.Contracts.Events;
using NATS.Client.Core;

namespace MultiAgent.Messaging.JetStream;

/// <summary>An event as a NATS message: the binary mode of the CloudEvents NATS binding, attributes as headers and the payload as it is.</summary>
internal static class EventHeaders
{
    private const string Error = "maap-error";
    private const string Attempts = "maap-attempts";
    private const string Consumer = "maap-consumer";

    public static NatsHeaders Write(EventEnvelope e)
    {
        var headers = new NatsHeaders
        {
            ["ce-specversion"] = "1.0",
            ["ce-id"] = e.Id,
            ["ce-type"] = e.Subject,
            ["ce-source"] = e.Source,
            ["ce-time"] = e.Time.ToString("O", CultureInfo.InvariantCulture),
            ["content-type"] = "application/json",
        };
        if (e.TenantId is { } tenant) headers["ce-tenantid"] = tenant;
        if (e.OrderingKey is { } key) headers["ce-partitionkey"] = key;
        if (e.TraceParent is { } trace) headers["ce-traceparent"] = trace;
        return headers;
    }

    public static NatsHeaders WriteDead(EventEnvelope e, string consumer, string error, int attempts)
    {
        NatsHeaders headers = Write(e);
        headers[Consumer] = consumer;
        headers[Error] = error.ReplaceLineEndings(" ") is { Length: > 1000 } text ? text[..1000] : error.ReplaceLineEndings(" ");
        headers[Attempts] = attempts.ToString(CultureInfo.InvariantCulture);
        return headers;
    }

    /// <summary>Null when this is no event of ours.</summary>
    public static EventEnvelope? Read(NatsHeaders? headers, ReadOnlyMemory<byte> data)
    {
        if (headers is null || Find(headers, "ce-id") is not { } id || Find(headers, "ce-type") is not { } type || Find(headers, "ce-source") is not { } source
            || !DateTimeOffset.TryParse(Find(headers, "ce-time"), CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind, out DateTimeOffset time))
            return null;
        return new EventEnvelope
        {
            Id = id,
            Subject = type,
            Source = source,
            Time = time,
            TenantId = Find(headers, "ce-tenantid"),
            OrderingKey = Find(headers, "ce-partitionkey"),
            TraceParent = Find(headers, "ce-traceparent"),
            Data = data,
        };
    }

    public static DeadLetter? ReadDead(NatsHeaders? headers, ReadOnlyMemory<byte> data, long seq, DateTimeOffset at) =>
        Read(headers, data) is { } e ? new DeadLetter(seq, Find(headers!, Consumer) ?? "", e, Find(headers!, Error) ?? "",
            int.TryParse(Find(headers!, Attempts), CultureInfo.InvariantCulture, out int attempts) ? attempts : 0, at) : null;

    private static string? Find(NatsHeaders headers, string name) => headers.TryGetValue(name, out Microsoft.Extensions.Primitives.StringValues value) ? value.ToString() : null;
}
