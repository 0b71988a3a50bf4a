using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;
using MultiAgent.Contracts.Identity;

namespace MultiAgent.Tenants.ApiKeys;

/// <summary>A new API key. Without scopes it gets what a developer may do, except managing keys, and never more than the caller has.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record CreateApiKeyRequest
{
    public string? Name { get; init; }
    public IReadOnlyList<string>? Scopes { get; init; }
    /// <summary>When it ends; give this or <see cref="ExpiresInDays"/>, or neither for a key without end.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }
    public int? ExpiresInDays { get; init; }
    public int? RequestsPerMinute { get; init; }
    public int? Burst { get; init; }
}

/// <summary>How long the old key goes on beside the new one.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record RotateApiKeyRequest
{
    /// <summary>0 to 2 592 000 (30 days); default 86 400 (a day).</summary>
    public int? OverlapSeconds { get; init; }
}

/// <summary>An API key as it is shown: never its secret.</summary>
internal record ApiKeyView
{
    public required string Id { get; init; }
    public required string Name { get; init; }
    public required string Prefix { get; init; }
    /// <summary><c>active</c>, <c>expired</c> or <c>revoked</c>.</summary>
    public required string Status { get; init; }
    public required IReadOnlyList<string> Scopes { get; init; }
    public string? CreatedBy { get; init; }
    public int? RequestsPerMinute { get; init; }
    public int? Burst { get; init; }
    public DateTimeOffset? ExpiresAt { get; init; }
    public DateTimeOffset? RevokedAt { get; init; }
    /// <summary>Exact to a minute.</summary>
    public DateTimeOffset? LastUsedAt { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }

    public static ApiKeyView Of(ApiKey key, DateTimeOffset now) => new()
    {
        Id = key.Id,
        Name = key.Name,
        Prefix = key.Prefix,
        Status = key.RevokedAt is not null ? "revoked" : key.ExpiresAt <= now ? "expired" : "active",
        Scopes = ScopeNames.ToNames(key.ScopeSet()),
        CreatedBy = key.CreatedBy,
        RequestsPerMinute = key.RequestsPerMinute,
        Burst = key.Burst,
        ExpiresAt = key.ExpiresAt,
        RevokedAt = key.RevokedAt,
        LastUsedAt = key.LastUsedAt,
        CreatedAt = key.CreatedAt,
    };
}

/// <summary>A key that was just made, with its secret; the only time that it is shown.</summary>
internal sealed record NewApiKeyView : ApiKeyView
{
    [SetsRequiredMembers]
    public NewApiKeyView(ApiKey key, string secret, DateTimeOffset now) : base(Of(key, now)) => Key = secret;

    /// <summary>The secret. Keep it now: it is not stored.</summary>
    public string Key { get; }
}
