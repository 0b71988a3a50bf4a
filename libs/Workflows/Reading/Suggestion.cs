namespace MultiAgent.Workflows.Reading;

/// <summary>Finds what somebody meant.</summary>
internal static class Suggestion
{
    /// <summary>' Did you mean …?' for the nearest of the known names; empty when none is near.</summary>
    public static string For(string name, IEnumerable<string> known)
    {
        string? best = null;
        int least = Math.Max(1, Math.Min(3, name.Length / 3)) + 1;
        if (name.Length <= 64)
        {
            foreach (string candidate in known)
            {
                int distance = Distance(name, candidate);
                if (distance >= least) continue;
                least = distance;
                best = candidate;
            }
        }
        return best is null ? "" : $" Did you mean '{best}'?";
    }

    // Edits and swaps of neighbours; 'timeout_seconds' is as near to 'timeoutSeconds' as case and underscores make it.
    private static int Distance(string a, string b)
    {
        a = a.Replace("_", "", StringComparison.Ordinal).Replace("-", "", StringComparison.Ordinal).ToLowerInvariant();
        b = b.Replace("_", "", StringComparison.Ordinal).Replace("-", "", StringComparison.Ordinal).ToLowerInvariant();
        var d = new int[a.Length + 1, b.Length + 1];
        for (int i = 0; i <= a.Length; i++) d[i, 0] = i;
        for (int j = 0; j <= b.Length; j++) d[0, j] = j;
        for (int i = 1; i <= a.Length; i++)
        {
            for (int j = 1; j <= b.Length; j++)
            {
                d[i, j] = Math.Min(Math.Min(d[i - 1, j], d[i, j - 1]) + 1, d[i - 1, j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1));
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) d[i, j] = Math.Min(d[i, j], d[i - 2, j - 2] + 1);
            }
        }
        return d[a.Length, b.Length];
    }
}
