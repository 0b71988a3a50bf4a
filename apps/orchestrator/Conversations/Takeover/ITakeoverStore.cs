using MultiAgent.Contracts.Events;

namespace MultiAgent.Orchestrator.Conversations.Takeover;

/// <summary>How taking a conversation over, or handing it back, ended.</summary>
internal enum TakeoverOutcome
{
    Done,
    /// <summary>It was so already.</summary>
    Unchanged,
    NotFound,
    /// <summary>Somebody else has it.</summary>
    Others,
    /// <summary>Nobody has it.</summary>
    Nobody,
}

/// <summary>A message that no agent wrote or is to answer.</summary>
/// <param name="Id">With the prefix <c>msg</c>.</param>
/// <param name="Role"><c>user</c>, or <c>assistant</c> when a person wrote in the agent's place.</param>
/// <param name="Wire">In the OpenAI dialect.</param>
/// <param name="Author">The person who wrote in the agent's place.</param>
/// <param name="RequestKey">Idempotency key of the request.</param>
/// <param name="At">When.</param>
internal sealed record PlainMessage(string Id, string Role, byte[] Wire, string? Author, string? RequestKey, DateTimeOffset At);

/// <summary>People who handle conversations in the place of agents. A write is one transaction with the event that tells it.</summary>
internal interface ITakeoverStore
{
    /// <summary>Gives a conversation to a person.</summary>
    Task<TakeoverOutcome> TakeAsync(string tenantId, string conversationId, string by, string? reason, DateTimeOffset now, EventEnvelope told);

    /// <summary>Gives it back to its agent; of somebody else only with <paramref name="force"/>.</summary>
    Task<TakeoverOutcome> HandBackAsync(string tenantId, string conversationId, string by, bool force, EventEnvelope told);

    /// <summary>Adds a message to a conversation that a person handles; <c>Others</c> when it is another person, and <c>Nobody</c> when it is its agent's. A key that was used before adds nothing.</summary>
    Task<TakeoverOutcome> AddAsync(string tenantId, string conversationId, PlainMessage message, EventEnvelope told);

    /// <summary>Runs of the conversation that have not ended.</summary>
    ValueTask<IReadOnlyList<string>> ActiveRunsAsync(string tenantId, string conversationId);
}
