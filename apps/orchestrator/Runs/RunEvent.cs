namespace MultiAgent.Orchestrator.Runs;

/// <summary>One entry of a run's log.</summary>
internal sealed class RunEvent
{
    /// <summary>Position in the log, gapless from 1.</summary>
    public required long Seq { get; init; }

    /// <summary>One of <see cref="RunEventTypes"/>.</summary>
    public required string Type { get; init; }

    public required DateTimeOffset At { get; init; }

    /// <summary>UTF-8 JSON object.</summary>
    public required byte[] Data { get; init; }

    /// <summary>In memory only: the text that the model streamed up to here, so that a reader who saw a part gets the rest.</summary>
    public ReadOnlyMemory<byte> StreamedText { get; init; }

    /// <summary>In memory only: true when the event ends a streamed message.</summary>
    public bool EndsText { get; init; }
}

/// <summary>Types of events. They are stored and sent: a type never changes its meaning.</summary>
internal static class RunEventTypes
{
    public const string Accepted = "run.accepted";
    public const string Started = "run.started";
    public const string Resumed = "run.resumed";
    public const string StepStarted = "step.started";
    public const string ModelCalled = "model.called";
    public const string ModelCompleted = "model.completed";
    /// <summary>Logged before a tool is called; sent to clients as <see cref="ToolCallStarted"/>.</summary>
    public const string ToolCallIntended = "tool_call.intended";
    public const string ToolCallCompleted = "tool_call.completed";
    /// <summary>A call waits for a person's consent.</summary>
    public const string ApprovalRequested = "approval.requested";
    public const string ApprovalDecided = "approval.decided";
    /// <summary>A step of a workflow has its output.</summary>
    public const string StepCompleted = "step.completed";
    public const string StepSkipped = "step.skipped";
    /// <summary>An attempt failed, and another one follows.</summary>
    public const string StepRetrying = "step.retrying";
    /// <summary>A step of a workflow failed for good.</summary>
    public const string StepFailed = "step.failed";
    /// <summary>A step runs as a run of its own.</summary>
    public const string ChildStarted = "child.started";
    public const string ChildCompleted = "child.completed";
    /// <summary>A step runs another workflow, of this version.</summary>
    public const string SubworkflowStarted = "subworkflow.started";
    /// <summary>A step waits for a time.</summary>
    public const string TimerSet = "timer.set";
    /// <summary>A step waits for a person or an event.</summary>
    public const string WaitRequested = "wait.requested";
    public const string WaitResolved = "wait.resolved";
    public const string WaitExpired = "wait.expired";
    /// <summary>What a place of a workflow has seen of the blackboard: its version.</summary>
    public const string BlackboardRead = "blackboard.read";
    /// <summary>An agent or a step has written to the blackboard.</summary>
    public const string BlackboardWritten = "blackboard.written";
    /// <summary>The workflow has failed, and what its steps did is being undone.</summary>
    public const string Compensating = "run.compensating";
    /// <summary>A step could not be undone.</summary>
    public const string CompensationFailed = "compensation.failed";
    // Told after the run's end, of a step that could not be undone:
    /// <summary>A run tries to undo it again.</summary>
    public const string CompensationRetried = "compensation.retried";
    /// <summary>A person says that it was undone.</summary>
    public const string CompensationResolved = "compensation.resolved";
    /// <summary>A person says that it need not be undone.</summary>
    public const string CompensationDiscarded = "compensation.discarded";
    /// <summary>Nothing can go on before something comes.</summary>
    public const string Waiting = "run.waiting";
    /// <summary>It rests because it was asked to; <see cref="Resumed"/> follows when it goes on.</summary>
    public const string Paused = "run.paused";
    /// <summary>Agents went round without getting anywhere, and are stopped.</summary>
    public const string NoProgress = "no_progress.detected";
    public const string LimitReached = "limit.reached";
    /// <summary>A share of a limit is used: the run goes on cheaper and shorter.</summary>
    public const string SoftLimitReached = "limit.soft_reached";
    /// <summary>The beginning of the conversation was summarised: the model is sent the summary in its place.</summary>
    public const string ContextCompacted = "context.compacted";
    /// <summary>It could not be summarised: the oldest messages are left out instead.</summary>
    public const string CompactionFailed = "context.compaction_failed";
    /// <summary>A guardrail has found what it guards against.</summary>
    public const string GuardrailTriggered = "guardrail.triggered";
    public const string MessageCompleted = "message.completed";
    public const string Completed = "run.completed";
    public const string Failed = "run.failed";
    public const string Cancelled = "run.cancelled";

    // Sent but not stored
    public const string ToolCallStarted = "tool_call.started";
    public const string MessageDelta = "message.delta";

    public static bool IsFinal(string type) => type is Completed or Failed or Cancelled;

    /// <summary>True for what a chat client is shown; the rest is for those who follow the log.</summary>
    public static bool IsForChat(string type) => type is Started or ToolCallIntended or ToolCallCompleted or ApprovalRequested or ApprovalDecided or Waiting or Paused or GuardrailTriggered or MessageCompleted || IsFinal(type);

    /// <summary>The event's name in server-sent events.</summary>
    public static string WireName(string type) => type == ToolCallIntended ? ToolCallStarted : type;
}
