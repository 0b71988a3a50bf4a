using System.Buffers;
using System.Text.Json;
using MultiAgent.Contracts.Events;

namespace MultiAgent.Messaging;

/// <summary>Records changes of journeys through the spool; see <see cref="JourneyChange"/>.</summary>
public sealed class JourneyRecorder(IEventSpool spool, JourneyMetrics metrics)
{
    [ThreadStatic]
    private static ArrayBufferWriter<byte>? t_buffer;

    [ThreadStatic]
    private static Utf8JsonWriter? t_json;

    public void Record(JourneyChange change)
    {
        ArrayBufferWriter<byte> buffer = t_buffer ??= new ArrayBufferWriter<byte>(1024);
        buffer.ResetWrittenCount();
        Utf8JsonWriter json = t_json ??= new Utf8JsonWriter(buffer, new JsonWriterOptions { SkipValidation = true });
        json.Reset(buffer);
        JsonSerializer.Serialize(json, change, EventJson.Default.JourneyChange);
        metrics.Count(change);
        spool.Append(SpoolKind.Journey, buffer.WrittenSpan);
    }
}
