using System.Reflection;
using System.Text;
using System.Text.RegularExpressions;

namespace MultiAgent.Architecture.Tests;

/// <summary>The assemblies and source files that the rules are about.</summary>
internal static partial class Sources
{
    public static IReadOnlySet<string?> Services { get; } = new HashSet<string?> { "MultiAgent.Analytics", "MultiAgent.Gateway", "MultiAgent.Orchestrator", "MultiAgent.Tenants" };

    public static IReadOnlyList<Assembly> Assemblies { get; } =
        [.. Directory.EnumerateFiles(AppContext.BaseDirectory, "MultiAgent.*.dll").Where(f => !Path.GetFileName(f).Contains("Test", StringComparison.Ordinal)).Select(f => Assembly.Load(AssemblyName.GetAssemblyName(f)))];

    /// <summary>Product code, by path from the root.</summary>
    public static IReadOnlyDictionary<string, string> Files { get; } = new[] { "apps", "libs" }
        .SelectMany(folder => Directory.EnumerateFiles(Repository.At(folder), "*.cs", SearchOption.AllDirectories))
        .Where(f => !f.Contains($"{Path.DirectorySeparatorChar}obj{Path.DirectorySeparatorChar}", StringComparison.Ordinal))
        .ToDictionary(f => Path.GetRelativePath(Repository.Root, f).Replace('\\', '/'), File.ReadAllText);

    /// <summary>The statements of a file as pairs of their code without strings, and their strings joined.</summary>
    public static IEnumerable<(string Code, string Strings)> Statements(string source)
    {
        var code = new StringBuilder();
        var strings = new StringBuilder();
        int i = 0;
        while (i < source.Length)
        {
            char c = source[i];
            if (c == '/' && i + 1 < source.Length && source[i + 1] == '/') i = End(source, "\n", i);
            else if (c == '/' && i + 1 < source.Length && source[i + 1] == '*') i = End(source, "*/", i + 2);
            else if (c == '\'' && CharLiteral().Match(source, i) is { Success: true } character) i += character.Length;
            else if (c == '"')
            {
                (int end, string text) = Literal(source, i);
                strings.Append(text).Append(' ');
                code.Append('"').Append('"');
                i = end;
            }
            else
            {
                code.Append(c);
                i++;
                if (c is not (';' or '{' or '}')) continue;
                if (strings.Length > 0) yield return (code.ToString(), strings.ToString());
                code.Clear();
                strings.Clear();
            }
        }
    }

    private static (int End, string Text) Literal(string source, int start)
    {
        int quotes = start;
        while (quotes < source.Length && source[quotes] == '"') quotes++;
        int count = quotes - start;
        if (count >= 3)
        {
            int close = source.IndexOf(new string('"', count), quotes, StringComparison.Ordinal);
            return (close + count, source[quotes..close]);
        }
        if (count == 2) return (quotes, "");
        bool verbatim = start > 0 && (source[start - 1] == '@' || (source[start - 1] == '$' && start > 1 && source[start - 2] == '@'));
        int i = start + 1;
        while (i < source.Length && source[i] != '"') i += source[i] == '\\' && !verbatim ? 2 : 1;
        return (i + 1, source[(start + 1)..Math.Min(i, source.Length)]);
    }

    private static int End(string source, string mark, int from) => source.IndexOf(mark, from, StringComparison.Ordinal) is >= 0 and var found ? found + mark.Length : source.Length;

    [GeneratedRegex(@"\G'(\\.[^']*|[^'\\])'")]
    private static partial Regex CharLiteral();
}
