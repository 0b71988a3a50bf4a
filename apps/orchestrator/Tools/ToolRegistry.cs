using System.Buffers;
using System.Collections.Frozen;
using System.Text.Json;
using NJsonSchema;
using NJsonSchema.Validation;

namespace MultiAgent.Orchestrator.Tools;

/// <summary>The built-in tools by name, with their compiled argument schemas.</summary>
internal sealed class ToolRegistry
{
    private readonly FrozenDictionary<string, ITool> _tools;
    private readonly FrozenDictionary<string, Lazy<JsonSchema>> _schemas;

    public ToolRegistry(IEnumerable<ITool> tools)
    {
        _tools = tools.ToFrozenDictionary(t => t.Name, StringComparer.Ordinal);
        _schemas = _tools.ToFrozenDictionary(t => t.Key, t => new Lazy<JsonSchema>(() => JsonSchema.FromJsonAsync(t.Value.ParametersSchema).GetAwaiter().GetResult()), StringComparer.Ordinal);
        Names = [.. _tools.Keys.Order(StringComparer.Ordinal)];
    }

    public IReadOnlyList<string> Names { get; }

    public ITool? Find(string name) => _tools.GetValueOrDefault(name);

    /// <summary>What is wrong with the arguments, for the model to mend; null when they fit.</summary>
    /// <param name="tool">The tool called.</param>
    /// <param name="arguments">As the model wrote them; may be no JSON at all.</param>
    /// <param name="parsed">The arguments, when they fit.</param>
    public string? Check(ITool tool, string arguments, out JsonElement parsed)
    {
        parsed = default;
        try
        {
            using var document = JsonDocument.Parse(string.IsNullOrWhiteSpace(arguments) ? "{}" : arguments, new JsonDocumentOptions { MaxDepth = 32 });
            parsed = document.RootElement.Clone();
        }
        catch (JsonException e)
        {
            return $"The arguments are not valid JSON (line {e.LineNumber + 1}, byte {e.BytePositionInLine}). Send one JSON object.";
        }
        if (parsed.ValueKind != JsonValueKind.Object) return "The arguments must be a JSON object.";
        ICollection<ValidationError> errors = _schemas[tool.Name].Value.Validate(parsed.GetRawText());
        return errors.Count == 0 ? null : "The arguments do not fit the schema: " + string.Join("; ", errors.Take(5).Select(Describe)) + ".";
    }

    /// <summary>The definition of a tool in the OpenAI dialect.</summary>
    public static byte[] Define(string name, string description, string parameters)
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        using var json = new Utf8JsonWriter(buffer, Json.WriterOptions);
        json.WriteStartObject();
        json.WriteString("type"u8, "function"u8);
        json.WriteStartObject("function"u8);
        json.WriteString("name"u8, name);
        json.WriteString("description"u8, description);
        json.WritePropertyName("parameters"u8);
        json.WriteRawValue(parameters);
        json.WriteEndObject();
        json.WriteEndObject();
        json.Flush();
        return buffer.WrittenSpan.ToArray();
    }

    private static string Describe(ValidationError error) =>
        error.Kind switch
        {
            ValidationErrorKind.PropertyRequired => $"'{error.Property}' is required",
            ValidationErrorKind.NoAdditionalPropertiesAllowed => $"'{error.Property}' is not a parameter",
            _ => $"{error.Kind} at {error.Path}",
        };
}
