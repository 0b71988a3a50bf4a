using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace MultiAgent.Orchestrator.Runs.Waits;

/// <summary>
/// What makes a webhook's address secret: the tenant, and 32 random bytes, which are in the run's log for who may read it. To be found, a wait has their hash for
/// a name: whoever reads that table has no address.
/// </summary>
internal static class HookToken
{
    /// <summary>Where webhooks are called, before the token.</summary>
    public const string Path = "/api/v1/hooks/";

    private const string NamePrefix = "hook:";
    private const int Bytes = 32;

    public static string New(string tenantId) => $"{tenantId}.{Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(Bytes))}";

    /// <summary>The name of the wait; no event that a client raises can have it.</summary>
    public static string NameOf(string token) => $"{NamePrefix}{Base64Url.EncodeToString(SHA256.HashData(Encoding.ASCII.GetBytes(token)))}";

    /// <summary>True for the name of a webhook's wait.</summary>
    public static bool IsName(string? name) => name?.StartsWith(NamePrefix, StringComparison.Ordinal) == true;

    /// <summary>The tenant of a token; null when it is none.</summary>
    public static string? TenantOf(string token) => token.Split('.') is [{ Length: > 0 and <= 64 } tenant, { Length: 43 }] ? tenant : null;
}
