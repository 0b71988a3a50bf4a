using System.Buffers;
using System.Text.Json;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>Writes the data of events, with one buffer for all of them. Used by one thread at a time.</summary>
internal sealed class EventWriter
{
    private readonly ArrayBufferWriter<byte> _buffer = new(512);
    private readonly Utf8JsonWriter _json;

    public EventWriter() => _json = new Utf8JsonWriter(_buffer, Json.WriterOptions);

    /// <summary>An object whose members <paramref name="members"/> writes.</summary>
    public byte[] Write<T>(T state, Action<Utf8JsonWriter, T> members)
    {
        _buffer.ResetWrittenCount();
        _json.Reset();
        _json.WriteStartObject();
        members(_json, state);
        _json.WriteEndObject();
        _json.Flush();
        return _buffer.WrittenSpan.ToArray();
    }
}
