using System.Collections.Frozen;
using System.Globalization;
using System.Text;

namespace MultiAgent.Orchestrator.Guardrails;

/// <summary>Finds words and phrases of topics, as whole words, whatever their case and accents.</summary>
internal sealed class TopicGuardrail : IGuardrail
{
    private const string Removed = "[removed]";

    private readonly (string Topic, string[] Words)[] _terms;

    public TopicGuardrail(IEnumerable<BannedTopic> topics) =>
        _terms = [.. topics.SelectMany(t => t.Terms!.Select(term => (t.Name!, Words(term).Select(w => w.Text).ToArray()))).Where(t => t.Item2.Length > 0)];

    public string Type => "banned_topics";

    /// <summary>True for a term that can match anything.</summary>
    public static bool IsTerm(string term) => Words(term).Count > 0;

    public GuardrailHit? Check(string text)
    {
        List<(string Text, int Start, int End)> words = Words(text);
        var found = new Dictionary<string, int>(StringComparer.Ordinal);
        var cuts = new List<(int Start, int End)>();
        for (int i = 0; i < words.Count; i++)
        {
            foreach ((string topic, string[] term) in _terms)
            {
                if (i + term.Length > words.Count) continue;
                int k = 0;
                while (k < term.Length && words[i + k].Text == term[k]) k++;
                if (k < term.Length) continue;
                found[topic] = found.GetValueOrDefault(topic) + 1;
                cuts.Add((words[i].Start, words[i + k - 1].End));
            }
        }
        if (found.Count == 0) return null;
        var output = new StringBuilder(text.Length);
        int at = 0;
        foreach ((int start, int end) in cuts)
        {
            // Terms may overlap.
            if (start >= at) output.Append(text, at, start - at).Append(Removed);
            at = Math.Max(at, end);
        }
        return new GuardrailHit(found, output.Append(text, at, text.Length - at).ToString());
    }

    private static List<(string Text, int Start, int End)> Words(string text)
    {
        var words = new List<(string, int, int)>();
        for (int i = 0; i < text.Length; i++)
        {
            if (!char.IsLetterOrDigit(text[i])) continue;
            int start = i;
            while (i < text.Length && (char.IsLetterOrDigit(text[i]) || CharUnicodeInfo.GetUnicodeCategory(text[i]) == UnicodeCategory.NonSpacingMark)) i++;
            words.Add((Fold(text.AsSpan(start, i - start)), start, i));
        }
        return words;
    }

    private static string Fold(ReadOnlySpan<char> word)
    {
        var folded = new StringBuilder(word.Length);
        foreach (char c in word)
        {
            char lower = char.ToLowerInvariant(c);
            if (char.IsAscii(lower)) folded.Append(lower);
            else if (Plain.TryGetValue(lower, out string? plain)) folded.Append(plain);
            else if (CharUnicodeInfo.GetUnicodeCategory(lower) != UnicodeCategory.NonSpacingMark) folded.Append(lower);
        }
        return folded.ToString();
    }

    // The platform runs without the tables that decompose letters (invariant globalization).
    private static FrozenDictionary<char, string> Plain { get; } = new[]
    {
        "a àáâãäåāăąǎạảấầẩẫậắằẳẵặ", "c çćĉċč", "d ďđ", "e èéêëēĕėęěẹẻẽếềểễệ", "g ĝğġģ", "h ĥħ", "i ìíîïĩīĭįıǐỉị", "j ĵ", "k ķ", "l ĺļľŀł", "n ñńņňŉ", "o òóôõöøōŏőǒơọỏốồổỗộớờởỡợ",
        "r ŕŗř", "s śŝşšș", "t ţťŧț", "u ùúûüũūŭůűųǔưụủứừửữự", "w ŵẁẃẅ", "y ýÿŷỳỵỷỹ", "z źżž", "ss ß", "ae æ", "oe œ",
    }.SelectMany(group => group.Split(' ') is [var plain, var letters] ? letters.Select(letter => KeyValuePair.Create(letter, plain)) : []).ToFrozenDictionary();
}
