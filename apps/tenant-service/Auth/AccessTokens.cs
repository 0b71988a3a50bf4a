using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;
using MultiAgent.Tenants.Users;

namespace MultiAgent.Tenants.Auth;

/// <summary>What a valid access token says. Whether the session still stands is looked up, not believed.</summary>
internal sealed record AccessTokenClaims(string UserId, string TenantId, string FamilyId, DateTimeOffset ValidUntil);

/// <summary>Signs and verifies access tokens: JWT with HMAC-SHA256.</summary>
internal sealed class AccessTokens(SigningKeys keys, IOptions<AuthOptions> options, TimeProvider time)
{
    private const string Issuer = "maap";
    private const string Audience = "maap-api";

    /// <summary>How far clocks of two processes may differ.</summary>
    public static readonly TimeSpan ClockSkew = TimeSpan.FromSeconds(30);

    private readonly JsonWebTokenHandler _handler = new() { SetDefaultTimesOnTokenCreation = false, MapInboundClaims = false, MaximumTokenSizeInBytes = 8192 };

    public async ValueTask<string> IssueAsync(User user, string familyId, CancellationToken cancellationToken)
    {
        DateTime now = time.GetUtcNow().UtcDateTime;
        return _handler.CreateToken(new SecurityTokenDescriptor
        {
            Issuer = Issuer,
            Audience = Audience,
            IssuedAt = now,
            Expires = now + options.Value.AccessTokenLifetime,
            SigningCredentials = await keys.CurrentAsync(cancellationToken),
            Claims = new Dictionary<string, object>
            {
                ["sub"] = user.Id,
                ["tid"] = user.TenantId,
                ["role"] = user.Role.ToString().ToLowerInvariant(),
                ["sid"] = familyId,
            },
        });
    }

    /// <summary>The claims of a token that we signed and that is not expired, else null. The token is untrusted.</summary>
    public async ValueTask<AccessTokenClaims?> VerifyAsync(string token, CancellationToken cancellationToken)
    {
        if (Read(token) is not { Kid: { Length: > 0 } keyId, Alg: SecurityAlgorithms.HmacSha256 }) return null;
        if (await keys.FindAsync(keyId, cancellationToken) is not { } key) return null;
        TokenValidationResult result = await _handler.ValidateTokenAsync(token, new TokenValidationParameters
        {
            ValidAlgorithms = [SecurityAlgorithms.HmacSha256],
            ValidIssuer = Issuer,
            ValidAudience = Audience,
            IssuerSigningKey = key,
            RequireSignedTokens = true,
            RequireExpirationTime = true,
            LifetimeValidator = IsAlive,
        });
        return result is { IsValid: true, SecurityToken: JsonWebToken jwt }
            && jwt.TryGetPayloadValue("tid", out string? tenantId) && jwt.TryGetPayloadValue("sid", out string? familyId)
            && tenantId is not null && familyId is not null && !string.IsNullOrEmpty(jwt.Subject)
            ? new AccessTokenClaims(jwt.Subject, tenantId, familyId, new DateTimeOffset(jwt.ValidTo, TimeSpan.Zero) + ClockSkew)
            : null;
    }

    // The library's own check reads the system's clock.
    private bool IsAlive(DateTime? notBefore, DateTime? expires, SecurityToken token, TokenValidationParameters parameters)
    {
        DateTime now = time.GetUtcNow().UtcDateTime;
        return expires is { } end && now < end + ClockSkew && (notBefore is not { } begin || begin <= now + ClockSkew);
    }

    private JsonWebToken? Read(string token)
    {
        try
        {
            return _handler.ReadJsonWebToken(token);
        }
        catch (ArgumentException)
        {
            return null;
        }
    }
}
