using MultiAgent.Models;

namespace MultiAgent.Orchestrator.Runs.Waits;

/// <summary>What a run waits for.</summary>
internal enum WaitKind
{
    /// <summary>The answer of a person.</summary>
    Human,
    /// <summary>An event of a name, and perhaps of a key.</summary>
    Event,
    /// <summary>The end of a run that is a step of this one, and that rests itself; the name is its id.</summary>
    Child,
}

/// <summary>How a wait stands.</summary>
internal enum WaitState
{
    Open,
    /// <summary>What was waited for has come, and the run has not taken it yet.</summary>
    Resolved,
    /// <summary>It is in the run's log.</summary>
    Consumed,
    /// <summary>The run does not wait for it any more.</summary>
    Cancelled,
}

/// <summary>Something that a run waits for. It outlives processes; whoever resolves it needs not know where the run is.</summary>
internal sealed record RunWait
{
    /// <summary>With the prefix <c>wait</c>.</summary>
    public required string Id { get; init; }
    public required string TenantId { get; init; }
    public required string RunId { get; init; }
    /// <summary>The place in the run that waits.</summary>
    public required string Path { get; init; }
    public required WaitKind Kind { get; init; }
    public WaitState State { get; init; }
    /// <summary>Of the event.</summary>
    public string? Name { get; init; }
    /// <summary>The key that the event must have, where one is asked for.</summary>
    public string? Key { get; init; }
    /// <summary>The role that a person needs to answer.</summary>
    public string? Role { get; init; }
    public string? Title { get; init; }
    public string? Message { get; init; }
    /// <summary>JSON schema of the answer.</summary>
    public string? Form { get; init; }
    /// <summary>The call of a tool that is to be agreed to, as JSON: see <see cref="Approvals.ApprovalSubject"/>.</summary>
    public string? Subject { get; init; }
    public required DateTimeOffset RequestedAt { get; init; }
    public DateTimeOffset? ExpiresAt { get; init; }
    /// <summary>From then on <see cref="EscalateRole"/> may answer too.</summary>
    public DateTimeOffset? EscalateAt { get; init; }
    public string? EscalateRole { get; init; }
    public WaitResolution? Resolution { get; init; }
}

/// <summary>What came of a wait.</summary>
/// <param name="Decision"><c>approve</c>, <c>edit</c>, <c>reject</c> or <c>answer</c> of a person; <c>event</c> of an event; <c>ended</c> of a run.</param>
/// <param name="By">The user, or the API key, that resolved it.</param>
/// <param name="Comment">A person's reason.</param>
/// <param name="Data">JSON: the person's answer or the event's data; null when there is none.</param>
/// <param name="At">When.</param>
internal sealed record WaitResolution(string Decision, string? By, string? Comment, string? Data, DateTimeOffset At);

/// <summary>How a run is put to rest.</summary>
/// <param name="WakeAt">When it goes on by itself; null: only when one of its waits is resolved.</param>
internal sealed record Parking(DateTimeOffset? WakeAt)
{
    /// <summary>It was asked to rest: it goes on when it is asked to, and by itself only if that was asked in the meantime.</summary>
    public bool Paused { get; init; }

    /// <summary>It knows that it was cancelled, or has failed, and undoes what was done: nothing but time or what it waits for wakes it.</summary>
    public bool Undoing { get; init; }

    // What the run has come to, for who looks at it while it rests.
    public int Steps { get; init; }
    public TokenUsage Usage { get; init; }
    public decimal? CostUsd { get; init; }
}

/// <summary>What a list of waits is narrowed to.</summary>
internal readonly record struct WaitFilter(WaitState? State, string? RunId);

/// <summary>How resolving a wait ended.</summary>
internal enum ResolveOutcome
{
    Resolved,
    /// <summary>Somebody was first, or the run does not wait for it any more.</summary>
    NotOpen,
}

/// <summary>Names as stored and on the wire.</summary>
internal static class WaitNames
{
    private static readonly string[] States = ["open", "resolved", "consumed", "cancelled"];

    private static readonly string[] Kinds = ["human", "event", "child"];

    public static string Of(WaitKind kind) => Kinds[(int)kind];

    public static WaitKind KindOf(string name) => (WaitKind)Array.IndexOf(Kinds, name);

    public static string Of(WaitState state) => States[(int)state];

    public static WaitState StateOf(string name) => (WaitState)Array.IndexOf(States, name);
}
