using System.Buffers;
using System.Text.Json;
using MultiAgent.Contracts.Events;

namespace MultiAgent.Messaging.Spool;

/// <summary>Writes usage records to the spool.</summary>
internal sealed class UsageSpool(IEventSpool spool, TenantMetrics metrics) : IUsageSink
{
    [ThreadStatic]
    private static (ArrayBufferWriter<byte> Buffer, Utf8JsonWriter Json)? t_writer;

    public bool IsAccepting => !spool.IsNearlyFull;

    public void Record(UsageRecord record)
    {
        (ArrayBufferWriter<byte> buffer, Utf8JsonWriter json) = t_writer ??= Create();
        buffer.ResetWrittenCount();
        json.Reset(buffer);
        JsonSerializer.Serialize(json, record, EventJson.Default.UsageRecord);
        spool.Append(SpoolKind.Usage, buffer.WrittenSpan);
        metrics.Count(record);
    }

    private static (ArrayBufferWriter<byte>, Utf8JsonWriter) Create()
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        return (buffer, new Utf8JsonWriter(buffer, new JsonWriterOptions { SkipValidation = true }));
    }
}
