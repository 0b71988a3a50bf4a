using System.Text;
using System.Text.Json;

namespace MultiAgent.Orchestrator.Guardrails;

/// <summary>
/// Makes JSON of an answer that was meant to be: takes it out of the prose or code fence around it, drops trailing commas and comments, quotes names, and closes what was
/// left open. Only what then parses is an answer; anything else stays as it was.
/// </summary>
internal sealed class JsonRepairGuardrail : IGuardrail
{
    private static readonly Dictionary<string, int> Repaired = new(StringComparer.Ordinal) { ["repaired"] = 1 };

    public string Type => "json_repair";

    public GuardrailHit? Check(string text) => Parses(text) || Repair(text) is not { } repaired || !Parses(repaired) ? null : new GuardrailHit(Repaired, repaired);

    private static bool Parses(string text)
    {
        try
        {
            using var document = JsonDocument.Parse(text);
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static string? Repair(string text)
    {
        int start = text.AsSpan().IndexOfAny('{', '[');
        if (start < 0) return null;
        var output = new StringBuilder(text.Length);
        var open = new Stack<char>();
        int i = start;
        while (i < text.Length)
        {
            char c = text[i];
            if (c is '"' or '\'')
            {
                i = String(text, i, output);
                continue;
            }
            if (c == '/' && i + 1 < text.Length && text[i + 1] is '/' or '*')
            {
                i = Comment(text, i);
                continue;
            }
            if (c is '{' or '[') open.Push(c == '{' ? '}' : ']');
            if (c is '}' or ']')
            {
                // A bracket that closes something further out closes what is inside as well.
                if (!open.Contains(c)) return null;
                TrimComma(output);
                while (open.Peek() != c) output.Append(open.Pop());
                open.Pop();
            }
            if (char.IsLetter(c) || c is '_' or '$')
            {
                i = Word(text, i, output);
                continue;
            }
            output.Append(c);
            i++;
            // What follows the value is prose.
            if (open.Count == 0) break;
        }
        TrimComma(output);
        if (output.Length > 0 && output[^1] == ':') output.Append("null");
        while (open.Count > 0) output.Append(open.Pop());
        return output.ToString();
    }

    private static int String(string text, int i, StringBuilder output)
    {
        char quote = text[i++];
        output.Append('"');
        for (; i < text.Length && text[i] != quote; i++)
        {
            char c = text[i];
            if (c == '\\' && i + 1 < text.Length)
            {
                char escaped = text[++i];
                if (escaped != '\'') output.Append('\\');
                output.Append(escaped);
            }
            else if (c == '"') output.Append("\\\"");
            else if (c < ' ') output.Append(c switch { '\n' => "\\n", '\r' => "\\r", '\t' => "\\t", _ => " " });
            else if (c != '\\') output.Append(c);
        }
        output.Append('"');
        return Math.Min(i + 1, text.Length);
    }

    private static int Comment(string text, int i)
    {
        int end = text[i + 1] == '/' ? text.IndexOf('\n', i) : text.IndexOf("*/", i + 2, StringComparison.Ordinal);
        return end < 0 ? text.Length : end + (text[i + 1] == '/' ? 1 : 2);
    }

    // A name without quotes, or a constant, perhaps Python's.
    private static int Word(string text, int i, StringBuilder output)
    {
        int start = i;
        while (i < text.Length && (char.IsLetterOrDigit(text[i]) || text[i] is '_' or '$' or '-')) i++;
        string word = text[start..i];
        bool number = output.Length > 0 && char.IsAsciiDigit(output[^1]);
        output.Append(number ? word : word switch
        {
            "true" or "True" => "true",
            "false" or "False" => "false",
            "null" or "None" or "undefined" or "NaN" => "null",
            _ => $"\"{word}\"",
        });
        return i;
    }

    private static void TrimComma(StringBuilder output)
    {
        while (output.Length > 0 && (char.IsWhiteSpace(output[^1]) || output[^1] == ',')) output.Length--;
    }
}
