using System.Buffers;
using System.Collections.Frozen;
using System.Runtime.CompilerServices;
using System.Text.Json;
using MultiAgent.Workflows;
using NJsonSchema.Validation;

namespace MultiAgent.Orchestrator.Tools;

/// <summary>The built-in tools by name, and the check of arguments for tools of all kinds.</summary>
internal sealed class ToolRegistry
{
    private readonly FrozenDictionary<string, ITool> _tools;
    // Compiled at the first call: most tools of a large API are never called.
    private readonly ConditionalWeakTable<ITool, JsonShape> _schemas = [];

    public ToolRegistry(IEnumerable<ITool> tools)
    {
        _tools = tools.ToFrozenDictionary(t => t.Name, StringComparer.Ordinal);
        Names = [.. _tools.Keys.Order(StringComparer.Ordinal)];
    }

    public IReadOnlyList<string> Names { get; }

    public IEnumerable<ITool> All => Names.Select(n => _tools[n]);

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
        ICollection<ValidationError> errors = _schemas.GetValue(tool, Compile).Errors(parsed);
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

    // A tool whose schema is of no use was refused when it came.
    private static JsonShape Compile(ITool tool) => JsonShape.TryParse(JsonSerializer.Deserialize<JsonElement>(tool.ParametersSchema), out string? problem) ?? throw new InvalidOperationException($"The schema of tool '{tool.Name}' {problem}");

    private static string Describe(ValidationError error) =>
        error.Kind switch
        {
            ValidationErrorKind.PropertyRequired => $"'{error.Property}' is required",
            ValidationErrorKind.NoAdditionalPropertiesAllowed => $"'{error.Property}' is not a parameter",
            _ => $"{error.Kind} at {error.Path}",
        };
}
