using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using Fluid;
using Fluid.Values;

namespace MultiAgent.Workflows.Templates;

/// <summary>JSON as values of templates, and back, without loss: numbers keep all their digits, null stays null.</summary>
internal static class JsonValues
{
    public static FluidValue ToFluid(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Object => new JsonObjectValue(element),
        JsonValueKind.Array => ToArray(element),
        JsonValueKind.String => new StringValue(element.GetString()!, encode: false),
        JsonValueKind.Number => ToNumber(element),
        JsonValueKind.True => BooleanValue.True,
        JsonValueKind.False => BooleanValue.False,
        _ => NilValue.Instance,
    };

    /// <exception cref="InvalidDataException">The value has no JSON.</exception>
    public static void Write(FluidValue value, Utf8JsonWriter json, TemplateContext context)
    {
        switch (value)
        {
            case JsonObjectValue o:
                o.Element.WriteTo(json);
                return;
            case JsonNumberValue n:
                json.WriteRawValue(n.Text);
                return;
            case MembersValue:
                throw new InvalidDataException("gives 'steps', a step or 'run' as a whole. Name a member, e.g. '.output'.");
        }
        switch (value.Type)
        {
            case FluidValues.Boolean:
                json.WriteBooleanValue(value.ToBooleanValue());
                break;
            case FluidValues.Number:
                json.WriteNumberValue(value.ToNumberValue());
                break;
            case FluidValues.Nil or FluidValues.Empty or FluidValues.Blank:
                json.WriteNullValue();
                break;
            case FluidValues.Array:
                json.WriteStartArray();
                foreach (FluidValue item in value.Enumerate(context)) Write(item, json, context);
                json.WriteEndArray();
                break;
            case FluidValues.DateTime:
                json.WriteStringValue(((DateTimeOffset)value.ToObjectValue()).ToString("yyyy-MM-ddTHH:mm:ss.FFFFFFFK", CultureInfo.InvariantCulture));
                break;
            default:
                json.WriteStringValue(value.ToStringValue());
                break;
        }
    }

    private static ArrayValue ToArray(JsonElement element)
    {
        var items = new FluidValue[element.GetArrayLength()];
        int i = 0;
        foreach (JsonElement item in element.EnumerateArray()) items[i++] = ToFluid(item);
        return new ArrayValue(items);
    }

    // A decimal holds 28 digits; what has more, or an exponent, keeps its text.
    private static FluidValue ToNumber(JsonElement element)
    {
        string text = element.GetRawText();
        return text.Length <= 28 && !text.AsSpan().ContainsAny('e', 'E') && element.TryGetDecimal(out decimal number) ? NumberValue.Create(number) : new JsonNumberValue(text);
    }
}

/// <summary>An object of JSON; shown as its JSON.</summary>
internal sealed class JsonObjectValue(JsonElement element) : MembersValue(name => element.TryGetProperty(name, out JsonElement member) ? JsonValues.ToFluid(member)
    : name == "size" ? NumberValue.Create(element.EnumerateObject().Count()) : NilValue.Instance)
{
    private static readonly JsonSerializerOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public JsonElement Element => element;

    public override string ToStringValue() => JsonSerializer.Serialize(element, Plain);

    public override object ToObjectValue() => element;

    public override bool Equals(FluidValue? other) => other switch
    {
        JsonObjectValue o => JsonElement.DeepEquals(element, o.Element),
        null => false,
        _ => other.Type is FluidValues.Empty && !element.EnumerateObject().Any(),
    };

    public override bool Contains(FluidValue value) => element.TryGetProperty(value.ToStringValue(), out _);

    public override IEnumerable<FluidValue> Enumerate(TemplateContext context) =>
        element.EnumerateObject().Select(FluidValue (m) => new ArrayValue([new StringValue(m.Name, encode: false), JsonValues.ToFluid(m.Value)]));
}

/// <summary>Something with members, and nothing else to it.</summary>
internal class MembersValue(Func<string, FluidValue> find) : FluidValue
{
    public override FluidValues Type => FluidValues.Dictionary;

    public override bool Equals(FluidValue? other) => ReferenceEquals(this, other);

    public override bool Equals(object? obj) => obj is FluidValue other && Equals(other);

    public override int GetHashCode() => 0;

    public override bool ToBooleanValue() => true;

    public override decimal ToNumberValue() => 0;

    public override string ToStringValue() => "";

    public override object ToObjectValue() => this;

    public override ValueTask<FluidValue> GetValueAsync(string name, TemplateContext context) => new(find(name));

    public override ValueTask<FluidValue> GetIndexAsync(FluidValue index, TemplateContext context) => new(find(index.ToStringValue()));

    public override ValueTask WriteToAsync(TextWriter writer, TextEncoder encoder, CultureInfo cultureInfo)
    {
        writer.Write(ToStringValue());
        return default;
    }
}

/// <summary>A number that a decimal cannot hold exactly. It is passed on as written; calculations take the nearest decimal.</summary>
internal sealed class JsonNumberValue(string text) : FluidValue
{
    public string Text => text;

    public override FluidValues Type => FluidValues.Number;

    public override bool Equals(FluidValue? other) => other is JsonNumberValue n ? n.Text == text || n.ToNumberValue() == ToNumberValue() : other?.Type == FluidValues.Number && other.ToNumberValue() == ToNumberValue();

    public override bool Equals(object? obj) => obj is FluidValue other && Equals(other);

    public override int GetHashCode() => ToNumberValue().GetHashCode();

    public override bool ToBooleanValue() => true;

    public override decimal ToNumberValue()
    {
        if (decimal.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out decimal number)) return number;
        return text[0] == '-' ? decimal.MinValue : decimal.MaxValue;
    }

    public override string ToStringValue() => text;

    public override object ToObjectValue() => ToNumberValue();

    public override ValueTask WriteToAsync(TextWriter writer, TextEncoder encoder, CultureInfo cultureInfo)
    {
        writer.Write(text);
        return default;
    }
}
