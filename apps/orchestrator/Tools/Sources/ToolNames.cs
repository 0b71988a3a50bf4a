using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;

namespace MultiAgent.Orchestrator.Tools.Sources;

/// <summary>Names of tools that tenants bring.</summary>
internal static partial class ToolNames
{
    private const int MaxWire = 64;

    /// <summary>Slugs that would read like something else.</summary>
    public static readonly string[] Reserved = ["agent", "workflow", "builtin"];

    public static bool IsSlug(string? text) => text is not null && Slug().IsMatch(text);

    /// <summary>The name in the API, e.g. <c>shop.getOrder</c>.</summary>
    public static string Full(string source, string tool) => $"{source}.{tool}";

    /// <summary>
    /// The name that models call: the parts joined by two underscores, which no first part has. One that would be too long is cut and told apart by a hash.
    /// </summary>
    public static string Wire(string first, string second)
    {
        string name = $"{first}__{second}";
        return name.Length <= MaxWire ? name : $"{name[..(MaxWire - 9)]}_{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(name)))[..8]}";
    }

    /// <summary>A name of a source's own, made of the characters that names may have and told apart from those taken.</summary>
    public static string Clean(string remote, ISet<string> taken)
    {
        string name = Other().Replace(remote, "_").Trim('_');
        if (name.Length == 0) name = "tool";
        if (name.Length > 80) name = name[..80];
        string unique = name;
        for (int i = 2; !taken.Add(unique); i++) unique = $"{name}_{i}";
        return unique;
    }

    [GeneratedRegex("^[a-z0-9][a-z0-9-]{0,31}$")]
    private static partial Regex Slug();

    [GeneratedRegex("[^A-Za-z0-9_-]+")]
    private static partial Regex Other();
}
