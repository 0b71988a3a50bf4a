using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace MultiAgent.Tenants.ApiKeys;

/// <summary>The text of an API key: <c>maap_</c> and 256 random bits in base64url.</summary>
internal static class ApiKeySecret
{
    private const int PrefixLength = 12;

    /// <summary>Shortest key that an operator may set by hand.</summary>
    public const int MinLength = 32;

    public static string Generate() => "maap_" + Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32));

    public static string PrefixOf(string key) => key[..Math.Min(PrefixLength, key.Length / 2)];

    public static string HashOf(string key) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key)));
}
