using System.Text;
using System.Text.RegularExpressions;

namespace MultiAgent.Orchestrator.Guardrails;

/// <summary>
/// Finds what in a text speaks to the model rather than to people: orders to forget its instructions or to hide something from the user, marks of chat formats, and
/// characters that nobody sees. A heuristic: it takes the crude attempts out, and is no reason to give a tool more rights.
/// </summary>
internal sealed partial class InjectionGuardrail : IGuardrail
{
    private const string Removed = "[removed: it looks like an instruction to the assistant]";

    public string Type => "prompt_injection";

    public GuardrailHit? Check(string text)
    {
        var found = new Dictionary<string, int>(StringComparer.Ordinal);
        string visible = Visible(text, out int hidden);
        if (hidden > 0) found["hidden_text"] = hidden;
        var output = new StringBuilder(visible.Length);
        foreach (Range range in Sentences(visible))
        {
            ReadOnlySpan<char> sentence = visible.AsSpan(range);
            string? kind = Orders().IsMatch(sentence) ? "override" : Secrecy().IsMatch(sentence) ? "secrecy" : Marks().IsMatch(sentence) ? "role_marker" : null;
            if (kind is null) output.Append(sentence);
            else
            {
                found[kind] = found.GetValueOrDefault(kind) + 1;
                output.Append(Removed).Append(sentence[sentence.TrimEnd().Length..]);
            }
        }
        return found.Count == 0 ? null : new GuardrailHit(found, output.ToString());
    }

    // Tag characters spell text that no reader sees (Unicode block E0000 to E007F); zero-width ones split words.
    private static string Visible(string text, out int hidden)
    {
        hidden = 0;
        StringBuilder? output = null;
        int index = 0;
        foreach (Rune rune in text.EnumerateRunes())
        {
            if (rune.Value is (>= 0xE0000 and <= 0xE007F) or 0x200B or 0x2060 or 0xFEFF or (>= 0x202A and <= 0x202E) or (>= 0x2066 and <= 0x2069))
            {
                output ??= new StringBuilder(text, 0, index, text.Length);
                hidden++;
            }
            else output?.Append(rune);
            index += rune.Utf16SequenceLength;
        }
        return output?.ToString() ?? text;
    }

    // Up to the end of a sentence or line, with the space after it.
    private static IEnumerable<Range> Sentences(string text)
    {
        int start = 0;
        for (int i = 0; i < text.Length; i++)
        {
            bool end = text[i] == '\n' || (text[i] is '.' or '!' or '?' && (i + 1 == text.Length || char.IsWhiteSpace(text[i + 1])));
            if (!end) continue;
            while (i + 1 < text.Length && text[i + 1] is ' ' or '\n' or '\r' or '\t') i++;
            yield return start..(i + 1);
            start = i + 1;
        }
        if (start < text.Length) yield return start..text.Length;
    }

    // Without backtracking: the time is proportional to the text, whatever is in it.
    [GeneratedRegex(@"\b(?:ignore|disregard|forget|override|bypass)\b.{0,40}\b(?:previous|prior|above|earlier|preceding|all|any|your|the|these)\b.{0,40}\b(?:instructions?|prompts?|rules?|guidelines?|directions?|context)\b|\byou are now\b.{0,60}\b(?:mode|unrestricted|jailbroken|DAN)\b|\bnew (?:system )?instructions?\s*:|\b(?:reveal|print|repeat|show|leak)\b.{0,30}\b(?:system prompt|your instructions|your prompt)\b", RegexOptions.IgnoreCase | RegexOptions.NonBacktracking, 5000)]
    private static partial Regex Orders();

    [GeneratedRegex(@"\b(?:do not|don't|never)\b.{0,20}\b(?:tell|inform|mention|reveal|show)\b.{0,30}\b(?:user|human|customer|operator)\b|\bwithout (?:telling|informing|asking) the (?:user|human|customer)\b", RegexOptions.IgnoreCase | RegexOptions.NonBacktracking, 5000)]
    private static partial Regex Secrecy();

    [GeneratedRegex(@"<\|(?:im_start|im_end|system|user|assistant|endoftext)\|>|\[/?INST\]|<</?SYS>>|^\s*(?:#{1,3}\s*)?(?:system|assistant)\s*(?:prompt|message)?\s*:", RegexOptions.IgnoreCase | RegexOptions.Multiline | RegexOptions.NonBacktracking, 5000)]
    private static partial Regex Marks();
}
