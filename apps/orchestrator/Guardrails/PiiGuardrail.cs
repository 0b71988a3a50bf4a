using System.Text.RegularExpressions;

namespace MultiAgent.Orchestrator.Guardrails;

/// <summary>
/// Finds personal data by its form, and where there is one by its check digits: cards by the Luhn formula (ISO/IEC 7812-1), bank accounts by modulo 97 (ISO 13616).
/// What it takes out is named by kind and number, the same value by the same, so that a text still makes sense.
/// </summary>
internal sealed partial class PiiGuardrail(IReadOnlyCollection<string> kinds) : IGuardrail
{
    // In this order: a card's digits look like a telephone number's.
    private static readonly (string Kind, Regex Pattern, Func<string, bool> IsValid)[] Detectors =
    [
        ("email", Email(), static _ => true),
        ("iban", Iban(), IsIban),
        ("card", Card(), IsCard),
        ("ssn", Ssn(), static _ => true),
        ("ip", Ip(), static _ => true),
        ("phone", Phone(), static v => v.Count(char.IsAsciiDigit) is >= 8 and <= 15),
    ];

    public static IReadOnlyList<string> AllKinds { get; } = [.. Detectors.Select(d => d.Kind)];

    public string Type => "pii";

    public GuardrailHit? Check(string text)
    {
        var found = new Dictionary<string, int>(StringComparer.Ordinal);
        string rewritten = text;
        foreach ((string kind, Regex pattern, Func<string, bool> isValid) in Detectors)
        {
            if (!kinds.Contains(kind)) continue;
            var numbers = new Dictionary<string, int>(StringComparer.OrdinalIgnoreCase);
            rewritten = pattern.Replace(rewritten, match =>
            {
                if (!isValid(match.Value)) return match.Value;
                found[kind] = found.GetValueOrDefault(kind) + 1;
                if (!numbers.TryGetValue(match.Value, out int number)) numbers[match.Value] = number = numbers.Count + 1;
                return $"[{kind}_{number}]";
            });
        }
        return found.Count == 0 ? null : new GuardrailHit(found, rewritten);
    }

    private static bool IsCard(string value)
    {
        int sum = 0, digits = 0;
        for (int i = value.Length - 1; i >= 0; i--)
        {
            if (!char.IsAsciiDigit(value[i])) continue;
            int digit = value[i] - '0';
            if (digits++ % 2 == 1 && (digit *= 2) > 9) digit -= 9;
            sum += digit;
        }
        return digits is >= 13 and <= 19 && sum % 10 == 0;
    }

    private static bool IsIban(string value)
    {
        string compact = value.Replace(" ", "", StringComparison.Ordinal);
        if (compact.Length is < 15 or > 34) return false;
        int rest = 0;
        foreach (char c in compact[4..] + compact[..4])
        {
            int digit = char.IsAsciiDigit(c) ? c - '0' : c - 'A' + 10;
            rest = (rest * (digit > 9 ? 100 : 10) + digit) % 97;
        }
        return rest == 1;
    }

    [GeneratedRegex(@"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}", RegexOptions.None, 2000)]
    private static partial Regex Email();

    [GeneratedRegex(@"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b", RegexOptions.None, 2000)]
    private static partial Regex Iban();

    [GeneratedRegex(@"\b[0-9](?:[ -]?[0-9]){12,18}\b", RegexOptions.None, 2000)]
    private static partial Regex Card();

    [GeneratedRegex(@"\b(?!000|666|9[0-9]{2})[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4}\b", RegexOptions.None, 2000)]
    private static partial Regex Ssn();

    [GeneratedRegex(@"(?<![\w.])(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])(?![\w.]*[\w])", RegexOptions.None, 2000)]
    private static partial Regex Ip();

    // International, or the North American forms: any other row of digits may be an order's number.
    [GeneratedRegex(@"(?<![\w+])(?:(?:\+|00)[1-9][0-9]{0,2}(?:[ ./-]?\(?[0-9]{1,4}\)?){2,6}|\([2-9][0-9]{2}\) ?[0-9]{3}[ -][0-9]{4}|[2-9][0-9]{2}[-.][0-9]{3}[-.][0-9]{4})(?!\w)", RegexOptions.None, 2000)]
    private static partial Regex Phone();
}
