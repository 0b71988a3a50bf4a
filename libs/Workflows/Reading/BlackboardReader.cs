using System.Text.Json;

namespace MultiAgent.Workflows.Reading;

/// <summary>Reads what a workflow declares of its blackboard.</summary>
internal static class BlackboardReader
{
    private const int MaxEntries = 100;

    public static IReadOnlyDictionary<string, BlackboardEntry> Read(StepReader document, ReadingContext context)
    {
        var entries = new Dictionary<string, BlackboardEntry>(StringComparer.Ordinal);
        if (document.Find("blackboard", required: false, "an object of entries", JsonValueKind.Object) is not { } node) return entries;
        if (node.Members.Count > MaxEntries) context.Add(node, "blackboard", ProblemCodes.InvalidValue, $"may have {MaxEntries} entries.");
        foreach (SourceMember member in node.Members)
        {
            string path = $"blackboard.{member.Name}";
            if (!MemberReader.IsName(member.Name)) context.Add(member.Value, path, ProblemCodes.InvalidValue, "must have a name of lower-case letters, digits and underscores, beginning with a letter, at most 64.");
            if (member.Value.Kind != JsonValueKind.Object) context.Add(member.Value, path, ProblemCodes.WrongType, "must be an object with a 'schema'.");
            else if (document.Read(member.Value, path, entry => Entry(member.Name, entry)) is { } read) entries[member.Name] = read;
        }
        return entries;
    }

    private static BlackboardEntry? Entry(string name, StepReader reader)
    {
        string? description = reader.Text("description", max: 1000);
        bool there = reader.Any("schema", required: true) is not null;
        JsonShape? shape = reader.Schema("schema");
        BlackboardMerge merge = reader.OneOf("merge", ("replace", BlackboardMerge.Replace), ("append", BlackboardMerge.Append), ("sum", BlackboardMerge.Sum), ("max", BlackboardMerge.Max), ("min", BlackboardMerge.Min), ("merge", BlackboardMerge.Merge));
        JsonElement? initial = reader.Any("initial", required: false)?.ToJson();
        if (!there || shape is null) return null;
        string[] types = merge switch { BlackboardMerge.Replace => [], BlackboardMerge.Append => ["array"], BlackboardMerge.Merge => ["object"], _ => ["number", "integer"] };
        if (types.Length > 0 && !(shape.Source.TryGetProperty("type", out JsonElement type) && type.ValueKind == JsonValueKind.String && types.Contains(type.GetString())))
            reader.Problem("merge", ProblemCodes.InvalidValue, $"goes with a schema of the type {string.Join(" or ", types)} alone.");
        if (initial is { } value && shape.Check(value) is { Count: > 0 } problems) reader.Problem("initial", ProblemCodes.InvalidValue, $"does not fit the schema: {string.Join("; ", problems)}.");
        return new BlackboardEntry { Name = name, Description = description, Shape = shape, Merge = merge, Initial = initial };
    }
}
