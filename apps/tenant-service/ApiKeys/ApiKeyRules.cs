using MultiAgent.Contracts.Identity;

namespace MultiAgent.Tenants.ApiKeys;

/// <summary>What a new key may look like.</summary>
internal static class ApiKeyRules
{
    public const int MaxName = 100;
    public const int MaxDays = 3650;
    public const int MaxRate = 1_000_000;
    public const int MaxOverlapSeconds = 30 * 24 * 3600;
    public const int DefaultOverlapSeconds = 24 * 3600;

    /// <summary>Keys that a tenant may have at once, neither revoked nor expired.</summary>
    public const int MaxActive = 1000;

    /// <summary>Scopes of a key for which none were named: a leaked one must not make more keys.</summary>
    public static Scopes DefaultScopes => ScopeNames.Of(Role.Developer) & ~Scopes.KeysManage;

    /// <summary>All problems of a request by member, and the scopes that it names.</summary>
    public static Dictionary<string, string[]> Check(CreateApiKeyRequest request, DateTimeOffset now, out Scopes scopes)
    {
        var errors = new Dictionary<string, string[]>();
        if (request.Name?.Trim() is not { Length: > 0 and <= MaxName }) errors["name"] = [$"must have 1 to {MaxName} characters"];
        scopes = Scopes.None;
        foreach (string name in request.Scopes ?? [])
        {
            if (ScopeNames.TryParse(name, out Scopes scope)) scopes |= scope;
            else errors["scopes"] = [$"must be some of {string.Join(", ", ScopeNames.All)}"];
        }
        if (request.Scopes is { Count: 0 }) errors["scopes"] = ["must not be empty; leave it out for the default"];
        if (request.ExpiresAt is not null && request.ExpiresInDays is not null) errors["expiresAt"] = ["cannot be combined with expiresInDays"];
        else if (request.ExpiresAt is { } at && (at <= now || at > now.AddDays(MaxDays))) errors["expiresAt"] = [$"must be in the future, at most {MaxDays} days ahead"];
        if (request.ExpiresInDays is < 1 or > MaxDays) errors["expiresInDays"] = [$"must be between 1 and {MaxDays}"];
        if (request.RequestsPerMinute is < 1 or > MaxRate) errors["requestsPerMinute"] = [$"must be between 1 and {MaxRate}"];
        if (request.Burst is < 1 or > MaxRate) errors["burst"] = [$"must be between 1 and {MaxRate}"];
        else if (request.Burst is not null && request.RequestsPerMinute is null) errors["burst"] = ["needs requestsPerMinute beside it"];
        return errors;
    }
}
