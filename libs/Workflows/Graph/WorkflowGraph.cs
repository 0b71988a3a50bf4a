using MultiAgent.Workflows.Steps;

namespace MultiAgent.Workflows.Graph;

/// <summary>A step, or the start or end of the workflow.</summary>
/// <param name="Id">The step's id; <see cref="WorkflowGraph.Start"/> or <see cref="WorkflowGraph.End"/>.</param>
/// <param name="Type">The step's type; <c>start</c> or <c>end_of_workflow</c>.</param>
/// <param name="Kind">What it is drawn as.</param>
/// <param name="Label">For people.</param>
/// <param name="Group">The group that it lies in; null at the top.</param>
/// <param name="Line">Where it stands in the source; 0 for start and end.</param>
public sealed record GraphNode(string Id, string Type, string Kind, string Label, string? Group, int Line);

/// <summary>The steps of a block of a container.</summary>
/// <param name="Id">Step and block: <c>route/case0</c>.</param>
/// <param name="Step">The container.</param>
/// <param name="Label">For people.</param>
/// <param name="Group">The group around it; null at the top.</param>
public sealed record GraphGroup(string Id, string Step, string Label, string? Group);

/// <summary>A way from a node to another.</summary>
/// <param name="Kind"><c>next</c>, <c>back</c> (of a loop or map) or <c>compensation</c>.</param>
public sealed record GraphEdge(string From, string To, string? Label, string Kind);

/// <summary>A workflow as nodes, groups and edges. It says nothing of a run: states are laid over it when it is written.</summary>
public sealed record WorkflowGraph(string Name, IReadOnlyList<GraphNode> Nodes, IReadOnlyList<GraphGroup> Groups, IReadOnlyList<GraphEdge> Edges)
{
    public const string Start = "$start";
    public const string End = "$end";
    public const string Next = "next";
    public const string Back = "back";
    public const string Compensation = "compensation";

    public static WorkflowGraph Of(WorkflowDefinition definition)
    {
        var builder = new Builder();
        builder.Nodes.Add(new GraphNode(Start, "start", "start", "Start", null, 0));
        foreach ((string from, string? label) in builder.Walk(definition.Steps, [(Start, null)], null)) builder.Edges.Add(new GraphEdge(from, End, label, Next));
        builder.Nodes.Add(new GraphNode(End, "end_of_workflow", "end", "End", null, 0));
        return new WorkflowGraph(definition.Name, builder.Nodes, builder.Groups, builder.Edges);
    }

    private sealed class Builder
    {
        public List<GraphNode> Nodes { get; } = [];

        public List<GraphGroup> Groups { get; } = [];

        public List<GraphEdge> Edges { get; } = [];

        // The ways that lead out of the last step.
        public List<(string From, string? Label)> Walk(IReadOnlyList<Step> steps, List<(string From, string? Label)> ways, string? group)
        {
            foreach (Step step in steps)
            {
                foreach ((string from, string? label) in ways) Edges.Add(new GraphEdge(from, step.Id, label, Next));
                Add(step, group);
                ways = Out(step, group);
            }
            return ways;
        }

        private List<(string From, string? Label)> Out(Step step, string? group)
        {
            switch (step)
            {
                case EndStep:
                    Edges.Add(new GraphEdge(step.Id, End, null, Next));
                    return step.When is null ? [] : [(step.Id, "otherwise")];
                case LoopStep or MapStep:
                    StepBlock body = step.Blocks[0];
                    foreach ((string from, string? label) in Block(step, body, group)) Edges.Add(new GraphEdge(from, step.Id, label, Back));
                    return [(step.Id, "done")];
                case { Blocks.Count: > 0 }:
                    var ways = new List<(string From, string? Label)>();
                    foreach (StepBlock block in step.Blocks) ways.AddRange(Block(step, block, group));
                    if (step is SwitchStep { Default: null }) ways.Add((step.Id, "otherwise"));
                    return ways;
                default:
                    return [(step.Id, null)];
            }
        }

        private List<(string From, string? Label)> Block(Step step, StepBlock block, string? group)
        {
            string id = $"{step.Id}/{block.Key}";
            Groups.Add(new GraphGroup(id, step.Id, block.Label, group));
            return Walk(block.Steps, [(step.Id, block.Label)], id);
        }

        private void Add(Step step, string? group)
        {
            Nodes.Add(new GraphNode(step.Id, step.Type, KindOf(step), LabelOf(step), group, step.Head.Line));
            if (step.Compensate is not { } undo) return;
            Nodes.Add(new GraphNode(undo.Id, undo.Type, KindOf(undo), LabelOf(undo), group, undo.Head.Line));
            Edges.Add(new GraphEdge(step.Id, undo.Id, "undone by", Compensation));
        }

        private static string KindOf(Step step) => step switch
        {
            SwitchStep or LoopStep => "decision",
            ParallelStep or MapStep => "fork",
            HumanStep => "human",
            WaitStep => "wait",
            SubworkflowStep => "subworkflow",
            EndStep => "end",
            _ => "action",
        };

        private static string LabelOf(Step step)
        {
            string what = step switch
            {
                AgentStep s => s.Agent.ToString(),
                ToolStep s => s.Tool,
                SubworkflowStep s => s.Workflow.ToString(),
                HumanStep s => s.Title.Source,
                WaitStep { Event: { } name } => name,
                WaitStep { Webhook: true } => "webhook",
                WaitStep { Delay: { } delay } => $"{delay.TotalSeconds:0.###} s",
                WaitStep { Until: { } until } => $"until {until.Source}",
                ParallelStep s => s.Join.ToString().ToLowerInvariant(),
                MapStep s => $"each {s.As}",
                EndStep s => s.Status.ToString().ToLowerInvariant(),
                _ => "",
            };
            string label = what.Length == 0 ? $"{step.Id} ({step.Type})" : $"{step.Id} ({step.Type}: {what})";
            return step.When is null ? label : $"{label} if {step.When.Source}";
        }
    }
}
