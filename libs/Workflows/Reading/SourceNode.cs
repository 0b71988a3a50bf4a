using System.Buffers;
using System.Text.Json;

namespace MultiAgent.Workflows.Reading;

/// <summary>A value of the source with its place. The values are those of JSON.</summary>
internal sealed class SourceNode
{
    public required JsonValueKind Kind { get; init; }
    /// <summary>From 1.</summary>
    public required int Line { get; init; }
    /// <summary>From 1.</summary>
    public required int Column { get; init; }
    /// <summary>The text of a string; the digits of a number as written.</summary>
    public string Text { get; init; } = "";
    /// <summary>In a string: where the text begins and how it goes on, so that a place inside of it can be told.</summary>
    public TextStyle Style { get; init; }
    /// <summary>In a literal block: the column where its lines begin.</summary>
    public int Indent { get; init; }
    public List<SourceNode> Items { get; } = [];
    public List<SourceMember> Members { get; } = [];

    public SourceMember? Find(string name) => Members.Find(m => m.Name == name);

    /// <summary>The place of a character of the text; the beginning of the node where it cannot be told.</summary>
    public (int Line, int Column) PlaceOf(int offset)
    {
        if (offset <= 0 || offset > Text.Length || Style == TextStyle.Folded) return (Line, Column);
        if (Style == TextStyle.OneLine) return (Line, Column + offset);
        int lines = Text.AsSpan(0, offset).Count('\n');
        int start = Text.LastIndexOf('\n', offset - 1) + 1;
        return (Line + 1 + lines, Indent + offset - start);
    }

    public JsonElement ToJson()
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer)) Write(json);
        using var document = JsonDocument.Parse(buffer.WrittenMemory, new JsonDocumentOptions { MaxDepth = 128 });
        return document.RootElement.Clone();
    }

    private void Write(Utf8JsonWriter json)
    {
        switch (Kind)
        {
            case JsonValueKind.Object:
                json.WriteStartObject();
                foreach (SourceMember member in Members)
                {
                    json.WritePropertyName(member.Name);
                    member.Value.Write(json);
                }
                json.WriteEndObject();
                break;
            case JsonValueKind.Array:
                json.WriteStartArray();
                foreach (SourceNode item in Items) item.Write(json);
                json.WriteEndArray();
                break;
            case JsonValueKind.String:
                json.WriteStringValue(Text);
                break;
            case JsonValueKind.Number:
                json.WriteRawValue(Text);
                break;
            case JsonValueKind.True or JsonValueKind.False:
                json.WriteBooleanValue(Kind == JsonValueKind.True);
                break;
            default:
                json.WriteNullValue();
                break;
        }
    }
}

/// <summary>How the text of a string lies in the source.</summary>
internal enum TextStyle
{
    /// <summary>With line breaks or escapes that the text does not have: places inside are not known.</summary>
    Folded,
    /// <summary>The characters follow one another from the node's place.</summary>
    OneLine,
    /// <summary>A literal block: the lines follow the node's line.</summary>
    Literal,
}

/// <summary>A member of an object with the place of its name.</summary>
internal sealed record SourceMember(string Name, SourceNode Value, int Line, int Column);
