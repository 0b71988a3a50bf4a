namespace MultiAgent.Contracts.Events;

/// <summary>A user judged a message; a later judgement of the same author replaces the earlier one.</summary>
public sealed record FeedbackRecorded
{
    public required string FeedbackId { get; init; }
    public required string TenantId { get; init; }
    public required string MessageId { get; init; }
    public required string RunId { get; init; }
    public string? ConversationId { get; init; }
    /// <summary>Slug of the agent that wrote the message.</summary>
    public required string Agent { get; init; }
    public string? UserId { get; init; }
    /// <summary>Thumbs: -1 or 1; null when only a score was given.</summary>
    public int? Rating { get; init; }
    /// <summary>1 to 5.</summary>
    public int? Score { get; init; }
    /// <summary>Whether a comment was written. Its text stays where it was stored.</summary>
    public bool HasComment { get; init; }
    public required DateTimeOffset At { get; init; }
}
