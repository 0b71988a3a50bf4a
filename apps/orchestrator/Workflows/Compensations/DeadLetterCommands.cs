using System.Text.Json;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Identity;
using MultiAgent.Orchestrator.Blackboards;
using MultiAgent.Orchestrator.Conversations.Takeover;
using MultiAgent.Orchestrator.Runs;

namespace MultiAgent.Orchestrator.Workflows.Compensations;

/// <summary>How dealing with a dead letter ended.</summary>
internal enum DeadLetterOutcome
{
    Done,
    NotFound,
    NotOpen,
    /// <summary>What the run did is not known any more, so that it cannot be gone through again.</summary>
    LogDeleted,
}

/// <summary>Deals with compensations that failed: tries them again, or closes them. Each is an event in the log of the run that they are of.</summary>
internal sealed class DeadLetterCommands(IDeadLetterStore letters, IRunStore runs, IBlackboardStore boards, RunEngine engine, IWorkflowSource workflows, TimeProvider time)
{
    private const int Page = 1000;

    /// <summary>Starts a run that does what the compensation was to do.</summary>
    public async Task<(DeadLetterOutcome, DeadLetter?)> RetryAsync(Caller caller, string id, string requestId, CancellationToken cancellationToken)
    {
        if (await letters.FindAsync(caller.TenantId, id) is not { } letter) return (DeadLetterOutcome.NotFound, null);
        if (letter.Status != DeadLetterStatus.Open) return (DeadLetterOutcome.NotOpen, null);
        if (await runs.FindAsync(letter.TenantId, letter.RunId) is not { } run || await workflows.FindVersionAsync(letter.TenantId, letter.WorkflowId, letter.WorkflowVersion, cancellationToken) is not { } workflow)
            return (DeadLetterOutcome.LogDeleted, null);
        var events = new List<RunEvent>();
        while (await runs.EventsAsync(run.TenantId, run.Id, events.Count, Page) is { Count: > 0 } more) events.AddRange(more);
        // A log whose beginning was deleted says too little.
        if (events is not [{ Seq: 1 } first, ..]) return (DeadLetterOutcome.LogDeleted, null);
        // What its steps have seen of the blackboard is seen again.
        var board = new List<BlackboardWrite>();
        while (await boards.WritesAsync(run.TenantId, run.Id, null, board.Count == 0 ? 0 : board[^1].Version, Page) is { Count: > 0 } writes) board.AddRange(writes);
        DateTimeOffset now = time.GetUtcNow();
        string by = TakeoverEndpoints.NameOf(caller);
        DeadLetter retrying = letter with { Status = DeadLetterStatus.Retrying, Retries = letter.Retries + 1, RetryRunId = Ids.New("run", now), By = by, Note = null, UpdatedAt = now };
        byte[] told = JsonSerializer.SerializeToUtf8Bytes(new { deadLetterId = id, step = letter.Path, runId = retrying.RetryRunId, by });
        if (!await letters.MoveAsync(retrying, DeadLetterStatus.Open, RunEventTypes.CompensationRetried, told)) return (DeadLetterOutcome.NotOpen, null);
        // A crash in between leaves a promise that nobody keeps: it is taken back after a while.
        await engine.StartAsync(new RunRequest
        {
            Caller = caller,
            Workflow = workflow,
            Surface = RunInput.CompensationSurface,
            RunId = retrying.RetryRunId,
            ParentRunId = run.Id,
            Input = new RunInput { Inputs = RunInput.FromEvent(first.Data).Inputs, Stream = false, Undo = new UndoInput(run.Id, letter.Path, letter.UndoPath, letter.Id) },
            Done = CompensationRetry.Take(events, letter.UndoPath),
            Board = board,
            RequestId = requestId,
            Metadata = run.Metadata,
        });
        return (DeadLetterOutcome.Done, retrying);
    }

    /// <summary>Closes a letter by a person's word.</summary>
    /// <param name="caller">Who says so.</param>
    /// <param name="id">The letter.</param>
    /// <param name="status">Resolved or discarded.</param>
    /// <param name="note">Why.</param>
    public async Task<(DeadLetterOutcome, DeadLetter?)> CloseAsync(Caller caller, string id, DeadLetterStatus status, string note)
    {
        if (await letters.FindAsync(caller.TenantId, id) is not { } letter) return (DeadLetterOutcome.NotFound, null);
        string by = TakeoverEndpoints.NameOf(caller);
        DeadLetter closed = letter with { Status = status, By = by, Note = note, UpdatedAt = time.GetUtcNow() };
        byte[] told = JsonSerializer.SerializeToUtf8Bytes(new { deadLetterId = id, step = letter.Path, by, note });
        string type = status == DeadLetterStatus.Resolved ? RunEventTypes.CompensationResolved : RunEventTypes.CompensationDiscarded;
        return await letters.MoveAsync(closed, DeadLetterStatus.Open, type, told) ? (DeadLetterOutcome.Done, closed) : (DeadLetterOutcome.NotOpen, null);
    }
}
