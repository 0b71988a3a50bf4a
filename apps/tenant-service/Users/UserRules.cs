using MultiAgent.Contracts.Identity;

namespace MultiAgent.Tenants.Users;

/// <summary>What users may look like, and who may change whom.</summary>
internal static class UserRules
{
    public const int MaxName = 100;
    public const int MaxEmail = 254;

    /// <summary>Users that a tenant may have.</summary>
    public const int MaxUsers = 10_000;

    /// <summary>
    /// True when the caller may give a role, or change somebody who has it: only with all that the role allows. API keys
    /// have no role, so it is their scopes that count.
    /// </summary>
    public static bool Reaches(this Caller caller, Role role) => caller.Has(ScopeNames.Of(role));

    public static bool IsEmail(string? email) =>
        email is { Length: >= 3 and <= MaxEmail } && email.IndexOf('@') is > 0 and var at && at == email.LastIndexOf('@') && at < email.Length - 1
        && !email.Any(c => char.IsWhiteSpace(c) || char.IsControl(c));

    /// <summary>Parses a wire name; numbers are none.</summary>
    public static bool TryParse<TEnum>(string? name, out TEnum value) where TEnum : struct, Enum
    {
        value = default;
        return name is { Length: > 0 } && char.IsAsciiLetter(name[0]) && !name.Contains(',') && Enum.TryParse(name, ignoreCase: true, out value);
    }

    public static string Names<TEnum>() where TEnum : struct, Enum => string.Join(", ", Enum.GetNames<TEnum>().Select(n => n.ToLowerInvariant()));
}
