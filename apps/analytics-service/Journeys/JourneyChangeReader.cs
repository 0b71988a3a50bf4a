using System.Text.Json;
using MultiAgent.Contracts.Events;

namespace MultiAgent.Analytics.Journeys;

/// <summary>
/// One change of a journey as it lies in an event's JSON (<see cref="JourneyChange"/>): there is one for every request, and its texts go
/// from UTF-8 to UTF-8. What is not there is empty.
/// </summary>
internal ref struct JourneyChangeReader
{
    private readonly ReadOnlySpan<byte> _batch;
    private Utf8JsonReader _json;

    /// <summary>Begins at a batch; <see cref="Read"/> moves to its first change.</summary>
    /// <exception cref="JsonException">This is no batch of changes.</exception>
    public JourneyChangeReader(ReadOnlySpan<byte> batch)
    {
        _batch = batch;
        _json = new Utf8JsonReader(batch);
        if (!(_json.Read() && _json.TokenType == JsonTokenType.StartObject && _json.Read() && _json.TokenType == JsonTokenType.PropertyName && _json.ValueTextEquals("changes"u8)
            && _json.Read() && _json.TokenType == JsonTokenType.StartArray))
            throw new JsonException("The event holds no journey.");
    }

    public ReadOnlySpan<byte> Id { get; private set; }
    public ReadOnlySpan<byte> JourneyId { get; private set; }
    public ReadOnlySpan<byte> TenantId { get; private set; }
    public ReadOnlySpan<byte> Kind { get; private set; }
    public ReadOnlySpan<byte> Type { get; private set; }
    public ReadOnlySpan<byte> UserId { get; private set; }
    public ReadOnlySpan<byte> Step { get; private set; }
    public ReadOnlySpan<byte> Outcome { get; private set; }
    /// <summary>A JSON object of texts; empty where it holds none.</summary>
    public ReadOnlySpan<byte> Metadata { get; private set; }
    public DateTimeOffset At { get; private set; }
    public double? DurationMs { get; private set; }

    /// <summary>Moves to the next change; false at the end of the batch.</summary>
    /// <exception cref="JsonException">The change is malformed, or lacks a required member.</exception>
    public bool Read()
    {
        if (!_json.Read() || _json.TokenType != JsonTokenType.StartObject) return false;
        Id = JourneyId = TenantId = Kind = Type = UserId = Step = Outcome = Metadata = default;
        At = default;
        DurationMs = null;
        bool typed = false;
        while (_json.Read() && _json.TokenType == JsonTokenType.PropertyName)
        {
            ReadOnlySpan<byte> name = _json.ValueSpan;
            _json.Read();
            if (_json.TokenType == JsonTokenType.Null) continue;
            if (name.SequenceEqual("id"u8)) Id = Text();
            else if (name.SequenceEqual("journey_id"u8)) JourneyId = Text();
            else if (name.SequenceEqual("tenant_id"u8)) TenantId = Text();
            else if (name.SequenceEqual("kind"u8)) Kind = Text();
            else if (name.SequenceEqual("type"u8))
            {
                Type = Text();
                typed = true;
            }
            else if (name.SequenceEqual("user_id"u8)) UserId = Text();
            else if (name.SequenceEqual("at"u8)) At = _json.GetDateTimeOffset();
            else if (name.SequenceEqual("step"u8)) Step = Text();
            else if (name.SequenceEqual("outcome"u8)) Outcome = Text();
            else if (name.SequenceEqual("duration_ms"u8)) DurationMs = _json.GetDouble();
            else if (name.SequenceEqual("metadata"u8))
            {
                int start = (int)_json.TokenStartIndex;
                _json.Skip();
                if (_json.BytesConsumed - start > 2) Metadata = _batch[start..(int)_json.BytesConsumed];
            }
            // a member of a newer version
            else _json.Skip();
        }
        if (Id.IsEmpty || JourneyId.IsEmpty || TenantId.IsEmpty || Kind.IsEmpty || !typed || At == default) throw new JsonException("A change of a journey lacks a required member.");
        return true;
    }

    private ReadOnlySpan<byte> Text()
    {
        if (_json.TokenType != JsonTokenType.String) throw new JsonException("A text of a journey's change is no string.");
        if (!_json.ValueIsEscaped) return _json.ValueSpan;
        // The batch is pinned while its texts are bound to a statement, so this must be too.
        byte[] text = GC.AllocateUninitializedArray<byte>(_json.ValueSpan.Length, pinned: true);
        return text.AsSpan(0, _json.CopyString(text));
    }
}
