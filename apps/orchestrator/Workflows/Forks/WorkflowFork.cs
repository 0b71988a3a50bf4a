using System.Buffers;
using System.Text.Json;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Workflows;
using MultiAgent.Workflows.Steps;

namespace MultiAgent.Orchestrator.Workflows.Forks;

/// <summary>
/// Takes over what a run has done: the outcomes of steps that are finished. What was under way is left out and done again: calls under new keys, questions
/// anew. What the earlier run has used is not counted twice.
/// </summary>
internal static class WorkflowFork
{
    /// <summary>The events that a run which goes on from there begins with.</summary>
    /// <param name="workflow">The version of the earlier run.</param>
    /// <param name="events">Its log, in order.</param>
    /// <param name="afterSeq">The last event that counts.</param>
    /// <param name="outputs">Outputs of finished steps to put in place of theirs, by path.</param>
    public static IReadOnlyList<RunEvent> Take(WorkflowDefinition workflow, IReadOnlyList<RunEvent> events, long afterSeq, IReadOnlyDictionary<string, JsonElement> outputs)
    {
        var counted = events.TakeWhile(e => e.Seq <= afterSeq && e.Type != RunEventTypes.Compensating).Select(e => (Event: e, Path: PathOf(e))).Where(e => e.Path is not null).ToList();
        var finished = counted.Where(e => IsEnd(workflow, e.Event, e.Path!)).Select(e => e.Path!).ToHashSet(StringComparer.Ordinal);
        var taken = new List<RunEvent>();
        foreach ((RunEvent e, string? path) in counted)
        {
            if (e.Type == RunEventTypes.ChildCompleted)
            {
                if (Without(e, "usage", requires: "output") is { } answer) taken.Add(answer);
            }
            else if (e.Type == RunEventTypes.SubworkflowStarted) taken.Add(e);
            else if (e.Type == RunEventTypes.BlackboardRead)
            {
                if (IsSeen(path!, finished)) taken.Add(e);
            }
            else if (finished.Contains(path!) && e.Type is RunEventTypes.StepStarted or RunEventTypes.StepRetrying or RunEventTypes.StepSkipped or RunEventTypes.StepFailed or RunEventTypes.StepCompleted or RunEventTypes.BlackboardWritten)
                taken.Add(e.Type == RunEventTypes.StepCompleted && outputs.TryGetValue(path!, out JsonElement output) ? With(e, "output", output) : e);
        }
        return taken;
    }

    /// <summary>Paths of steps that were undone.</summary>
    public static IReadOnlyList<string> Undone(IReadOnlyList<RunEvent> events) =>
        [.. events.SkipWhile(e => e.Type != RunEventTypes.Compensating).Where(e => e.Type == RunEventTypes.StepCompleted).Select(e => PathOf(e)!).Select(p => p[..p.LastIndexOf('/')])];

    public static string? PathOf(RunEvent e)
    {
        using var document = JsonDocument.Parse(e.Data);
        return document.RootElement.TryGetProperty("path", out JsonElement path) ? path.GetString() : null;
    }

    // What was seen between iterations and turns decided how a step went on; a step that is done again looks again.
    private static bool IsSeen(string place, HashSet<string> finished)
    {
        int mark = place.LastIndexOf('#');
        if (mark < place.LastIndexOf('/')) return finished.Contains(place);
        return mark >= 0 && (place[mark..] is "#while" or "#until" or "#stop" or "#state" || finished.Contains(place[..mark]));
    }

    // A failure that stopped the workflow is what is tried again; one that it passed over is an outcome as any other.
    private static bool IsEnd(WorkflowDefinition workflow, RunEvent e, string path) => e.Type switch
    {
        RunEventTypes.StepCompleted or RunEventTypes.StepSkipped => true,
        RunEventTypes.StepFailed => workflow.ById.TryGetValue(path[(path.LastIndexOf('/') + 1)..], out Step? step) && step.Policy.OnError == ErrorAction.Continue,
        _ => false,
    };

    /// <summary>The event without a member; null when it lacks another one.</summary>
    public static RunEvent? Without(RunEvent e, string member, string requires)
    {
        using var document = JsonDocument.Parse(e.Data);
        return document.RootElement.TryGetProperty(requires, out _) ? Write(e, document.RootElement.EnumerateObject().Where(m => m.Name != member).Select(m => (m.Name, m.Value))) : null;
    }

    /// <summary>The event with another value of a member.</summary>
    public static RunEvent With(RunEvent e, string name, JsonElement value)
    {
        using var document = JsonDocument.Parse(e.Data);
        return Write(e, [.. document.RootElement.EnumerateObject().Where(m => m.Name != name).Select(m => (m.Name, m.Value)), (name, value)]);
    }

    private static RunEvent Write(RunEvent e, IEnumerable<(string Name, JsonElement Value)> members)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, Json.WriterOptions))
        {
            json.WriteStartObject();
            foreach ((string name, JsonElement value) in members)
            {
                json.WritePropertyName(name);
                value.WriteTo(json);
            }
            json.WriteEndObject();
        }
        return new RunEvent { Seq = e.Seq, Type = e.Type, At = e.At, Data = buffer.WrittenSpan.ToArray() };
    }
}
