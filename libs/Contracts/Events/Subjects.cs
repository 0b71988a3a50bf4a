namespace MultiAgent.Contracts.Events;

/// <summary>Subjects of events. Dots separate tokens; consumers may filter with <c>*</c> (one token) and <c>&gt;</c> (the rest).</summary>
public static class Subjects
{
    /// <summary>A model was called and is to be metered. Payload: <see cref="UsageBatch"/>.</summary>
    public const string UsageModelInference = "usage.metered.model_inference";

    /// <summary>Requests were answered. Payload: <see cref="RequestBatch"/>.</summary>
    public const string RequestCompleted = "gateway.request.completed";

    /// <summary>Journeys were started, moved or ended. Payload: <see cref="JourneyBatch"/>.</summary>
    public const string JourneyRecorded = "journey.recorded";

    /// <summary>A run ended that is no step of another. Payload: <see cref="RunEnded"/>.</summary>
    public const string RunCompleted = "orchestrator.run.completed";

    /// <summary>A step of a workflow could not be undone: somebody has to look. Payload: <see cref="Events.CompensationFailed"/>.</summary>
    public const string CompensationFailed = "alerts.compensation_failed";

    /// <inheritdoc cref="RunCompleted"/>
    public const string RunFailed = "orchestrator.run.failed";

    /// <inheritdoc cref="RunCompleted"/>
    public const string RunCancelled = "orchestrator.run.cancelled";

    /// <summary>A person took a conversation over from its agent. Payload: <see cref="ConversationHandled"/>.</summary>
    public const string ConversationTakenOver = "orchestrator.conversation.taken_over";

    /// <inheritdoc cref="ConversationTakenOver"/>
    public const string ConversationHandedBack = "orchestrator.conversation.handed_back";

    /// <summary>A message came into a conversation that a person handles, from the user or that person. Payload: <see cref="ConversationHandled"/>.</summary>
    public const string ConversationMessage = "orchestrator.conversation.message";

    /// <summary>A run waits for a person. Payload: <see cref="Events.ApprovalRequested"/>.</summary>
    public const string ApprovalRequested = "orchestrator.approval.requested";

    /// <summary>A message was judged. Payload: <see cref="Events.FeedbackRecorded"/>.</summary>
    public const string FeedbackRecorded = "feedback.recorded";

    /// <summary>A tenant was made. Payload: <see cref="Events.TenantCreated"/>.</summary>
    public const string TenantCreated = "tenant.created";

    /// <summary>A credential or tenant changed; caches of callers drop what they hold. Payload: <see cref="CallerChanged"/>.</summary>
    public const string CallerChanged = "tenant.caller.changed";

    /// <summary>True when <paramref name="subject"/> matches a filter with the wildcards <c>*</c> and <c>&gt;</c>.</summary>
    public static bool Matches(string filter, string subject)
    {
        ReadOnlySpan<char> f = filter, s = subject;
        while (true)
        {
            int fd = f.IndexOf('.'), sd = s.IndexOf('.');
            ReadOnlySpan<char> ft = fd < 0 ? f : f[..fd], st = sd < 0 ? s : s[..sd];
            if (ft is ">") return s.Length > 0;
            if (ft is not "*" && !ft.SequenceEqual(st)) return false;
            if (fd < 0 || sd < 0) return fd < 0 && sd < 0;
            f = f[(fd + 1)..];
            s = s[(sd + 1)..];
        }
    }
}
