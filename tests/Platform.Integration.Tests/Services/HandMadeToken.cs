using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace MultiAgent.Platform.Integration.Tests.Services;

/// <summary>Service tokens made by hand: what an attacker may try, and what another implementation would have to make.</summary>
internal sealed record HandMadeToken
{
    public const string Header = "Maap-Service-Token";

    public string Secret { get; init; } = TestPlatform.ServiceSecret;
    public string Audience { get; init; } = "orchestrator";
    public string Issuer { get; init; } = "maap-services";
    public string Type { get; init; } = "maap-service+jwt";
    public string Algorithm { get; init; } = "HS256";
    public TimeSpan ExpiresIn { get; init; } = TimeSpan.FromSeconds(60);
    public bool DerivedKey { get; init; } = true;
    public string? TenantId { get; init; }
    public string Scopes { get; init; } = "agents:read";
    public string? ClientAddress { get; init; }

    public override string ToString()
    {
        DateTimeOffset now = TimeProvider.System.GetUtcNow();
        var payload = new Dictionary<string, object> { ["iss"] = Issuer, ["aud"] = Audience, ["sub"] = "api-gateway", ["iat"] = now.ToUnixTimeSeconds(), ["exp"] = (now + ExpiresIn).ToUnixTimeSeconds() };
        if (TenantId is not null)
            payload["caller"] = JsonSerializer.Serialize(new { tenantId = TenantId, tenantSlug = "any", scopes = Scopes.Split(' ') });
        if (ClientAddress is not null) payload["addr"] = ClientAddress;
        string content = $"{Encode(JsonSerializer.SerializeToUtf8Bytes(new { alg = Algorithm, typ = Type }))}.{Encode(JsonSerializer.SerializeToUtf8Bytes(payload))}";
        if (Algorithm == "none") return content + ".";
        byte[] secret = Encoding.UTF8.GetBytes(Secret);
        byte[] key = DerivedKey ? HKDF.DeriveKey(HashAlgorithmName.SHA256, secret, 32, info: "maap service tokens"u8.ToArray()) : secret;
        return $"{content}.{Encode(HMACSHA256.HashData(key, Encoding.ASCII.GetBytes(content)))}";
    }

    private static string Encode(byte[] bytes) => Base64Url.EncodeToString(bytes);
}
