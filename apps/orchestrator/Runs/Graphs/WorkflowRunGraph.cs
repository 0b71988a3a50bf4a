using System.Text.Json;
using MultiAgent.Models;
using MultiAgent.Workflows;
using MultiAgent.Workflows.Graph;
using MultiAgent.Workflows.Steps;

namespace MultiAgent.Orchestrator.Runs.Graphs;

/// <summary>The states of a workflow's steps in one run, from its log.</summary>
internal sealed class WorkflowRunGraph(WorkflowDefinition workflow)
{
    private readonly StepPlaces _places = new(workflow);
    private readonly Dictionary<string, StepInstance> _instances = new(StringComparer.Ordinal);
    private readonly Dictionary<string, NodeState> _nodes = workflow.ById.Keys.ToDictionary(id => id, _ => new NodeState(), StringComparer.Ordinal);

    /// <summary>The next event of the log.</summary>
    public void Apply(RunEvent e, in JsonElement root)
    {
        if (e.Type == RunEventTypes.CompensationFailed && root.Text("step") is { } undone && _instances.TryGetValue(undone, out StepInstance? left)) left.State = NodeStates.CompensationFailed;
        if (root.Text("path") is not { } path || _places.Find(path) is not { } place) return;
        if (e.Type is RunEventTypes.ChildCompleted or RunEventTypes.ToolCallCompleted && root.TryGetProperty("usage", out JsonElement usage)) Spent(place, usage);
        if (place.IsStep && e.Type is RunEventTypes.StepStarted or RunEventTypes.StepSkipped)
        {
            if (!place.IsStep) return;
            bool started = e.Type == RunEventTypes.StepStarted;
            _instances[place.Path] = new StepInstance(place) { State = started ? NodeStates.Running : NodeStates.Skipped, StartedAt = started ? e.At : null, EndedAt = started ? null : e.At, Attempt = started ? 1 : 0 };
            if (started && place.Undoes) Of(place.Steps[^2].Path)?.Set(NodeStates.Compensating);
            return;
        }
        if (Of(place.Path) is not { } instance) return;
        if (place.IsStep) ApplyOwn(e, root, place, instance);
        ApplyInside(e, root, instance);
    }

    /// <summary>State by node.</summary>
    /// <param name="status">How the run stands.</param>
    /// <param name="undoing">What its steps did is being undone, or was.</param>
    public IReadOnlyDictionary<string, NodeState> States(RunStatus status, bool undoing)
    {
        bool over = status is RunStatus.Completed or RunStatus.Failed or RunStatus.Cancelled, stopped = over || undoing;
        foreach (StepInstance instance in _instances.Values)
        {
            // What was under way when something around it ended was stopped with it.
            if (NodeStates.IsEnded(instance.State) || instance.State == NodeStates.Pending || (instance.Place.Undoes ? !over : !stopped && !instance.Place.Steps.SkipLast(1).Any(s => Ended(s.Path)))) continue;
            (instance.State, instance.Wait) = (NodeStates.Cancelled, null);
        }
        ILookup<string, StepInstance> byStep = _instances.Values.ToLookup(i => i.Place.Step.Id);
        foreach ((string id, NodeState node) in _nodes) Fill(node, [.. byStep[id]], workflow.ById[id]);
        foreach (Step step in workflow.Steps) Reach(step, stopped, over);
        return new Dictionary<string, NodeState>(_nodes, StringComparer.Ordinal)
        {
            [WorkflowGraph.Start] = new() { State = status == RunStatus.Queued ? NodeStates.Pending : NodeStates.Completed },
            [WorkflowGraph.End] = new() { State = over ? RunStatusNames.Of(status) : NodeStates.Pending },
        };
    }

    private StepInstance? Of(string path) => _instances.GetValueOrDefault(path);

    private bool Ended(string path) => Of(path) is { } instance && NodeStates.IsEnded(instance.State);

    private void ApplyOwn(RunEvent e, in JsonElement root, StepPlace place, StepInstance instance)
    {
        switch (e.Type)
        {
            case RunEventTypes.StepRetrying:
                instance.Set(NodeStates.Retrying);
                instance.Attempt = root.GetProperty("attempt").GetInt32();
                (instance.RetryAt, instance.Error) = (root.Time("at"), root.Error());
                // What is inside is tried anew.
                foreach (string inside in _instances.Keys.Where(p => p.StartsWith($"{place.Path}/", StringComparison.Ordinal) || p.StartsWith($"{place.Path}#", StringComparison.Ordinal)).ToArray()) _instances.Remove(inside);
                break;
            case RunEventTypes.StepCompleted:
                instance.End(NodeStates.Completed, e.At, null);
                if (place.Undoes) Of(place.Steps[^2].Path)?.Set(NodeStates.Compensated);
                break;
            case RunEventTypes.StepFailed:
                instance.End(NodeStates.Failed, e.At, root.Error());
                break;
        }
    }

    private static void ApplyInside(RunEvent e, in JsonElement root, StepInstance instance)
    {
        switch (e.Type)
        {
            case RunEventTypes.ChildStarted:
                instance.Resume();
                (instance.ChildRunId, instance.ChildRuns) = (root.Text("runId"), instance.ChildRuns + 1);
                break;
            case RunEventTypes.ToolCallIntended or RunEventTypes.ChildCompleted or RunEventTypes.WaitResolved or RunEventTypes.WaitExpired:
                instance.Resume();
                break;
            case RunEventTypes.TimerSet:
                instance.Wait = new NodeWait("timer", null, null, root.Time("until"));
                instance.Set(NodeStates.Waiting);
                break;
            case RunEventTypes.WaitRequested:
                instance.Wait = new NodeWait(root.Text("kind") ?? "event", root.Text("waitId"), root.Text("title") ?? root.Text("event") ?? root.Text("runId"), root.Time("expiresAt"));
                instance.Set(NodeStates.Waiting);
                break;
        }
    }

    private void Spent(StepPlace place, in JsonElement usage)
    {
        foreach ((Step step, _) in place.Undoes ? place.Steps.TakeLast(1) : place.Steps) _nodes[step.Id].Spent(usage.Usage(), usage.Cost());
    }

    private void Fill(NodeState node, StepInstance[] instances, Step step)
    {
        if (instances.Length == 0) return;
        StepInstance newest = instances.MaxBy(i => i.StartedAt ?? i.EndedAt)!;
        node.State = NodeStates.Of(instances.Select(i => i.State));
        StepInstance shown = instances.First(i => i.State == node.State);
        node.StartedAt = instances.Min(i => i.StartedAt);
        node.EndedAt = instances.All(i => i.EndedAt is not null) ? instances.Max(i => i.EndedAt) : null;
        node.Attempts = instances.Sum(i => i.Attempt);
        node.RetryAt = node.State == NodeStates.Retrying ? shown.RetryAt : null;
        (node.Wait, node.Error) = (shown.Wait, shown.Error ?? instances.FirstOrDefault(i => i.Error is not null)?.Error);
        node.ChildRunId = newest.ChildRunId ?? instances.LastOrDefault(i => i.ChildRunId is not null)?.ChildRunId;
        node.ChildRuns = instances.Sum(i => i.ChildRuns);
        if (instances.Any(i => i.Place.Iterations.Count > 0)) node.Instances = NodeStates.Count(instances.Select(i => i.State));
        if (step is LoopStep or MapStep) node.Iterations = NodeStates.Count(Iterations(step));
    }

    private IEnumerable<string> Iterations(Step container)
    {
        Step last = container.Blocks[0].Steps[^1];
        var inside = _instances.Values.SelectMany(i => i.Place.Iterations.Select(at => (At: at, Instance: i))).Where(i => Of(i.At.Path)?.Place.Step == container);
        foreach (var iteration in inside.GroupBy(i => i.At))
        {
            string state = NodeStates.Of(iteration.Select(i => i.Instance.State == NodeStates.Failed && i.Instance.Place.Step.Policy.OnError == ErrorAction.Continue ? NodeStates.Completed : i.Instance.State));
            bool whole = iteration.Any(i => i.Instance.Place.Step == last);
            // Between two steps, or stopped there.
            yield return state is NodeStates.Completed && !whole ? Ended(iteration.Key.Path) ? NodeStates.Cancelled : NodeStates.Running : state is NodeStates.Skipped ? NodeStates.Completed : state;
        }
    }

    /// <summary>Marks what the run went past, or ended before.</summary>
    private void Reach(Step step, bool passed, bool over)
    {
        NodeState node = _nodes[step.Id];
        if (node.State == NodeStates.Pending && passed) node.State = NodeStates.Skipped;
        if (step.Compensate is { } undo && _nodes[undo.Id] is { State: NodeStates.Pending } spare && over) spare.State = NodeStates.Skipped;
        foreach (Step inner in step.Blocks.SelectMany(b => b.Steps)) Reach(inner, passed || NodeStates.IsEnded(node.State), over);
    }
}

/// <summary>A step at one place of a run: one iteration or item of it.</summary>
internal sealed class StepInstance(StepPlace place)
{
    public StepPlace Place => place;

    public required string State { get; set; }
    public DateTimeOffset? StartedAt { get; init; }
    public DateTimeOffset? EndedAt { get; set; }
    public int Attempt { get; set; }
    public DateTimeOffset? RetryAt { get; set; }
    public RunErrorView? Error { get; set; }
    public NodeWait? Wait { get; set; }
    public string? ChildRunId { get; set; }
    public int ChildRuns { get; set; }

    public void Set(string state) => State = state;

    /// <summary>It waits no longer.</summary>
    public void Resume()
    {
        if (State is NodeStates.Waiting or NodeStates.Retrying) (State, Wait, RetryAt) = (NodeStates.Running, null, null);
    }

    public void End(string state, DateTimeOffset at, RunErrorView? error) => (State, EndedAt, Error, Wait, RetryAt) = (state, at, error, null, null);
}
