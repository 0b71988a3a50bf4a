namespace MultiAgent.Orchestrator.Conversations;

/// <summary>Conversations and their messages. The tenant is part of every look-up; writes are durable when they return.</summary>
internal interface IConversationStore
{
    Task CreateAsync(string tenantId, ConversationRecord conversation, string? apiKeyId);

    ValueTask<ConversationRecord?> FindAsync(string tenantId, string id);

    /// <summary>Newest first; with <paramref name="handled"/> only those that a person handles, or that none does.</summary>
    ValueTask<IReadOnlyList<ConversationRecord>> ListAsync(string tenantId, string? agent, bool? handled, string? beforeId, int limit);

    /// <summary>False when it is not there.</summary>
    Task<bool> RenameAsync(string tenantId, string id, string title, DateTimeOffset now);

    /// <summary>Hides the conversation and deletes its messages. Returns the runs that were active in it, or null when it is not there.</summary>
    Task<IReadOnlyList<string>?> DeleteAsync(string tenantId, string id, DateTimeOffset now);

    /// <summary>Messages in order; without the calls and results of tools unless asked for.</summary>
    ValueTask<IReadOnlyList<MessageRecord>> MessagesAsync(string tenantId, string conversationId, bool withTools, long after, int limit);
}

/// <summary>A conversation's row.</summary>
internal sealed record ConversationRecord
{
    public required string Id { get; init; }
    public string? Agent { get; init; }
    public string? Title { get; init; }
    public string? UserId { get; init; }
    public string? Metadata { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public required DateTimeOffset UpdatedAt { get; init; }
    /// <summary>The person who has taken it over; null while its agent answers.</summary>
    public string? HandledBy { get; init; }
    public DateTimeOffset? HandledSince { get; init; }
    public string? HandledReason { get; init; }
}

/// <summary>A message's row; without a run when no run brought it.</summary>
internal sealed record MessageRecord(long Position, string Id, string RunId, string Role, byte[] Wire, DateTimeOffset CreatedAt, string? Author = null);
