using System.Net;
using System.Text.RegularExpressions;

namespace MultiAgent.Orchestrator.Tools;

/// <summary>Host names that an agent may call: exact, or <c>*.example.com</c> for every host below.</summary>
internal static partial class HostPattern
{
    public static bool IsValid(string? pattern) => pattern is not null && (Pattern().IsMatch(pattern) || IPAddress.TryParse(pattern, out _));

    public static bool Matches(IReadOnlyList<string> patterns, string host)
    {
        host = host.TrimEnd('.');
        foreach (string pattern in patterns)
        {
            if (pattern.StartsWith("*.", StringComparison.Ordinal)
                    ? host.Length > pattern.Length - 1 && host.EndsWith(pattern[1..], StringComparison.OrdinalIgnoreCase)
                    : host.Equals(pattern, StringComparison.OrdinalIgnoreCase))
                return true;
        }
        return false;
    }

    [GeneratedRegex(@"^(\*\.)?([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$")]
    private static partial Regex Pattern();
}
