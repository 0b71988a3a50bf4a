namespace MultiAgent.Workflows.Templates;

/// <summary>
/// Looks at a template before it is parsed: the parser and the evaluation are recursive, and a stack that overflows ends the process.
/// </summary>
internal static class TemplateBounds
{
    private const int MaxTags = 2000;
    private const int MaxBlocks = 32;
    private const int MaxBrackets = 16;
    private const int MaxOperators = 100;

    private static readonly string[] Openers = ["if", "unless", "for", "case", "tablerow", "capture", "comment", "raw", "macro", "ifchanged", "form", "paginate"];

    public static TemplateError? Check(string source)
    {
        int blocks = 0, tags = 0, position = 0;
        while (true)
        {
            int start = Next(source, position);
            if (start < 0) return null;
            if (++tags > MaxTags) return new TemplateError($"The template has more than {MaxTags} tags.", start);
            bool output = source[start + 1] == '{';
            int end = source.IndexOf(output ? "}}" : "%}", start + 2, StringComparison.Ordinal);
            if (end < 0) return new TemplateError(output ? "'{{' is not closed with '}}'." : "'{%' is not closed with '%}'.", start);
            ReadOnlySpan<char> inside = source.AsSpan(start + 2, end - start - 2);
            if (CheckTag(inside) is { } problem) return new TemplateError(problem, start);
            if (!output)
            {
                ReadOnlySpan<char> name = inside.Trim("- \t\r\n").ToString().Split(' ', '\t', '\r', '\n')[0];
                if (name.StartsWith("end")) blocks--;
                else foreach (string opener in Openers) if (name.SequenceEqual(opener)) blocks++;
                if (blocks > MaxBlocks) return new TemplateError($"The template is nested deeper than {MaxBlocks} blocks.", start);
            }
            position = end + 2;
        }
    }

    private static int Next(string source, int from)
    {
        for (int i = source.IndexOf('{', from); i >= 0 && i + 1 < source.Length; i = source.IndexOf('{', i + 1))
            if (source[i + 1] is '{' or '%') return i;
        return -1;
    }

    private static string? CheckTag(ReadOnlySpan<char> inside)
    {
        int depth = 0, operators = 0;
        char quote = '\0';
        foreach (char c in inside)
        {
            if (quote != '\0')
            {
                if (c == quote) quote = '\0';
                continue;
            }
            switch (c)
            {
                case '\'' or '"':
                    quote = c;
                    break;
                case '(' or '[':
                    if (++depth > MaxBrackets) return $"An expression is nested deeper than {MaxBrackets} brackets.";
                    break;
                case ')' or ']':
                    depth--;
                    break;
                case '|' or '=' or '<' or '>' or ',' or '+' or '*' or '/' or '%':
                    operators++;
                    break;
            }
        }
        foreach (Range word in inside.SplitAny(' ', '\t', '\r', '\n', ')', '('))
            if (inside[word] is "and" or "or" or "contains" or "-") operators++;
        return operators > MaxOperators ? $"An expression has more than {MaxOperators} operators." : null;
    }
}
