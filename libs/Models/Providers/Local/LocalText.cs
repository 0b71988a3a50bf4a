using System.Collections.Frozen;
using System.Text;

namespace MultiAgent.Models.Providers.Local;

/// <summary>Cuts text of any language into sentences and comparable words.</summary>
internal static class LocalText
{
    private const int MaxSentenceLength = 600;

    // Accents are dropped, so that Vietnamese typed without them finds what was written with them. The table is our own
    // because Unicode decomposition is not available under invariant globalisation.
    private static readonly FrozenDictionary<char, char> s_plain = Table(
        "aàáạảãâầấậẩẫăằắặẳẵäåāą", "cçćč", "dđď", "eèéẹẻẽêềếệểễëēęě", "gğ", "iìíịỉĩîïī", "lł", "nñńň",
        "oòóọỏõôồốộổỗơờớợởỡöøōő", "rř", "sšśş", "tťț", "uùúụủũưừứựửữûüūůű", "yỳýỵỷỹÿ", "zžźż");

    private static readonly FrozenSet<string> s_stopWords = FrozenSet.ToFrozenSet(
        ("a an the and or but if of to in on at by for from with about as is are was were be been being am do does did done has have had having can could will would shall should may might must "
        + "i you he she it we they me him her us them my your his its our their this that these those there here what which who whom whose when where why how all any some no not only so than too very "
        + "just also please tell give show say know let want need like get got more most other into over again then once out up down s t "
        + "la va cua co cho voi trong tren duoc khong nhung mot cac nay kia do day gi nao ai sao the nhu thi ma o tai den tu ra vao se da dang toi ban minh hay xin vui long biet bao nhieu may khi nguoi cai ve").Split(' '),
        StringComparer.Ordinal);

    /// <summary>Lower case without accents; as long as the text, so that positions carry over.</summary>
    public static string Fold(string text) => string.Create(text.Length, text, static (span, source) =>
    {
        for (int i = 0; i < span.Length; i++)
        {
            char lower = char.ToLowerInvariant(source[i]);
            span[i] = s_plain.GetValueOrDefault(lower, lower);
        }
    });

    /// <summary>All words, folded and cut to their stems. Scripts without spaces give one word per character.</summary>
    public static IEnumerable<string> Words(string text)
    {
        string folded = Fold(text);
        var word = new StringBuilder();
        foreach (char c in folded)
        {
            bool ideograph = c is >= '\u3040' and <= '\u9fff' or >= '\uac00' and <= '\ud7af';
            // Combining accents belong to the letter before, which is already plain.
            if (c is >= '\u0300' and <= '\u036f') continue;
            if (char.IsLetterOrDigit(c) && !ideograph)
            {
                word.Append(c);
                continue;
            }
            if (word.Length > 0)
            {
                yield return Stem(word.ToString());
                word.Clear();
            }
            if (ideograph) yield return c.ToString();
        }
        if (word.Length > 0) yield return Stem(word.ToString());
    }

    /// <summary>The words that carry meaning.</summary>
    public static IEnumerable<string> ContentWords(string text) => Words(text).Where(w => !s_stopWords.Contains(w));

    public static IEnumerable<string> Sentences(string text)
    {
        int start = 0;
        for (int i = 0; i <= text.Length; i++)
        {
            bool end = i == text.Length || text[i] == '\n' || i - start >= MaxSentenceLength || text[i] is '。' or '！' or '？'
                || (text[i] is '.' or '!' or '?' && (i + 1 == text.Length || char.IsWhiteSpace(text[i + 1])) && !IsAbbreviation(text, start, i));
            if (!end) continue;
            int stop = Math.Min(text.Length, i + 1);
            if (stop < text.Length && char.IsHighSurrogate(text[stop - 1])) continue;
            string sentence = text[start..stop].Trim();
            start = stop;
            if (sentence.Length > 0) yield return sentence;
        }
    }

    /// <summary>Whether a text is Vietnamese, by letters that no other common language has.</summary>
    public static bool IsVietnamese(string text) =>
        text.AsSpan().IndexOfAny("ăđơưĂĐƠƯ") >= 0 || text.AsSpan().IndexOfAnyInRange('\u1ea0', '\u1ef9') >= 0;

    /// <summary>Whether two words mean alike: the same stem, or long and with the same beginning (calculate, calculator).</summary>
    public static bool Alike(string a, string b)
    {
        if (a == b) return true;
        int common = a.AsSpan().CommonPrefixLength(b);
        return common >= 5 && Math.Max(a.Length, b.Length) - common <= 4;
    }

    private static bool IsAbbreviation(string text, int start, int dot)
    {
        if (text[dot] != '.') return false;
        int begin = dot;
        while (begin > start && char.IsLetterOrDigit(text[begin - 1])) begin--;
        ReadOnlySpan<char> word = text.AsSpan(begin, dot - begin);
        bool listNumber = begin == start && word.Length is > 0 and <= 2 && char.IsDigit(word[0]);
        return listNumber || (word.Length == 1 && char.IsUpper(word[0])) || word is "Mr" or "Mrs" or "Ms" or "Dr" or "St" or "vs" or "No" or "TP";
    }

    private static string Stem(string word)
    {
        if (word.Length < 5 || word.AsSpan().ContainsAnyExceptInRange('a', 'z')) return word.Length == 4 && word.EndsWith('s') && !word.EndsWith("ss", StringComparison.Ordinal) ? word[..3] : word;
        foreach (string suffix in (ReadOnlySpan<string>)["ings", "ing", "ed", "es", "s", "ly"])
            if (word.EndsWith(suffix, StringComparison.Ordinal) && !word.EndsWith("ss", StringComparison.Ordinal)) return Undouble(word[..^suffix.Length]);
        return word.EndsWith('e') ? word[..^1] : word;
    }

    private static string Undouble(string stem) =>
        stem.Length > 3 && stem[^1] == stem[^2] && stem[^1] is not ('l' or 's') ? stem[..^1] : stem.EndsWith('e') ? stem[..^1] : stem;

    private static FrozenDictionary<char, char> Table(params string[] rows) =>
        rows.SelectMany(row => row.Skip(1).Select(accented => (accented, plain: row[0]))).ToFrozenDictionary(p => p.accented, p => p.plain);
}
