using System.Security.Cryptography;
using System.Text;

namespace MultiAgent.Orchestrator.Memory;

/// <summary>Something that an agent keeps in mind beyond a conversation.</summary>
internal sealed record Fact
{
    /// <summary>With the prefix <c>mem</c>.</summary>
    public required string Id { get; init; }
    /// <summary>See <see cref="MemorySubject"/>.</summary>
    public required string Subject { get; init; }
    public required string Text { get; init; }
    /// <summary>The agent that wrote it down; null when a person did.</summary>
    public string? Agent { get; init; }
    public string? RunId { get; init; }
    public string? ConversationId { get; init; }
    /// <summary>The user or API key that wrote it down, or for whom the agent did.</summary>
    public string? Author { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    /// <summary>When it was last written down or found.</summary>
    public required DateTimeOffset UsedAt { get; init; }
    /// <summary>How often it was found.</summary>
    public int Uses { get; init; }

    /// <summary>The same for texts that differ in case and spaces alone.</summary>
    public string Digest => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join(' ', Text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)).ToLowerInvariant())))[..32];
}

/// <summary>Whom a fact belongs to.</summary>
internal static class MemorySubject
{
    private const string UserPrefix = "user:";
    private const string AgentPrefix = "agent:";

    public static string OfUser(string userId) => UserPrefix + userId;

    public static string OfAgent(string slug) => AgentPrefix + slug;

    /// <summary>The user of a subject; null when it is an agent's.</summary>
    public static string? UserOf(string subject) => subject.StartsWith(UserPrefix, StringComparison.Ordinal) ? subject[UserPrefix.Length..] : null;

    /// <summary>The agent of a subject; null when it is a user's.</summary>
    public static string? AgentOf(string subject) => subject.StartsWith(AgentPrefix, StringComparison.Ordinal) ? subject[AgentPrefix.Length..] : null;
}
