namespace MultiAgent.Orchestrator.Feedback;

/// <summary>Feedback on messages: one per message and author.</summary>
internal interface IFeedbackStore
{
    /// <summary>Adds or replaces the author's judgement; null when the tenant has no such message of an agent. The event leaves in the same transaction.</summary>
    Task<FeedbackView?> RecordAsync(string tenantId, string messageId, string author, string? userId, FeedbackRequest request);

    /// <summary>Newest first.</summary>
    ValueTask<IReadOnlyList<FeedbackView>> ListAsync(string tenantId, FeedbackFilter filter, string? beforeId, int limit);
}

/// <summary>A judgement of a message.</summary>
internal sealed record FeedbackView
{
    public required string Id { get; init; }
    public required string MessageId { get; init; }
    public required string RunId { get; init; }
    public string? ConversationId { get; init; }
    public required string Agent { get; init; }
    /// <summary>The user's id, or the API key's where no person is known.</summary>
    public required string Author { get; init; }
    public int? Rating { get; init; }
    public int? Score { get; init; }
    public string? Comment { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public required DateTimeOffset UpdatedAt { get; init; }
}

/// <summary>What a list of feedback is narrowed to.</summary>
internal readonly record struct FeedbackFilter(string? Agent, int? Rating, string? ConversationId, string? MessageId);
