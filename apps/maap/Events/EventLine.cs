using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using MultiAgent.Contracts.Events;
using MultiAgent.Messaging;

namespace MultiAgent.Maap.Events;

/// <summary>An event as one line of JSON, in the JSON format of CloudEvents 1.0.</summary>
internal static class EventLine
{
    private static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static string Of(EventEnvelope e) => Write(json => Members(json, e));

    public static string Of(DeadLetter letter) => Write(json =>
    {
        json.WriteNumber("number", letter.Seq);
        json.WriteString("at", letter.At);
        json.WriteString("consumer", letter.Consumer);
        json.WriteNumber("attempts", letter.Attempts);
        json.WriteString("error", letter.Error);
        json.WriteStartObject("event");
        Members(json, letter.Event);
        json.WriteEndObject();
    });

    private static string Write(Action<Utf8JsonWriter> members)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, Options))
        {
            json.WriteStartObject();
            members(json);
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    private static void Members(Utf8JsonWriter json, EventEnvelope e)
    {
        json.WriteString("specversion", "1.0");
        json.WriteString("id", e.Id);
        json.WriteString("type", e.Subject);
        json.WriteString("source", e.Source);
        json.WriteString("time", e.Time);
        if (e.TenantId is { } tenant) json.WriteString("tenantid", tenant);
        if (e.OrderingKey is { } key) json.WriteString("partitionkey", key);
        if (e.TraceParent is { } trace) json.WriteString("traceparent", trace);
        try
        {
            using JsonDocument data = JsonDocument.Parse(e.Data);
            json.WritePropertyName("data");
            data.WriteTo(json);
        }
        catch (JsonException)
        {
            // Broken payloads are what an operator wants to see most.
            json.WriteBase64String("data_base64", e.Data.Span);
        }
    }
}
