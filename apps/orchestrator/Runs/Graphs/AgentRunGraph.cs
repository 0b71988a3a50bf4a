using System.Globalization;
using System.Text.Json;
using MultiAgent.Workflows.Graph;

namespace MultiAgent.Orchestrator.Runs.Graphs;

/// <summary>What an agent's run did as a graph: a node for each call of the model and each call of a tool, in the order of its log.</summary>
internal sealed class AgentRunGraph(string agent)
{
    private readonly List<GraphNode> _nodes = [new(WorkflowGraph.Start, "start", "start", "Start", null, 0)];
    private readonly List<GraphEdge> _edges = [];
    private readonly Dictionary<string, NodeState> _states = new(StringComparer.Ordinal) { [WorkflowGraph.Start] = new() };
    private readonly Dictionary<string, string> _calls = new(StringComparer.Ordinal);
    private List<string> _ends = [WorkflowGraph.Start];
    private List<string> _tools = [];
    private string? _model;

    /// <summary>The next event of the log.</summary>
    public void Apply(RunEvent e, in JsonElement root)
    {
        switch (e.Type)
        {
            case RunEventTypes.ModelCalled:
                Model(root, e.At);
                break;
            case RunEventTypes.ModelCompleted:
                if (_model is null) break;
                if (root.TryGetProperty("usage", out JsonElement usage)) _states[_model].Spent(usage.Usage(), usage.Cost());
                End(_model, NodeStates.Completed, e.At);
                break;
            case RunEventTypes.MessageCompleted:
                // The last answer has no event of its own: it is the run's message.
                if (_model is null || NodeStates.IsEnded(_states[_model].State)) break;
                End(_model, NodeStates.Completed, e.At);
                break;
            case RunEventTypes.ApprovalRequested:
                NodeState asked = Tool(root, e.At);
                (asked.State, asked.Wait) = (NodeStates.Waiting, new NodeWait("approval", root.Text("approvalId"), root.Text("name"), root.Time("expiresAt")));
                break;
            case RunEventTypes.ApprovalDecided:
                NodeState decided = Tool(root, e.At);
                (decided.State, decided.Wait) = (NodeStates.Running, null);
                break;
            case RunEventTypes.ToolCallIntended:
                NodeState intended = Tool(root, e.At);
                (intended.State, intended.Attempts) = (NodeStates.Running, 1);
                break;
            case RunEventTypes.ToolCallCompleted:
                NodeState done = Tool(root, e.At);
                if (root.TryGetProperty("usage", out JsonElement spent)) done.Spent(spent.Usage(), spent.Cost());
                bool failed = root.TryGetProperty("isError", out JsonElement error) && error.GetBoolean();
                if (failed) done.Error = new RunErrorView(root.Text("code") ?? "tool_failed", "");
                (done.State, done.EndedAt) = (failed ? NodeStates.Failed : NodeStates.Completed, e.At);
                break;
        }
    }

    /// <summary>The graph, and state by node.</summary>
    /// <param name="status">How the run stands.</param>
    public (WorkflowGraph Graph, IReadOnlyDictionary<string, NodeState> States) Finish(RunStatus status)
    {
        bool over = status is RunStatus.Completed or RunStatus.Failed or RunStatus.Cancelled;
        _states[WorkflowGraph.Start].State = status == RunStatus.Queued ? NodeStates.Pending : NodeStates.Completed;
        _states[WorkflowGraph.End] = new NodeState { State = over ? RunStatusNames.Of(status) : NodeStates.Pending };
        foreach (NodeState state in _states.Values.Where(s => over && s.State is NodeStates.Running or NodeStates.Waiting)) (state.State, state.Wait) = (status == RunStatus.Failed ? NodeStates.Failed : NodeStates.Cancelled, null);
        Join(WorkflowGraph.End);
        _nodes.Add(new GraphNode(WorkflowGraph.End, "end", "end", "End", null, 0));
        return (new WorkflowGraph(agent, _nodes, [], _edges), _states);
    }

    private void Model(in JsonElement root, DateTimeOffset at)
    {
        long step = root.Number("step");
        string id = string.Create(CultureInfo.InvariantCulture, $"model_{step}");
        _model = id;
        // One that a crash interrupted is made again, under the same number.
        if (_states.TryGetValue(id, out NodeState? again))
        {
            again.Attempts++;
            return;
        }
        Join(id);
        _nodes.Add(new GraphNode(id, "model", "action", $"{step}: {root.Text("model")}", null, 0));
        _states[id] = new NodeState { State = NodeStates.Running, StartedAt = at, Attempts = 1 };
        (_ends, _tools) = ([id], []);
    }

    private NodeState Tool(in JsonElement root, DateTimeOffset at)
    {
        string call = root.Text("id") ?? "";
        // Ids of calls are the model's: another step may use the same again.
        string key = $"{_model} {call}";
        if (_calls.TryGetValue(key, out string? known)) return _states[known];
        string id = $"{_model}_tool_{(_tools.Count + 1).ToString(CultureInfo.InvariantCulture)}";
        _calls[key] = id;
        _nodes.Add(new GraphNode(id, "tool", "fork", root.Text("name") ?? "tool", null, 0));
        _edges.Add(new GraphEdge(_model ?? WorkflowGraph.Start, id, null, WorkflowGraph.Next));
        _tools.Add(id);
        _ends = _tools;
        return _states[id] = new NodeState { State = NodeStates.Running, StartedAt = at };
    }

    private void End(string id, string state, DateTimeOffset at) => (_states[id].State, _states[id].EndedAt) = (state, at);

    private void Join(string to)
    {
        foreach (string from in _ends) _edges.Add(new GraphEdge(from, to, null, WorkflowGraph.Next));
    }
}
