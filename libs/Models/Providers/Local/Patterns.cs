using System.Globalization;
using System.Text.RegularExpressions;

namespace MultiAgent.Models.Providers.Local;

/// <summary>Finds things with a recognisable shape. The expressions run in linear time whatever the text: it is untrusted.</summary>
internal static class Patterns
{
    private const RegexOptions Linear = RegexOptions.NonBacktracking | RegexOptions.CultureInvariant;

    public static readonly Regex Url = new(@"https?://[^\s<>""'）)\]]+", Linear);
    public static readonly Regex Email = new(@"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+", Linear);
    public static readonly Regex Date = new(@"\b\d{4}-\d{2}-\d{2}\b", Linear);
    public static readonly Regex DateTime = new(@"\b\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})", Linear);
    public static readonly Regex Uuid = new(@"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b", Linear);
    public static readonly Regex Code = new(@"#\d+|\b[A-Za-z]+[-_][A-Za-z0-9_-]*\d[A-Za-z0-9_-]*|\b[A-Z]+\d+\b|\b\d{3,}\b", Linear);
    public static readonly Regex Path = new(@"(?:\.{0,2}/)?[\w.-]+(?:/[\w.-]+)+|\b[\w-]+\.[A-Za-z]{2,4}\b", Linear);
    public static readonly Regex Quoted = new("\"([^\"]+)\"|“([^”]+)”|«([^»]+)»|`([^`]+)`|(?:^|[\\s(:])'([^']+)'", Linear);
    public static readonly Regex Number = new(@"-?\d+(?:\.\d+)?", Linear);
    public static readonly Regex TimeZone = new(@"\b(?:Africa|America|Asia|Atlantic|Australia|Europe|Indian|Pacific|Etc)/[A-Za-z_+-]+(?:/[A-Za-z_]+)?|\bUTC\b|\bGMT\b", Linear);
    public static readonly Regex Capitalised = new(@"\p{Lu}[\p{L}\p{M}'-]*(?:\s+\p{Lu}[\p{L}\p{M}'-]*)*", Linear);
    public static readonly Regex AfterPreposition = new(@"(?:^|\s)(?:in|at|for|near|from|to|ở|tại)\s+(\p{Lu}[\p{L}\p{M}'-]*(?:\s+\p{Lu}[\p{L}\p{M}'-]*)*)", Linear);
    private static readonly Regex s_arithmetic = new(@"\(*-?\d+(?:[.,]\d+)*\)*(?:\s*(?:\*\*|[-+*/×÷^%]|x)\s*\(*-?\d+(?:[.,]\d+)*\)*)+", Linear);
    private static readonly Regex s_percentOf = new(@"(\d+(?:\.\d+)?)\s*%\s*(?:of|của)\s*(\d+(?:\.\d+)?)", Linear);
    private static readonly Regex s_thousands = new(@"(\d),(\d{3})\b", Linear);

    private static readonly (string Word, string Sign)[] s_signs =
    [
        (" divided by ", " / "), (" multiplied by ", " * "), (" times ", " * "), (" plus ", " + "), (" minus ", " - "), (" over ", " / "),
        (" cộng ", " + "), (" trừ ", " - "), (" nhân ", " * "), (" chia ", " / "),
    ];

    /// <summary>The first arithmetic expression, in the signs <c>+ - * / % ^ ( )</c>; dates are none.</summary>
    public static string? Arithmetic(string text)
    {
        if (s_percentOf.Match(text) is { Success: true } percent) return $"{percent.Groups[1].Value} / 100 * {percent.Groups[2].Value}";
        foreach ((string word, string sign) in s_signs) text = text.Replace(word, sign, StringComparison.OrdinalIgnoreCase);
        foreach (Match match in s_arithmetic.Matches(text))
        {
            string found = match.Value;
            if (found.Count(c => c is '-' or '/') == 2 && !found.AsSpan().ContainsAny(' ', '+', '*') && found.Split('-', '/') is [{ Length: 4 or <= 2 }, { Length: <= 2 }, { Length: 4 or <= 2 }]) continue;
            found = found.Replace('×', '*').Replace('÷', '/').Replace('x', '*');
            while (s_thousands.IsMatch(found)) found = s_thousands.Replace(found, "$1$2");
            return Balanced(found);
        }
        return null;
    }

    public static string? First(Regex pattern, string text) => pattern.Match(text) is { Success: true } match ? match.Value.TrimEnd('.', ',', ';', '!', '?') : null;

    public static IEnumerable<string> QuotedTexts(string text) =>
        Quoted.Matches(text).Select(m => m.Groups.Values.Skip(1).First(g => g.Success).Value);

    public static IEnumerable<(int Position, decimal Value)> Numbers(string text)
    {
        foreach (Match match in Number.Matches(s_thousands.Replace(text, "$1$2")))
            if (decimal.TryParse(match.Value, NumberStyles.Float, CultureInfo.InvariantCulture, out decimal value)) yield return (match.Index, value);
    }

    private static string Balanced(string expression)
    {
        int open = 0;
        foreach (char c in expression)
        {
            if (c == '(') open++;
            else if (c == ')' && --open < 0) return expression.Replace("(", "").Replace(")", "");
        }
        return open == 0 ? expression : expression + new string(')', open);
    }
}
