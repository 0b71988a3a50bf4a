using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;

namespace MultiAgent.Models.Catalogue;

/// <summary>
/// Remembers models by name in two generations: when the young one is full it becomes the old one, and what is used
/// moves back up. At most twice the limit is held, and a flood of made-up names costs a model in use nothing but a move.
/// </summary>
internal sealed class UnlistedModels(int limit)
{
    private readonly Lock _turn = new();
    private ConcurrentDictionary<string, ModelEntry> _young = new(StringComparer.Ordinal);
    private ConcurrentDictionary<string, ModelEntry> _old = new(StringComparer.Ordinal);

    /// <summary>Entries held now, for tests.</summary>
    public int Count => _young.Count + _old.Count;

    public IEnumerable<ModelEntry> All => _young.Values.Concat(_old.Values);

    public bool TryGet(string name, [NotNullWhen(true)] out ModelEntry? entry)
    {
        if (_young.TryGetValue(name, out entry)) return true;
        if (!_old.TryRemove(name, out entry)) return false;
        entry = GetOrAdd(name, entry);
        return true;
    }

    public ModelEntry GetOrAdd(string name, ModelEntry entry)
    {
        lock (_turn)
        {
            if (_young.Count >= limit)
            {
                _old = _young;
                _young = new ConcurrentDictionary<string, ModelEntry>(StringComparer.Ordinal);
            }
            return _young.GetOrAdd(name, entry);
        }
    }
}
