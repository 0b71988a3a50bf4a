using System.Text.Json;

namespace MultiAgent.Models.Providers.Local;

/// <summary>
/// Writes a JSON value that fits a schema, filled from what a text holds. Knows types, properties, enums, const, number
/// and length bounds, items, local references, and takes the first branch of a choice. Does not know <c>pattern</c>,
/// <c>not</c>, <c>if</c> and dependencies.
/// </summary>
/// <param name="root">The whole schema, in which references are resolved.</param>
/// <param name="onlyWithEvidence">Leave out optional properties that the text says nothing about.</param>
internal sealed class SchemaFiller(JsonElement root, Evidence evidence, bool onlyWithEvidence)
{
    // A schema may refer to itself; beyond this depth only what is required is written, beyond twice it nothing can be.
    private const int MaxDepth = 12;
    private const int MaxItems = 64;

    // A few properties that each refer back to the whole schema multiply at every level.
    private const int MaxValues = 5_000;

    private int _values;

    public string Fill()
    {
        var buffer = new System.Buffers.ArrayBufferWriter<byte>(256);
        using (var writer = new Utf8JsonWriter(buffer, OpenAiJson.Writing)) Write(writer, root, "", 0, 0);
        return System.Text.Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    private void Write(Utf8JsonWriter writer, JsonElement schema, string name, int depth, int index)
    {
        SchemaView view = SchemaView.Of(root, schema);
        if (depth > 2 * MaxDepth || ++_values > MaxValues)
        {
            writer.WriteNullValue();
            return;
        }
        if (view.Find("const"u8) is { } constant)
        {
            constant.WriteTo(writer);
            return;
        }
        if (view.Find("enum"u8) is { ValueKind: JsonValueKind.Array } allowed && allowed.GetArrayLength() > 0)
        {
            (evidence.Allowed(allowed) ?? allowed[index % allowed.GetArrayLength()]).WriteTo(writer);
            return;
        }
        switch (view.Type())
        {
            case "object":
                WriteObject(writer, view, depth);
                break;
            case "array":
                WriteArray(writer, view, name, depth);
                break;
            case "integer":
                writer.WriteNumberValue(Bounded(view, (evidence.Number(name, whole: true) ?? view.Number("default"u8) ?? 0) + index, whole: true));
                break;
            case "number":
                writer.WriteNumberValue(Bounded(view, (evidence.Number(name, whole: false) ?? view.Number("default"u8) ?? 0) + index, whole: false));
                break;
            case "boolean":
                writer.WriteBooleanValue(evidence.Flag(name) ?? view.Find("default"u8)?.ValueKind == JsonValueKind.True);
                break;
            case "null":
                writer.WriteNullValue();
                break;
            default:
                writer.WriteStringValue(Text(view, name, index));
                break;
        }
    }

    private void WriteObject(Utf8JsonWriter writer, SchemaView view, int depth)
    {
        HashSet<string> required = view.Required();
        writer.WriteStartObject();
        foreach ((string name, JsonElement schema) in view.Properties())
        {
            if (required.Contains(name) || (depth < MaxDepth && Wanted(name, schema))) WriteMember(name, schema);
            required.Remove(name);
        }
        // Required, but described nowhere: anything will do.
        foreach (string name in required) WriteMember(name, default);
        writer.WriteEndObject();

        void WriteMember(string name, JsonElement schema)
        {
            writer.WritePropertyName(name);
            Write(writer, schema, name, depth + 1, 0);
        }
    }

    private bool Wanted(string name, JsonElement schema)
    {
        SchemaView view = SchemaView.Of(root, schema);
        if (view.Find("enum"u8) is { } allowed) return evidence.Allowed(allowed) is not null;
        return view.Type() switch
        {
            "boolean" => evidence.Flag(name) is not null,
            // Quoted texts and numbers are kept for what is required; asking for them here would use them up.
            "string" => new Evidence(evidence.FreeText, null).Text(name, view.Text("format"u8)) is not null,
            _ => !onlyWithEvidence,
        };
    }

    private void WriteArray(Utf8JsonWriter writer, SchemaView view, string name, int depth)
    {
        JsonElement items = view.Find("items"u8) ?? default;
        JsonElement[] first = [.. (view.Find("prefixItems"u8) ?? default).Items()];
        int least = (int)Math.Min(MaxItems, view.Number("minItems"u8) ?? 0);
        int most = (int)Math.Min(MaxItems, view.Number("maxItems"u8) ?? MaxItems);
        writer.WriteStartArray();
        SchemaView item = SchemaView.Of(root, items);
        int written = 0;
        if (first.Length == 0 && item.Type() == "string" && !item.IsBound())
        {
            foreach (string keyword in evidence.Keywords(Math.Min(most, Math.Max(least, 3))))
            {
                writer.WriteStringValue(keyword);
                written++;
            }
        }
        int count = Math.Max(least, depth < MaxDepth && written == 0 && items.ValueKind == JsonValueKind.Object ? Math.Min(most, 1) : 0);
        for (int i = written; i < count; i++) Write(writer, i < first.Length ? first[i] : items, name, depth + 1, i);
        writer.WriteEndArray();
    }

    private string Text(SchemaView view, string name, int index)
    {
        string? format = view.Text("format"u8);
        string text = evidence.Text(name, format) ?? view.Text("default"u8) ?? format switch
        {
            "date-time" => "1970-01-01T00:00:00Z",
            "date" => "1970-01-01",
            "time" => "00:00:00Z",
            "duration" => "PT0S",
            "email" => "nobody@example.com",
            "uri" or "url" or "iri" or "uri-reference" => "https://example.com/",
            "uuid" => "00000000-0000-0000-0000-000000000000",
            "hostname" => "example.com",
            "ipv4" => "192.0.2.1",
            "ipv6" => "2001:db8::1",
            _ => evidence.FreeText,
        };
        if (index > 0 && format is null) text = $"{text} {index + 1}";
        int least = (int)Math.Min(10_000, view.Number("minLength"u8) ?? 0);
        int most = (int)Math.Min(100_000, view.Number("maxLength"u8) ?? 100_000);
        if (text.Length > most) text = text[..(most > 0 && char.IsHighSurrogate(text[most - 1]) ? most - 1 : most)];
        return text.PadRight(least, '.');
    }

    private static decimal Bounded(SchemaView view, decimal value, bool whole)
    {
        decimal step = whole ? 1 : 0.1m;
        decimal? least = view.Number("minimum"u8), most = view.Number("maximum"u8);
        if (view.Number("exclusiveMinimum"u8) is { } above && (least is null || above >= least)) least = whole ? Math.Floor(above) + 1 : above + step;
        if (view.Number("exclusiveMaximum"u8) is { } below && (most is null || below <= most)) most = whole ? Math.Ceiling(below) - 1 : below - step;
        // A narrow open interval: the middle is inside whatever its width.
        if (least > most && !whole) return ((view.Number("exclusiveMinimum"u8) ?? least.Value) + (view.Number("exclusiveMaximum"u8) ?? most.Value)) / 2;
        if (value < least) value = least.Value;
        if (value > most) value = most.Value;
        if (whole) value = least is not null && decimal.Floor(value) < least ? decimal.Ceiling(value) : decimal.Floor(value);
        if (view.Number("multipleOf"u8) is { } multiple and > 0)
        {
            value = decimal.Floor(value / multiple) * multiple;
            if (value < least) value += multiple;
        }
        return value;
    }
}
