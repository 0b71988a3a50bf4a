namespace MultiAgent.Contracts.Events;

/// <summary>A person took a conversation over from its agent, handed it back, or wrote into it.</summary>
public sealed record ConversationHandled
{
    public required string TenantId { get; init; }
    public required string ConversationId { get; init; }
    /// <summary>The user, or the API key, that did it.</summary>
    public required string By { get; init; }
    /// <summary>Why it was taken over, in the person's words.</summary>
    public string? Reason { get; init; }
    /// <summary>The message that was written.</summary>
    public string? MessageId { get; init; }
    public required DateTimeOffset At { get; init; }
}
