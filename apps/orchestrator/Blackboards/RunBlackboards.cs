using System.Text.Json;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Workflows;
using MultiAgent.Workflows;

namespace MultiAgent.Orchestrator.Blackboards;

/// <summary>A run's blackboard: that of the nearest workflow around it which declares one.</summary>
/// <param name="Run">The run of that workflow.</param>
/// <param name="Entries">What it declares.</param>
internal sealed record Blackboard(RunRecord Run, IReadOnlyDictionary<string, BlackboardEntry> Entries);

/// <summary>Who writes, and where.</summary>
/// <param name="Run">The run.</param>
/// <param name="Path">The step, or the key of the call.</param>
/// <param name="Agent">The agent; null: a step.</param>
/// <param name="Key">The same for every attempt at this write.</param>
internal readonly record struct BlackboardWriter(RunRecord Run, string Path, string? Agent, string Key);

/// <summary>Reads and writes the blackboards of runs. A board is its writes: each is merged with what is there, checked, numbered and kept.</summary>
internal sealed class RunBlackboards(IRunStore runs, IWorkflowSource workflows, IBlackboardStore store, TimeProvider time)
{
    /// <summary>Bytes of an entry.</summary>
    public const int MaxEntry = 64 * 1024;

    /// <summary>Writes to a board.</summary>
    public const int MaxWrites = 2000;

    /// <summary>The board that a run reads and writes; null when there is none.</summary>
    public async ValueTask<Blackboard?> FindAsync(RunRecord run, CancellationToken cancellationToken)
    {
        for (RunRecord? around = run; around is not null; around = around.ParentRunId is { } parent ? await runs.FindAsync(run.TenantId, parent) : null)
            if (around.Kind == RunKind.Workflow && await workflows.FindVersionAsync(run.TenantId, around.AgentId, around.AgentVersion, cancellationToken) is { Definition.Blackboard: { Count: > 0 } entries })
                return new Blackboard(around, entries);
        return null;
    }

    /// <summary>The last writes of its entries, up to a version where one is given.</summary>
    public ValueTask<IReadOnlyList<BlackboardWrite>> ReadAsync(Blackboard board, long? version = null) => store.CurrentAsync(board.Run.TenantId, board.Run.Id, version);

    /// <summary>Writes; a repetition under the same key gives what the first one wrote.</summary>
    /// <param name="board">The board.</param>
    /// <param name="writer">Who writes.</param>
    /// <param name="name">Of the entry. Untrusted.</param>
    /// <param name="given">Untrusted.</param>
    /// <param name="expected">The version that the entry must have, where one is asked for; 0: none yet.</param>
    /// <exception cref="BlackboardException">It was refused.</exception>
    public Task<BlackboardWrite> WriteAsync(Blackboard board, BlackboardWriter writer, string name, JsonElement given, long? expected = null)
    {
        if (!board.Entries.TryGetValue(name, out BlackboardEntry? entry))
            throw new BlackboardException(BlackboardCodes.UnknownEntry, $"The blackboard has no entry '{name}'. There are: {string.Join(", ", board.Entries.Keys)}.");
        var write = new BlackboardWrite
        {
            TenantId = board.Run.TenantId,
            BoardRunId = board.Run.Id,
            Name = name,
            Key = writer.Key,
            RunId = writer.Run.Id,
            Path = writer.Path,
            Agent = writer.Agent,
            Given = JsonSerializer.SerializeToUtf8Bytes(given),
            At = time.GetUtcNow(),
        };
        return store.WriteAsync(write, (before, writes) => Merge(entry, write, given, expected, before, writes));
    }

    private static byte[] Merge(BlackboardEntry entry, BlackboardWrite write, JsonElement given, long? expected, BlackboardWrite? before, long writes)
    {
        if (writes >= MaxWrites) throw new BlackboardException(BlackboardCodes.Full, $"The blackboard was written to {MaxWrites} times, which is its limit.");
        JsonElement? current = before is null ? null : JsonSerializer.Deserialize<JsonElement>(before.Value);
        if (expected is { } version && version != (before?.Version ?? 0))
            throw new BlackboardException(BlackboardCodes.Conflict, $"'{entry.Name}' has version {before?.Version ?? 0} and not {version}. It holds {Shown(before)} now: read it, and write again if that is still right.");
        JsonElement value = entry.Combine(current, given, out string? problem);
        if (problem is not null) throw new BlackboardException(BlackboardCodes.Invalid, $"The value does not fit '{entry.Name}': {problem}. Its schema is {entry.Shape.Source.GetRawText()}.");
        byte[] merged = JsonSerializer.SerializeToUtf8Bytes(value);
        if (merged.Length > MaxEntry || write.Given.Length > MaxEntry) throw new BlackboardException(BlackboardCodes.Full, $"'{entry.Name}' would have {Math.Max(merged.Length, write.Given.Length)} bytes; an entry may have {MaxEntry}.");
        return merged;
    }

    private static string Shown(BlackboardWrite? write) => write is null ? "nothing" : write.Value.Length > 1000 ? "something else" : System.Text.Encoding.UTF8.GetString(write.Value);
}
