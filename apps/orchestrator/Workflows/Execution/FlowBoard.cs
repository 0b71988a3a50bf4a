using System.Collections.Concurrent;
using System.Text.Json;
using MultiAgent.Orchestrator.Blackboards;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Workflows;
using MultiAgent.Workflows.Steps;
using MultiAgent.Workflows.Templates;

namespace MultiAgent.Orchestrator.Workflows.Execution;

/// <summary>
/// The blackboard in a workflow's templates. Which state of it a place has seen is in the log, so that a run that goes on from there decides as it did, whatever
/// was written since.
/// </summary>
internal sealed class FlowBoard(Flow flow, RunBlackboards boards)
{
    private readonly Blackboard _board = new(flow.Run, flow.Workflow.Definition.Blackboard);
    private readonly ConcurrentDictionary<long, JsonElement> _seen = new();

    /// <summary>The context with the blackboard as it is seen at a place: the first time as it stands, and from then on the same.</summary>
    public async ValueTask<StepContext> SeeAsync(string place, StepContext context)
    {
        if (_board.Entries.Count == 0) return context;
        StepRecord record = flow.State.At(place);
        if (record.Board is null)
        {
            // Nothing was decided here.
            if (context.LogOnly) return context;
            IReadOnlyList<BlackboardWrite> last = await boards.ReadAsync(_board);
            long version = last.Select(w => w.Version).DefaultIfEmpty().Max();
            _seen.TryAdd(version, ValueOf(last));
            record.Board = version;
            flow.Journal.Add(RunEventTypes.BlackboardRead, place, version, static (json, version) => json.WriteNumber("version"u8, version));
        }
        if (!_seen.TryGetValue(record.Board.Value, out JsonElement value)) value = _seen.GetOrAdd(record.Board.Value, ValueOf(await boards.ReadAsync(_board, record.Board)));
        return context.With(ScopeNames.Blackboard, value);
    }

    /// <summary>Writes what a step that is done sets.</summary>
    /// <exception cref="StepException">The blackboard refuses it.</exception>
    public async Task SetAsync(Step step, StepContext context, string path, StepRecord record, JsonElement? output)
    {
        if (step.Set.Count == 0) return;
        WorkflowScope scope = (await SeeAsync($"{path}#set", context)).With("output", output ?? JsonSerializer.SerializeToElement<object?>(null)).Scope(flow.Run, record.StartedAt);
        // Others see the write: what it is made of must not come out otherwise after a crash.
        await flow.Journal.FlushAsync();
        foreach ((string name, ValueTemplate value) in step.Set)
        {
            try
            {
                Written(path, record, await boards.WriteAsync(_board, new BlackboardWriter(flow.Run, path, null, $"{flow.Run.Id}{path}:{name}"), name, value.Evaluate(scope)));
            }
            catch (BlackboardException e)
            {
                throw new StepException(e.Code, e.Message, retryable: false);
            }
        }
    }

    /// <summary>Tells of a write in the log, unless that was done before a crash.</summary>
    public void Written(string path, StepRecord record, BlackboardWrite write)
    {
        lock (record.Written)
            if (!record.Written.Add(write.Version)) return;
        flow.Journal.Add(RunEventTypes.BlackboardWritten, path, write, static (json, w) => RunLog.WriteBlackboard(json, w));
    }

    private JsonElement ValueOf(IReadOnlyList<BlackboardWrite> last) => JsonSerializer.SerializeToElement(_board.Entries.Values.ToDictionary(e => e.Name, e =>
        last.FirstOrDefault(w => w.Name == e.Name) is { } write ? JsonSerializer.Deserialize<JsonElement>(write.Value) : e.Initial));
}
