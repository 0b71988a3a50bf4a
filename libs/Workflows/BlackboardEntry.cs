using System.Text.Json;
using System.Text.Json.Nodes;

namespace MultiAgent.Workflows;

/// <summary>How a write to an entry of the blackboard goes together with what is there.</summary>
public enum BlackboardMerge
{
    /// <summary>The new value takes the place of the old one.</summary>
    Replace,
    /// <summary>The items of a list are added, and so is anything else as one item.</summary>
    Append,
    /// <summary>Numbers are added up.</summary>
    Sum,
    Max,
    Min,
    /// <summary>Members of objects take the place of those of the same name.</summary>
    Merge,
}

/// <summary>An entry of the blackboard that the agents and steps of a run share.</summary>
public sealed record BlackboardEntry
{
    public required string Name { get; init; }
    /// <summary>For agents, which read it with the entry.</summary>
    public string? Description { get; init; }
    /// <summary>What the value must look like, after each write.</summary>
    public required JsonShape Shape { get; init; }
    public BlackboardMerge Merge { get; init; }
    /// <summary>The value before the first write; null stands for none.</summary>
    public JsonElement? Initial { get; init; }

    /// <summary>The value after a write.</summary>
    /// <param name="current">The value before; null when there is none.</param>
    /// <param name="given">What is written.</param>
    /// <param name="problem">Why it cannot be; the value does not count then.</param>
    public JsonElement Combine(JsonElement? current, JsonElement given, out string? problem)
    {
        problem = null;
        JsonElement? before = current ?? Initial;
        JsonElement value = given;
        switch (Merge)
        {
            case BlackboardMerge.Append:
                List<JsonElement> items = [.. Items(before)];
                if (given.ValueKind == JsonValueKind.Array) items.AddRange(given.EnumerateArray());
                else items.Add(given);
                value = JsonSerializer.SerializeToElement(items);
                break;
            case BlackboardMerge.Sum or BlackboardMerge.Max or BlackboardMerge.Min:
                if (Number(given) is not { } added) problem = "a number of at most 28 digits is needed";
                else if (before is { } old && Number(old) is { } number) value = Calculate(number, added, ref problem);
                break;
            case BlackboardMerge.Merge:
                if (given.ValueKind != JsonValueKind.Object) problem = "an object is needed";
                else if (before is { ValueKind: JsonValueKind.Object } members) value = Members(members, given);
                break;
        }
        if (problem is null && Shape.Check(value) is { Count: > 0 } problems) problem = string.Join("; ", problems);
        return value;
    }

    private JsonElement Calculate(decimal old, decimal added, ref string? problem)
    {
        try
        {
            return JsonSerializer.SerializeToElement(Merge switch { BlackboardMerge.Sum => old + added, BlackboardMerge.Max => Math.Max(old, added), _ => Math.Min(old, added) });
        }
        catch (OverflowException)
        {
            problem = "the sum has too many digits";
            return default;
        }
    }

    private static IEnumerable<JsonElement> Items(JsonElement? list) => list is { ValueKind: JsonValueKind.Array } items ? items.EnumerateArray() : [];

    private static decimal? Number(JsonElement value) => value.ValueKind == JsonValueKind.Number && value.TryGetDecimal(out decimal number) ? number : null;

    private static JsonElement Members(JsonElement old, JsonElement given)
    {
        var members = JsonObject.Create(old.Clone())!;
        foreach (JsonProperty member in given.EnumerateObject()) members[member.Name] = JsonNode.Parse(member.Value.GetRawText());
        return JsonSerializer.SerializeToElement(members);
    }
}
