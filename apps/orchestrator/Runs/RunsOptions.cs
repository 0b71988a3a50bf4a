using Microsoft.Extensions.Options;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>Section <c>Runs</c>.</summary>
internal sealed class RunsOptions
{
    /// <summary>Messages that may wait in one conversation whose agent queues. Default 20; 1 to 1 000.</summary>
    public int MaxQueuedPerConversation { get; set; } = 20;

    /// <summary>Seconds without progress after which an active run makes the health degraded. Default 600; at least 1.</summary>
    public int StalledAfterSeconds { get; set; } = 600;

    /// <summary>Seconds between comments that keep an idle event stream open. Default 15; 1 to 60.</summary>
    public int PingSeconds { get; set; } = 15;

    /// <summary>
    /// Seconds that a process may be silent before another one takes its runs up, where processes share a database. Default 30; 2 to 600. It is renewed three
    /// times in that time, whatever a step is doing.
    /// </summary>
    public int LeaseSeconds { get; set; } = 30;

    /// <summary>How deep agents that call agents and workflows as tools may start runs. Default 5; 1 to 20.</summary>
    public int MaxSubRunDepth { get; set; } = 5;

    /// <summary>
    /// How often in a row a round of a loop or a group chat, or an agent's question to another with its answer, may come with nothing changed before that is stopped. Default 5; 2 to 100, 0 for
    /// no bound.
    /// </summary>
    public int MaxIdenticalRounds { get; set; } = 5;

    /// <summary>How often agents may hand a conversation to and fro with nothing changed before that is stopped. Default 2; 2 to 100, 0 for no bound.</summary>
    public int MaxIdenticalHandoffs { get; set; } = 2;

    /// <summary>
    /// Events of a workflow's run after which a snapshot of its state is kept, so that taking it up again does not read its log from the beginning. Default 1 000; 10 to 100 000, 0 for none.
    /// </summary>
    public int SnapshotEvents { get; set; } = 1000;

    internal TimeSpan Lease => TimeSpan.FromSeconds(LeaseSeconds);
}

internal sealed class RunsValidator : IValidateOptions<RunsOptions>
{
    public ValidateOptionsResult Validate(string? name, RunsOptions options)
    {
        var errors = new List<string>();
        if (options.MaxQueuedPerConversation is < 1 or > 1000) errors.Add($"Runs:MaxQueuedPerConversation is {options.MaxQueuedPerConversation}; set it between 1 and 1000.");
        if (options.StalledAfterSeconds < 1) errors.Add($"Runs:StalledAfterSeconds is {options.StalledAfterSeconds}; set it to 1 or more.");
        if (options.PingSeconds is < 1 or > 60) errors.Add($"Runs:PingSeconds is {options.PingSeconds}; set it between 1 and 60.");
        if (options.LeaseSeconds is < 2 or > 600) errors.Add($"Runs:LeaseSeconds is {options.LeaseSeconds}; set it between 2 and 600.");
        if (options.MaxSubRunDepth is < 1 or > 20) errors.Add($"Runs:MaxSubRunDepth is {options.MaxSubRunDepth}; set it between 1 and 20.");
        if (options.MaxIdenticalRounds is not 0 and (< 2 or > 100)) errors.Add($"Runs:MaxIdenticalRounds is {options.MaxIdenticalRounds}; set it between 2 and 100, or to 0 for no bound.");
        if (options.MaxIdenticalHandoffs is not 0 and (< 2 or > 100)) errors.Add($"Runs:MaxIdenticalHandoffs is {options.MaxIdenticalHandoffs}; set it between 2 and 100, or to 0 for no bound.");
        if (options.SnapshotEvents is not 0 and (< 10 or > 100_000)) errors.Add($"Runs:SnapshotEvents is {options.SnapshotEvents}; set it between 10 and 100000, or to 0 for none.");
        return errors.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(errors);
    }
}
