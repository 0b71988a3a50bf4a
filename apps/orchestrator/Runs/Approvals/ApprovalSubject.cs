using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace MultiAgent.Orchestrator.Runs.Approvals;

/// <summary>The call that a person is asked to agree to.</summary>
/// <param name="Tool">The tool's name.</param>
/// <param name="CallId">As the model named the call.</param>
/// <param name="Arguments">What it would be called with.</param>
/// <param name="ArgumentsHash"><see cref="HashOf"/> of them: whoever decides may say which arguments they saw.</param>
internal sealed record ApprovalSubject(string Tool, string CallId, JsonElement Arguments, string ArgumentsHash)
{
    /// <summary>SHA-256 of the arguments as the model wrote them, in lower-case hexadecimal.</summary>
    public static string HashOf(string arguments) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(arguments)));

    public static ApprovalSubject? Parse(string? json) => json is null ? null : JsonSerializer.Deserialize(json, ApprovalJson.Default.ApprovalSubject);

    public string ToJson() => JsonSerializer.Serialize(this, ApprovalJson.Default.ApprovalSubject);
}

/// <summary>JSON of stored subjects.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(ApprovalSubject))]
internal sealed partial class ApprovalJson : JsonSerializerContext;
