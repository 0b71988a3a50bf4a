using System.Text.Json;
using System.Text.RegularExpressions;
using NJsonSchema;
using NJsonSchema.Validation;

namespace MultiAgent.Workflows;

/// <summary>A JSON schema, ready to check values.</summary>
public sealed class JsonShape
{
    private const int MaxSchema = 50_000;

    private readonly JsonSchema _schema;

    private JsonShape(JsonElement source, JsonSchema schema)
    {
        Source = source;
        _schema = schema;
    }

    /// <summary>The schema as written.</summary>
    public JsonElement Source { get; }

    /// <summary>Compiles a schema; null, with the reason, when it is not a usable one.</summary>
    /// <param name="source">Untrusted.</param>
    /// <param name="error">Why not.</param>
    public static JsonShape? TryParse(JsonElement source, out string? error)
    {
        string text = source.GetRawText();
        if (source.ValueKind != JsonValueKind.Object || text.Length > MaxSchema)
        {
            error = "must be a JSON schema: an object of at most 50 000 characters.";
            return null;
        }
        if (FindMistake(source, schema: true) is { } mistake)
        {
            error = mistake;
            return null;
        }
        try
        {
            string normal = SchemaReferences.Normalise(source, out error);
            if (error is not null) return null;
            JsonSchema schema = JsonSchema.FromJsonAsync(normal).GetAwaiter().GetResult();
            error = null;
            return new JsonShape(source, schema);
        }
        catch (Exception e)
        {
            // The library throws what its parser and reflection throw; all of it means that the schema is of no use.
            error = $"is not a usable JSON schema: {e.Message.Split('\n')[0]}";
            return null;
        }
    }

    /// <summary>What is wrong with a value, at most five things; empty when it fits.</summary>
    public IReadOnlyList<string> Check(JsonElement value)
    {
        ICollection<ValidationError> errors = Errors(value);
        return errors.Count == 0 ? [] : [.. errors.Take(5).Select(Describe)];
    }

    /// <summary>All that is wrong with a value, as the library has it.</summary>
    public ICollection<ValidationError> Errors(JsonElement value) => _schema.Validate(value.GetRawText());

    private static string Describe(ValidationError error)
    {
        string path = error.Path?.TrimStart('#', '/') ?? "";
        return error.Kind switch
        {
            ValidationErrorKind.PropertyRequired => $"'{path}' is required",
            ValidationErrorKind.NoAdditionalPropertiesAllowed => $"'{path}' is not a known member",
            _ => $"{error.Kind} at '{path}'",
        };
    }

    // The library accepts any value anywhere, and would fetch references to other documents.
    private static string? FindMistake(JsonElement element, bool schema)
    {
        if (element.ValueKind == JsonValueKind.Array) return element.EnumerateArray().Select(e => FindMistake(e, schema)).FirstOrDefault(m => m is not null);
        if (element.ValueKind != JsonValueKind.Object) return null;
        foreach (JsonProperty member in element.EnumerateObject())
        {
            if (schema && member.Name is "enum" or "default" or "example" or "examples" or "const") continue;
            if (schema && member.Name == "$ref" && (member.Value.ValueKind != JsonValueKind.String || !member.Value.GetString()!.StartsWith('#'))) return "may only hold '$ref's that begin with '#'.";
            if (schema && member.Name == "type" && !IsType(member.Value)) return $"has the unknown type {member.Value.GetRawText()}: use object, array, string, number, integer, boolean or null.";
            if (schema && member.Name == "required" && member.Value.ValueKind != JsonValueKind.Array) return "has a 'required' that is not a list of names.";
            if (schema && member.Name == "properties" && member.Value.ValueKind != JsonValueKind.Object) return "has 'properties' that are not an object.";
            if (schema && member.Name == "pattern" && !IsPattern(member.Value)) return "has a 'pattern' that is not a regular expression.";
            // Names of properties are no keywords.
            bool names = schema && member.Name is "properties" or "definitions" or "$defs" or "patternProperties";
            if (FindMistake(member.Value, !names) is { } mistake) return mistake;
        }
        return null;
    }

    private static bool IsPattern(JsonElement pattern)
    {
        try
        {
            return pattern.ValueKind == JsonValueKind.String && pattern.GetString() is { Length: <= 1000 } text && new Regex(text) is not null;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }

    private static bool IsType(JsonElement type) => type.ValueKind switch
    {
        JsonValueKind.String => type.GetString() is "object" or "array" or "string" or "number" or "integer" or "boolean" or "null",
        JsonValueKind.Array => type.EnumerateArray().All(t => t.ValueKind == JsonValueKind.String && IsType(t)),
        _ => false,
    };
}
