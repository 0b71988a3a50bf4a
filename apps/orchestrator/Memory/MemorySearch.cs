namespace MultiAgent.Orchestrator.Memory;

/// <summary>
/// Ranks facts by the words that they share with a question, rare words before common ones (BM25, Robertson and Zaragoza 2009, over one subject's facts), and by how fresh they
/// are: what was neither written down nor found for a half-life counts half.
/// </summary>
internal static class MemorySearch
{
    public static readonly TimeSpan HalfLife = TimeSpan.FromDays(30);

    private const double K1 = 1.2;
    private const double B = 0.75;

    /// <summary>The best matches, best first; without a question the freshest.</summary>
    public static IReadOnlyList<Fact> Rank(IReadOnlyList<Fact> facts, string? question, int limit, DateTimeOffset now)
    {
        HashSet<string> asked = [.. Words(question ?? "")];
        if (asked.Count == 0) return [.. facts.OrderByDescending(f => f.UsedAt).Take(limit)];
        string[][] texts = [.. facts.Select(f => Words(f.Text).ToArray())];
        double average = texts.Length == 0 ? 1 : Math.Max(1, texts.Average(t => t.Length));
        Dictionary<string, double> rarity = asked.ToDictionary(w => w, w =>
        {
            int having = texts.Count(t => t.Contains(w));
            return Math.Log(1 + (texts.Length - having + 0.5) / (having + 0.5));
        });
        return [.. facts.Select((fact, i) => (fact, score: Score(texts[i]) * Math.Pow(0.5, Math.Max(0, (now - fact.UsedAt) / HalfLife)))).Where(f => f.score > 0).OrderByDescending(f => f.score).Take(limit).Select(f => f.fact)];

        double Score(string[] words) => asked.Sum(w =>
        {
            int count = words.Count(x => x == w);
            return rarity[w] * count * (K1 + 1) / (count + K1 * (1 - B + B * words.Length / average));
        });
    }

    // Endings are cut so that "allergies" finds "allergy" and "likes" finds "like": crude, and the same for both sides.
    private static IEnumerable<string> Words(string text)
    {
        int start = -1;
        for (int i = 0; i <= text.Length; i++)
        {
            if (i < text.Length && char.IsLetterOrDigit(text[i]))
            {
                if (start < 0) start = i;
                continue;
            }
            if (start >= 0 && i - start > 1) yield return Stem(text[start..i].ToLowerInvariant());
            start = -1;
        }
    }

    private static string Stem(string word) => word switch
    {
        { Length: > 4 } when word.EndsWith("ies", StringComparison.Ordinal) => word[..^3] + "y",
        { Length: > 3 } when word.EndsWith('s') && !word.EndsWith("ss", StringComparison.Ordinal) => word[..^1],
        _ => word,
    };
}
