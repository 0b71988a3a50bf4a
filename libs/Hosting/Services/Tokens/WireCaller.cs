using System.Text.Json.Serialization;
using MultiAgent.Contracts.Clients;
using MultiAgent.Contracts.Identity;

namespace MultiAgent.Hosting.Services.Tokens;

/// <summary>A caller as it travels between services.</summary>
internal sealed record WireCaller
{
    public required string TenantId { get; init; }
    public required string TenantSlug { get; init; }
    public string? UserId { get; init; }
    public string? ApiKeyId { get; init; }
    public required IReadOnlyList<string> Scopes { get; init; }
    public TenantLimits? Limits { get; init; }
    public KeyLimits? KeyLimits { get; init; }
    public DateTimeOffset? ValidUntil { get; init; }

    public static WireCaller Of(Caller caller) => new()
    {
        TenantId = caller.TenantId,
        TenantSlug = caller.TenantSlug,
        UserId = caller.UserId,
        ApiKeyId = caller.ApiKeyId,
        Scopes = ScopeNames.ToNames(caller.Scopes),
        Limits = caller.Limits,
        KeyLimits = caller.KeyLimits,
        ValidUntil = caller.ValidUntil,
    };

    public Caller ToCaller()
    {
        Scopes scopes = Contracts.Identity.Scopes.None;
        // A scope that a newer service knows and this one does not opens nothing here.
        foreach (string name in Scopes)
            if (ScopeNames.TryParse(name, out Scopes scope)) scopes |= scope;
        return new Caller
        {
            TenantId = TenantId,
            TenantSlug = TenantSlug,
            UserId = UserId,
            ApiKeyId = ApiKeyId,
            Scopes = scopes,
            Limits = Limits,
            KeyLimits = KeyLimits,
            ValidUntil = ValidUntil,
        };
    }
}

/// <summary>A credential to be looked up; exactly one member is there. Untrusted.</summary>
internal sealed record CredentialQuery(string? ApiKey, string? AccessToken);

/// <summary>JSON of what travels between services.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(WireCaller))]
[JsonSerializable(typeof(CredentialQuery))]
[JsonSerializable(typeof(IReadOnlyList<AgentSummary>))]
internal sealed partial class ServiceJson : JsonSerializerContext;
