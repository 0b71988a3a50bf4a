using System.Text.Json;
using MultiAgent.Workflows.Graph;

namespace MultiAgent.Workflows.Tests;

/// <summary>The graph shows every step, and every way through the workflow.</summary>
public sealed class GraphTests
{
    private const string Head = "apiVersion: maap/v1\nkind: Workflow\nname: t\nsteps:\n";

    [Fact]
    public void Graph_OfContainers_LeadsThroughThem()
    {
        WorkflowGraph graph = Of("""
            - id: s
              type: switch
              cases:
              - when: inputs.a
                steps: [{id: x, type: transform, output: 1}, {id: stop, type: end}]
              - when: inputs.b > "1"
                steps: [{id: y, type: transform, output: 1}]
            - id: l
              type: loop
              maxIterations: 2
              until: true
              steps: [{id: z, type: transform, output: 1}]
            - id: p
              type: parallel
              branches: [{id: one, steps: [{id: q, type: transform, output: 1}]}, {id: two, steps: [{id: r, type: transform, output: 1, compensate: {type: transform, output: 2}}]}]
            """);

        string[] edges = [.. graph.Edges.Select(e => $"{e.From}>{e.To}:{e.Kind}:{e.Label}")];
        Assert.Equal(
        [
            "$start>s:next:", "s>x:next:inputs.a", "x>stop:next:", "stop>$end:next:", "s>y:next:inputs.b > \"1\"", "y>l:next:", "s>l:next:otherwise",
            "l>z:next:until true", "z>l:back:", "l>p:next:done", "p>q:next:one", "p>r:next:two", "r>undo_r:compensation:undone by", "q>$end:next:", "r>$end:next:",
        ], edges);
        Assert.Equal("s/case0", graph.Nodes.Single(n => n.Id == "x").Group);
        Assert.Equal(["s/case0", "s/case1", "l/body", "p/one", "p/two"], graph.Groups.Select(g => g.Id));
    }

    [Fact]
    public void Graph_OfEveryType_HasEveryStepOnceAndNoLooseEnds()
    {
        WorkflowDefinition workflow = WorkflowReader.Read(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "everything.yaml"))).Definition!;
        WorkflowGraph graph = WorkflowGraph.Of(workflow);

        Assert.Equal(workflow.ById.Keys.Order(), graph.Nodes.Select(n => n.Id).Except([WorkflowGraph.Start, WorkflowGraph.End]).Order());
        Assert.All(graph.Edges, e => Assert.True(graph.Nodes.Any(n => n.Id == e.From) && graph.Nodes.Any(n => n.Id == e.To)));
        Assert.All(graph.Nodes.Where(n => n.Id != WorkflowGraph.Start), n => Assert.Contains(graph.Edges, e => e.To == n.Id));
    }

    [Fact]
    public void Mermaid_WithStates_ShowsThemAndNothingFromLabelsEscapes()
    {
        WorkflowGraph graph = Of("""
            - {id: end, type: human, title: 'A "quoted" <b>title</b>; end %% `x`'}
            - {id: b, type: transform, output: 1}
            """);

        string text = graph.ToMermaid(new Dictionary<string, string> { ["end"] = "waiting", ["b"] = "pending", ["other"] = "failed" }, new Dictionary<string, string> { ["b"] = "1 of <2>" });

        Assert.Equal("""
            flowchart TD
              n_start_of_workflow(["Start"])
              s_end[/"end (human: A #34;quoted#34; #60;b#62;title#60;/b#62;#59; end #37;#37; #96;x#96;)"/]
              s_b["b (transform)<br/>1 of #60;2#62;"]
              n_end_of_workflow(["End"])
              n_start_of_workflow --> s_end
              s_end --> s_b
              s_b --> n_end_of_workflow
              classDef pending fill:#f5f5f5,stroke:#9e9e9e,color:#616161
              class s_b pending
              classDef waiting fill:#fff3c4,stroke:#b7791f,color:#5f370e
              class s_end waiting

            """, text);
    }

    [Fact]
    public void Json_WithStates_HasThemOnTheirNodes()
    {
        WorkflowGraph graph = Of("- {id: m, type: map, over: [1], steps: [{id: a, type: transform, output: 1}]}");

        using var json = JsonDocument.Parse(graph.ToJson(json => json.WriteString("runId", "run_1"), (json, node) => json.WriteString("state", node.Id == "a" ? "running" : "pending")));

        Assert.Equal("run_1", json.RootElement.GetProperty("runId").GetString());
        JsonElement node = json.RootElement.GetProperty("nodes").EnumerateArray().Single(n => n.GetProperty("id").GetString() == "a");
        Assert.Equal("""{"id":"a","type":"transform","kind":"action","label":"a (transform)","group":"m/body","line":5,"state":"running"}""", node.GetRawText());
        Assert.Equal("""{"id":"m/body","step":"m","label":"each item"}""", json.RootElement.GetProperty("groups")[0].GetRawText());
        Assert.Equal("""{"from":"a","to":"m","kind":"back"}""", json.RootElement.GetProperty("edges")[2].GetRawText());
    }

    private static WorkflowGraph Of(string steps)
    {
        WorkflowReading reading = WorkflowReader.Read(Head + steps);
        Assert.True(reading.Problems.Count == 0, string.Join('\n', reading.Problems));
        return WorkflowGraph.Of(reading.Definition!);
    }
}
