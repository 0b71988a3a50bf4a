using System.Collections.Concurrent;

namespace MultiAgent.Hosting.Telemetry;

/// <summary>
/// Keeps a metric label bounded: the first values up to a maximum keep their name, every later one is <c>other</c>.
/// Use it for what tenants or clients can name, such as models and agents.
/// </summary>
public sealed class BoundedLabel(int max, IEnumerable<string>? always = null)
{
    // Those that always keep their name take places of their own.
    private readonly ConcurrentDictionary<string, string> _known = new((always ?? []).Distinct().Select(v => KeyValuePair.Create(v, v)), StringComparer.Ordinal);
    private readonly int _max = max + (always?.Distinct().Count() ?? 0);

    public string Of(string? value)
    {
        if (string.IsNullOrEmpty(value)) return "none";
        if (_known.TryGetValue(value, out string? known)) return known;
        return _known.Count < _max ? _known.GetOrAdd(value, value) : "other";
    }
}
