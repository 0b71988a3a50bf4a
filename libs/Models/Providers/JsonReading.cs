using System.Text.Json;

namespace MultiAgent.Models.Providers;

/// <summary>Looks into JSON from clients and providers, where any member may be missing, null or of another type.</summary>
internal static class JsonReading
{
    /// <summary>The member's value; undefined (<see cref="JsonValueKind.Undefined"/>) when it is absent, null, or there is no object.</summary>
    public static JsonElement Member(this JsonElement element, ReadOnlySpan<byte> name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : default;

    public static string? Text(this JsonElement element, ReadOnlySpan<byte> name) =>
        element.Member(name) is { ValueKind: JsonValueKind.String } value ? value.GetString() : null;

    public static long? Whole(this JsonElement element, ReadOnlySpan<byte> name) =>
        element.Member(name) is { ValueKind: JsonValueKind.Number } value && value.TryGetInt64(out long number) ? number : null;

    public static double? Number(this JsonElement element, ReadOnlySpan<byte> name) =>
        element.Member(name) is { ValueKind: JsonValueKind.Number } value && value.TryGetDouble(out double number) ? number : null;

    public static bool? Flag(this JsonElement element, ReadOnlySpan<byte> name) => element.Member(name).ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => null,
    };

    /// <summary>The elements of an array; nothing for any other value.</summary>
    public static IEnumerable<JsonElement> Items(this JsonElement element) => element.ValueKind == JsonValueKind.Array ? element.EnumerateArray() : [];

    public static bool IsDefined(this JsonElement element) => element.ValueKind != JsonValueKind.Undefined;
}
