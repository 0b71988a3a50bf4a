using System.Text.Json;
using MultiAgent.Orchestrator.Blackboards;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Workflows;

namespace MultiAgent.Orchestrator.Workflows.Forks;

/// <summary>
/// Takes over what finished steps of a run, and the agents that answered them, have written to its blackboard. What was under way writes again; so its writes are
/// left out, and the values made anew without them. Writes keep their numbers.
/// </summary>
internal sealed class BlackboardFork(IBlackboardStore store, IRunStore runs)
{
    private const int Page = 500;

    /// <param name="run">The earlier run.</param>
    /// <param name="entries">What its workflow declares.</param>
    /// <param name="done">Its events that the new run begins with.</param>
    public async Task<List<BlackboardWrite>> TakeAsync(RunRecord run, IReadOnlyDictionary<string, BlackboardEntry> entries, IReadOnlyList<RunEvent> done)
    {
        var taken = new List<BlackboardWrite>();
        if (entries.Count == 0) return taken;
        HashSet<string> finished = [.. done.Where(e => e.Type == RunEventTypes.StepCompleted).Select(e => WorkflowFork.PathOf(e)!)];
        HashSet<string> answered = [.. done.Where(e => e.Type == RunEventTypes.ChildCompleted).Select(RunIdOf)];
        var counts = new Dictionary<string, bool>(StringComparer.Ordinal);
        var values = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
        long last = 0;
        while (await store.WritesAsync(run.TenantId, run.Id, null, last, Page) is { Count: > 0 } writes)
        {
            last = writes[^1].Version;
            foreach (BlackboardWrite write in writes)
            {
                if (!entries.TryGetValue(write.Name, out BlackboardEntry? entry)) continue;
                // A path that is empty is that of an edit when this run was forked itself.
                bool count = write.RunId == run.Id ? write.Path.Length == 0 || finished.Contains(write.Path) : counts.TryGetValue(write.RunId, out bool known) ? known : counts[write.RunId] = await IsOfAsync(run.TenantId, write.RunId, answered);
                if (!count) continue;
                JsonElement? before = values.TryGetValue(write.Name, out JsonElement value) ? value : null;
                JsonElement merged = entry.Combine(before, JsonSerializer.Deserialize<JsonElement>(write.Given), out string? problem);
                // It followed from one that is left out.
                if (problem is not null) continue;
                values[write.Name] = merged;
                taken.Add(write with { Value = JsonSerializer.SerializeToUtf8Bytes(merged) });
            }
        }
        return taken;
    }

    /// <summary>The events, with what places have seen of the blackboard told in writes that are left.</summary>
    public static IReadOnlyList<RunEvent> See(IReadOnlyList<RunEvent> done, IReadOnlyList<BlackboardWrite> taken) => [.. done.Select(e => e.Type != RunEventTypes.BlackboardRead ? e
        : WorkflowFork.With(e, "version", JsonSerializer.SerializeToElement(taken.LastOrDefault(w => w.Version <= VersionOf(e))?.Version ?? 0)))];

    // An agent's run may have had others answer for it.
    private async Task<bool> IsOfAsync(string tenantId, string runId, HashSet<string> answered)
    {
        for (string? id = runId; id is not null; id = (await runs.FindAsync(tenantId, id))?.ParentRunId)
            if (answered.Contains(id)) return true;
        return false;
    }

    private static string RunIdOf(RunEvent e)
    {
        using var document = JsonDocument.Parse(e.Data);
        return document.RootElement.GetProperty("runId").GetString()!;
    }

    private static long VersionOf(RunEvent e)
    {
        using var document = JsonDocument.Parse(e.Data);
        return document.RootElement.GetProperty("version").GetInt64();
    }
}
