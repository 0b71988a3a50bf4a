using System.Security.Cryptography;
using System.Text;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>
/// Notices what goes on without getting anywhere: the same state again and again, or the same few states in turn. States are compared by their hashes; one that
/// differs in anything is a new one.
/// </summary>
/// <param name="limit">How often a state, or a turn of a few, may come in a row; 0: as often as it likes.</param>
internal sealed class ProgressGuard(int limit)
{
    // More agents than that rarely hand something round.
    private const int LongestTurn = 4;

    private readonly List<string> _last = [];

    public int Limit => limit;

    /// <summary>Notes a state; how many states are gone through in turn, once that has come as often as it may, and null while things move.</summary>
    public int? Note(params ReadOnlySpan<string?> state)
    {
        if (limit == 0) return null;
        _last.Add(Hash(state));
        if (_last.Count > limit * LongestTurn) _last.RemoveAt(0);
        for (int turn = 1; turn <= LongestTurn; turn++)
            if (Repeats(turn)) return turn;
        return null;
    }

    /// <summary>A state's hash; parts cannot run into each other.</summary>
    public static string Hash(params ReadOnlySpan<string?> parts)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string? part in parts)
        {
            byte[] text = Encoding.UTF8.GetBytes(part ?? "");
            hash.AppendData(BitConverter.GetBytes(part is null ? -1 : text.Length));
            hash.AppendData(text);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private bool Repeats(int turn)
    {
        int length = limit * turn, first = _last.Count - length;
        if (first < 0) return false;
        for (int i = first + turn; i < _last.Count; i++)
            if (_last[i] != _last[i - turn]) return false;
        return true;
    }
}
