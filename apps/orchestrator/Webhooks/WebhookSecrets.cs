using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.DataProtection;

namespace MultiAgent.Orchestrator.Webhooks;

/// <summary>A secret of an endpoint; one with an end is signed with beside the newest until then.</summary>
internal sealed record WebhookSecret(string Value, DateTimeOffset? Until);

/// <summary>
/// Secrets and signatures after the Standard Webhooks specification: <c>whsec_</c> and base64, HMAC-SHA256 over id, time and body. At rest they are encrypted with
/// the key ring of the installation.
/// </summary>
internal sealed class WebhookSecrets(IDataProtectionProvider protection)
{
    public const string Prefix = "whsec_";

    private readonly IDataProtector _protector = protection.CreateProtector("orchestrator.webhooks");

    public static string New() => Prefix + Convert.ToBase64String(RandomNumberGenerator.GetBytes(32));

    /// <summary>True for <c>whsec_</c> and the base64 of 24 to 64 bytes.</summary>
    /// <param name="secret">Untrusted.</param>
    public static bool IsValid(string secret)
    {
        Span<byte> bytes = stackalloc byte[66];
        return secret.StartsWith(Prefix, StringComparison.Ordinal) && secret.Length <= Prefix.Length + 88 && Convert.TryFromBase64String(secret[Prefix.Length..], bytes, out int length) && length is >= 24 and <= 64;
    }

    public byte[] Protect(IReadOnlyList<WebhookSecret> secrets) => _protector.Protect(JsonSerializer.SerializeToUtf8Bytes(secrets));

    /// <summary>The secrets of an endpoint, the newest first, without those whose time is over.</summary>
    public IReadOnlyList<WebhookSecret> Read(WebhookEndpoint endpoint, DateTimeOffset now) =>
        [.. JsonSerializer.Deserialize<List<WebhookSecret>>(_protector.Unprotect(endpoint.Secrets))!.Where(s => s.Until is not { } until || until > now)];

    /// <summary>The value of <c>webhook-signature</c>: one signature for each secret.</summary>
    public static string Sign(IEnumerable<WebhookSecret> secrets, string id, DateTimeOffset at, ReadOnlySpan<byte> body)
    {
        byte[] signed = [.. Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{id}.{at.ToUnixTimeSeconds()}.")), .. body];
        return string.Join(' ', secrets.Select(s => $"v1,{Convert.ToBase64String(HMACSHA256.HashData(Convert.FromBase64String(s.Value[Prefix.Length..]), signed))}"));
    }
}
