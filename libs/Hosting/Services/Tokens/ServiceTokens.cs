using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;
using MultiAgent.Contracts.Identity;

namespace MultiAgent.Hosting.Services.Tokens;

/// <summary>A call of another service of the platform, verified.</summary>
/// <param name="From">The calling service.</param>
/// <param name="Caller">On whose behalf; null for calls of the service itself.</param>
/// <param name="ClientAddress">The address of the client outside, where the front door passed it on.</param>
internal sealed record ServiceCall(string From, Caller? Caller, IPAddress? ClientAddress);

/// <summary>
/// Signs and verifies the tokens by which services know each other: JWT with HMAC-SHA256, good for one minute and for one service. A stolen one opens
/// no other service, and a caller's tenant and scopes cannot be changed on the way.
/// </summary>
public sealed class ServiceTokens
{
    /// <summary>The header that carries the token. The caller's own credential stays at the front door.</summary>
    public const string Header = "Maap-Service-Token";

    /// <summary>How long a token is good: it is made for each call, and checked when the call arrives.</summary>
    internal static readonly TimeSpan Lifetime = TimeSpan.FromSeconds(60);

    /// <summary>How far the clocks of two machines may differ.</summary>
    internal static readonly TimeSpan ClockSkew = TimeSpan.FromSeconds(5);

    private const string Issuer = "maap-services";
    private const string Type = "maap-service+jwt";

    private readonly JsonWebTokenHandler _handler = new() { SetDefaultTimesOnTokenCreation = false, MapInboundClaims = false, MaximumTokenSizeInBytes = 8192 };
    private readonly SigningCredentials? _credentials;
    private readonly SecurityKey[] _keys;
    private readonly string _self;
    private readonly TimeProvider _time;

    internal ServiceTokens(ServiceTopology topology, IOptions<ServicesOptions> options, TimeProvider time)
    {
        _self = topology.Process;
        _time = time;
        _keys = [.. ((string?[])[options.Value.Secret, options.Value.PreviousSecret]).Where(s => !string.IsNullOrEmpty(s)).Select(s => KeyOf(s!))];
        _credentials = string.IsNullOrEmpty(options.Value.Secret) ? null : new SigningCredentials(_keys[0], SecurityAlgorithms.HmacSha256);
    }

    /// <summary>A token for one call of a service.</summary>
    /// <param name="audience">The service that is called.</param>
    /// <param name="caller">On whose behalf; null for the calling service itself.</param>
    /// <param name="clientAddress">The client outside, for limits per address.</param>
    public string Issue(string audience, Caller? caller, IPAddress? clientAddress = null)
    {
        DateTime now = _time.GetUtcNow().UtcDateTime;
        var claims = new Dictionary<string, object> { ["sub"] = _self };
        if (caller is not null) claims["caller"] = JsonSerializer.Serialize(WireCaller.Of(caller), ServiceJson.Default.WireCaller);
        if (clientAddress is not null) claims["addr"] = clientAddress.ToString();
        return _handler.CreateToken(new SecurityTokenDescriptor
        {
            Issuer = Issuer,
            Audience = audience,
            TokenType = Type,
            IssuedAt = now,
            Expires = now + Lifetime,
            SigningCredentials = _credentials ?? throw new InvalidOperationException("There is no secret to sign service tokens with."),
            Claims = claims,
        });
    }

    /// <summary>The call that a token stands for, or null when we did not sign it, or not for this service, or it is too old. The token is untrusted.</summary>
    internal async ValueTask<ServiceCall?> VerifyAsync(string token)
    {
        TokenValidationResult result = await _handler.ValidateTokenAsync(token, new TokenValidationParameters
        {
            ValidAlgorithms = [SecurityAlgorithms.HmacSha256],
            ValidTypes = [Type],
            ValidIssuer = Issuer,
            ValidAudience = _self,
            IssuerSigningKeys = _keys,
            RequireSignedTokens = true,
            RequireExpirationTime = true,
            LifetimeValidator = IsAlive,
        });
        if (result is not { IsValid: true, SecurityToken: JsonWebToken jwt } || string.IsNullOrEmpty(jwt.Subject)) return null;
        Caller? caller = null;
        if (jwt.TryGetPayloadValue("caller", out string? json) && json is not null) caller = JsonSerializer.Deserialize(json, ServiceJson.Default.WireCaller)?.ToCaller();
        IPAddress? address = jwt.TryGetPayloadValue("addr", out string? text) && IPAddress.TryParse(text, out IPAddress? parsed) ? parsed : null;
        return new ServiceCall(jwt.Subject, caller, address);
    }

    // The library's own check reads the system's clock. What claims to live longer than we make them was not made here.
    private bool IsAlive(DateTime? notBefore, DateTime? expires, SecurityToken token, TokenValidationParameters parameters)
    {
        DateTime now = _time.GetUtcNow().UtcDateTime;
        return expires is { } end && now < end + ClockSkew && end - now <= Lifetime + ClockSkew;
    }

    // A key of its own: the same secret signs access tokens of users, and neither may pass for the other.
    private static SymmetricSecurityKey KeyOf(string secret) =>
        new(HKDF.DeriveKey(HashAlgorithmName.SHA256, Encoding.UTF8.GetBytes(secret), 32, info: "maap service tokens"u8.ToArray()));
}
