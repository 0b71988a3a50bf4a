using MultiAgent.Contracts.Events;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Blackboards;
using MultiAgent.Orchestrator.Runs.Leases;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>
/// Keeps runs, their logs and the messages of conversations. Every method that writes is one transaction and returns once it
/// is durable. The tenant is part of every look-up: another tenant's id names nothing. What is embedded reads without waiting,
/// and its tasks are complete when they are returned.
/// </summary>
internal interface IRunStore
{
    /// <summary>
    /// Accepts a run: checks the idempotency key and the conversation, then stores the run with its first events. Decides
    /// atomically whether it starts at once or waits.
    /// </summary>
    /// <exception cref="LeaseLostException">The run that starts it is not held under the epoch that its write carries; nothing was written.</exception>
    Task<AcceptOutcome> AcceptAsync(NewRun run);

    /// <summary>Appends one step's events and messages, and the run's end when it has come, with the event that tells it.</summary>
    /// <exception cref="LeaseLostException">The run is not held under the epoch that the write carries, or has ended; nothing was written.</exception>
    Task AppendAsync(RunWrite write);

    /// <summary>Marks the conversation's oldest waiting run as running and returns it, unless another one is running or none waits.</summary>
    Task<StartedNext?> StartNextAsync(string tenantId, string conversationId, DateTimeOffset now);

    /// <summary>Ends a waiting run; false when it is not waiting any more.</summary>
    Task<bool> CancelQueuedAsync(RunWrite write);

    ValueTask<RunRecord?> FindAsync(string tenantId, string runId);

    ValueTask<RunRecord?> FindByKeyAsync(string tenantId, string idempotencyKey);

    /// <summary>Events after a position, in order, at most <paramref name="limit"/>.</summary>
    ValueTask<IReadOnlyList<RunEvent>> EventsAsync(string tenantId, string runId, long afterSeq, int limit);

    /// <summary>The number of the run's last event; 0 when it has none.</summary>
    ValueTask<long> LastSeqAsync(string tenantId, string runId);

    /// <summary>The data of the run's last event of a type; null when it has none.</summary>
    ValueTask<byte[]?> LastEventAsync(string tenantId, string runId, string type);

    /// <summary>Runs, newest first.</summary>
    ValueTask<IReadOnlyList<RunRecord>> ListAsync(string tenantId, RunFilter filter, string? beforeId, int limit);

    /// <summary>Forgets up to <paramref name="batch"/> idempotency keys of runs that were accepted before a time; returns how many.</summary>
    Task<int> ForgetKeysAsync(DateTimeOffset before, int batch);

    /// <summary>The newest messages of a conversation in the OpenAI dialect, oldest first, and the summary of what came before them; without what one run wrote.</summary>
    ValueTask<StoredHistory> HistoryAsync(string tenantId, string conversationId, string exceptRunId, int limit);
}

/// <summary>A conversation as it is stored.</summary>
/// <param name="Summary">Stands for what came before the messages; null when there is none.</param>
/// <param name="Messages">After the last that the summary stands for.</param>
internal sealed record StoredHistory(string? Summary, IReadOnlyList<StoredMessage> Messages);

/// <summary>A message in the OpenAI dialect, and its place in the conversation.</summary>
internal sealed record StoredMessage(long Position, byte[] Wire);

/// <summary>A run whose turn has come, and the process that is to work on it.</summary>
internal sealed record StartedNext(string RunId, string? Owner);

/// <summary>What a list of runs is narrowed to.</summary>
/// <param name="Status">Only those that stand so.</param>
/// <param name="Agent">Slug of an agent or workflow.</param>
/// <param name="ConversationId">Only those of a conversation.</param>
/// <param name="ParentRunId">Those that are steps of this run; without it, those that are steps of none.</param>
/// <param name="Kind">Only those of a kind.</param>
internal readonly record struct RunFilter(RunStatus? Status, string? Agent, string? ConversationId, string? ParentRunId = null, RunKind? Kind = null);

/// <summary>A run to be accepted.</summary>
internal sealed class NewRun
{
    public required RunRecord Record { get; init; }

    /// <summary>Stored whether the run starts or waits.</summary>
    public required IReadOnlyList<RunEvent> Accepted { get; init; }

    /// <summary>Stored when the run starts at once.</summary>
    public required IReadOnlyList<RunEvent> Started { get; init; }

    /// <summary>Stored when the run starts at once.</summary>
    public IReadOnlyList<NewMessage> Messages { get; init; } = [];

    /// <summary>Writes to the run's blackboard that it begins with.</summary>
    public IReadOnlyList<BlackboardWrite> Board { get; init; } = [];

    /// <summary>What the run that starts this one has to say before: stored when this one is, first and in the same transaction, and not without it.</summary>
    public RunWrite? ParentWrite { get; init; }

    /// <summary>The conversation is to be made; otherwise it must be there.</summary>
    public bool CreateConversation { get; init; }

    /// <summary>Title of a conversation that is made, or has none yet.</summary>
    public string? Title { get; init; }

    /// <summary>How long the process may be silent before another takes the run up.</summary>
    public TimeSpan Lease { get; init; }

    public BusyPolicy OnBusy { get; init; }

    /// <summary>Runs that may wait in one conversation.</summary>
    public int MaxQueued { get; init; }
}

/// <summary>A message to be stored.</summary>
internal sealed record NewMessage(string Id, string Role, bool Visible, byte[] Wire, DateTimeOffset At);

/// <summary>What one step adds.</summary>
internal sealed class RunWrite
{
    public required RunRecord Run { get; init; }
    public required IReadOnlyList<RunEvent> Events { get; init; }
    public IReadOnlyList<NewMessage> Messages { get; init; } = [];

    /// <summary>What the run wrote to its conversation is removed with this write.</summary>
    public bool RemovesMessages { get; init; }

    /// <summary>The run's final row, when this write ends it.</summary>
    public RunRecord? End { get; init; }

    /// <summary>Leaves with the end through the outbox.</summary>
    public EventEnvelope? Event { get; init; }

    /// <summary>A compensation that failed for good with these events.</summary>
    public Workflows.Compensations.DeadLetter? DeadLetter { get; init; }

    /// <summary>Attempts at a compensation that a run which ends with this write has made in the place of another.</summary>
    public int UndoAttempts { get; init; }

    /// <summary>The run's snapshot goes with its end.</summary>
    public bool DropsSnapshot { get; init; }

    /// <summary>Stands for the beginning of the run's conversation from now on.</summary>
    public Conversations.Compaction.ConversationSummary? Summary { get; init; }

    /// <summary>Ends of runs that were steps of this one: stored after its events, in the same transaction.</summary>
    public IReadOnlyList<RunWrite> Ends { get; init; } = [];

    /// <summary>What the run begins to wait for.</summary>
    public IReadOnlyList<Waits.RunWait> Waits { get; init; } = [];

    /// <summary>Waits whose outcome is in these events, or that are given up with them.</summary>
    public IReadOnlyList<string> ClosedWaits { get; init; } = [];

    /// <summary>The run stops being worked on with this write, until then or until one of its waits is resolved.</summary>
    public Waits.Parking? Parks { get; init; }
}

/// <summary>How a run was accepted, or why not.</summary>
internal abstract record AcceptOutcome
{
    public sealed record Started : AcceptOutcome
    {
        public static readonly Started Instance = new();
    }

    /// <summary>It waits for its turn; <paramref name="Superseded"/> are to be cancelled for it.</summary>
    public sealed record Queued(IReadOnlyList<string> Superseded) : AcceptOutcome;

    /// <summary>The key named a run already; that run is the outcome.</summary>
    public sealed record Existing(RunRecord Run) : AcceptOutcome;

    public sealed record KeyReused : AcceptOutcome;

    public sealed record ConversationNotFound : AcceptOutcome;

    /// <summary>A person has taken the conversation over: no agent is to answer in it.</summary>
    public sealed record HandledByPerson : AcceptOutcome;

    public sealed record Busy(string RunId) : AcceptOutcome;

    public sealed record QueueFull : AcceptOutcome;
}
