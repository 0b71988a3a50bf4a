using System.Globalization;
using System.Text;
using CsCheck;

namespace MultiAgent.Orchestrator.Tests.Workflows.Machine;

/// <summary>A step of a random program.</summary>
/// <param name="Kind">Its type, or a way in which one behaves.</param>
/// <param name="Choice">What of its variants it is.</param>
/// <param name="Blocks">Steps inside.</param>
internal sealed record Node(string Kind, int Choice, Node[][] Blocks);

/// <summary>What happens to a run of a program.</summary>
/// <param name="Cut">The write at which its process dies, counted round over the writes of a run without a crash.</param>
/// <param name="How">Right after that write, or before the next.</param>
/// <param name="Steals">After how many looks at it another process takes it up although its holder is alive.</param>
/// <param name="Copies">How often each event and decision is delivered.</param>
internal sealed record Fate(int Cut, bool How, int[] Steals, int Copies);

/// <summary>
/// Random workflows: agents, tools that work, fail, fail once or are slow, waits for people, events and times, in branches, lists, loops and choices, with
/// retries, compensations and limits of time. What one does depends on its text alone, not on the order in which its branches come: two runs of it have the same
/// end. For that nothing fails for good where strands run side by side.
/// </summary>
internal static class RandomProgram
{
    private static readonly string[] Calm = ["tool", "tool", "agent", "transform", "skipped", "event", "human", "nap", "flaky", "slow", "agent", "tolerated", "badAgent"];
    private static readonly string[] Any = [.. Calm, "failing", "end"];

    public static readonly Gen<(Node[] Program, Fate Fate)> Gen = CsCheck.Gen.Select(Block(3, calm: false), CsCheck.Gen.Select(CsCheck.Gen.Int[0, 1000], CsCheck.Gen.Bool, CsCheck.Gen.Int[0, 12].Array[0, 3], CsCheck.Gen.Int[1, 3], (cut, how, steals, copies) => new Fate(cut, how, steals, copies)));

    /// <summary>The steps as YAML.</summary>
    public static string Render(Node[] program)
    {
        var text = new StringBuilder();
        int next = 0;
        Render(text, program, "  ", ref next);
        return text.ToString();
    }

    private static Gen<Node[]> Block(int depth, bool calm) => Step(depth, calm).Array[1, depth == 3 ? 5 : 3];

    private static Gen<Node> Step(int depth, bool calm)
    {
        Gen<Node> leaf = CsCheck.Gen.Select(CsCheck.Gen.OneOf(calm ? Calm : Any), CsCheck.Gen.Int[0, 99], (kind, choice) => new Node(kind, choice, []));
        if (depth == 0) return leaf;
        Gen<Node> Container(string kind, int most, bool inside) => CsCheck.Gen.Select(Block(depth - 1, inside).Array[1, most], CsCheck.Gen.Int[0, 99], (blocks, choice) => new Node(kind, choice, blocks));
        return CsCheck.Gen.Frequency((6, leaf), (1, Container("parallel", 3, true)), (1, Container("map", 1, true)), (1, Container("loop", 1, calm)), (1, Container("switch", 2, calm)), (1, Container("first", 1, true)));
    }

    private static void Render(StringBuilder text, Node[] block, string indent, ref int next)
    {
        string? last = null;
        foreach (Node node in block)
        {
            string id = $"s{++next}";
            text.Append(CultureInfo.InvariantCulture, $"{indent}- id: {id}\n");
            Render(text, node, id, last, $"{indent}  ", ref next);
            last = node.Kind is "end" ? last : id;
        }
    }

    private static void Render(StringBuilder text, Node node, string id, string? last, string indent, ref int next)
    {
        // Every third tool can be undone, and every second agent is asked up to three times.
        string undo = node.Choice % 3 == 0 ? $"\n{indent}compensate: {{id: u{id}, type: tool, tool: record, arguments: {{what: \"undo {id}\"}}}}" : "";
        string again = $"\n{indent}retry: {{attempts: {2 + node.Choice % 2}, delaySeconds: 0.02}}";
        string before = last is null ? "nothing" : $"{{{{ steps.{last}.output | json }}}}";
        string body = node.Kind switch
        {
            "tool" => $"type: tool\n{indent}tool: record\n{indent}arguments: {{what: \"do {id}\"}}{undo}",
            "flaky" => $"type: tool\n{indent}tool: record\n{indent}arguments: {{what: \"once {id}\"}}{again}{undo}",
            "slow" => $"type: tool\n{indent}tool: record\n{indent}arguments: {{what: \"stuck {id}\"}}\n{indent}timeoutSeconds: 0.1\n{indent}onError: continue",
            "tolerated" => $"type: tool\n{indent}tool: record\n{indent}arguments: {{what: \"fail {id}\"}}\n{indent}onError: continue",
            "failing" => $"type: tool\n{indent}tool: record\n{indent}arguments: {{what: \"fail {id}\"}}",
            "agent" => $"type: agent\n{indent}agent: helper\n{indent}message: 'say {id} after {before}'{(node.Choice % 2 == 0 ? again : "")}",
            "badAgent" => $"type: agent\n{indent}agent: helper\n{indent}message: fail {id}\n{indent}onError: continue{again}",
            "transform" => $"type: transform\n{indent}output: [{id}, '{before}']",
            "skipped" => $"type: tool\n{indent}when: 1 == 2\n{indent}tool: record\n{indent}arguments: {{what: never}}",
            "event" => $"type: wait\n{indent}event: came\n{indent}match: \"{{{{ run.id }}}}\"",
            "human" => $"type: human\n{indent}title: may {id}",
            "nap" => $"type: wait\n{indent}seconds: {(node.Choice % 5 == 0 ? "2.2" : "0.03")}",
            "end" => $"type: end\n{indent}when: {(node.Choice % 3 == 0 ? "1 == 1" : "1 == 2")}\n{indent}status: {(node.Choice % 2 == 0 ? "failed" : "completed")}\n{indent}output: {id}\n{indent}message: \"over\"",
            "first" => $"type: parallel\n{indent}join: first\n{indent}branches:",
            "parallel" => $"type: parallel\n{indent}branches:",
            "map" => $"type: map\n{indent}over: [a, b{(node.Choice % 2 == 0 ? ", c" : "")}]\n{indent}concurrency: {1 + node.Choice % 3}\n{indent}steps:",
            "loop" => $"type: loop\n{indent}maxIterations: {1 + node.Choice % 3}\n{indent}until: iteration >= 1\n{indent}steps:",
            _ => $"type: switch\n{indent}cases:",
        };
        text.Append(indent).Append(body).Append('\n');
        if (node.Kind == "first")
        {
            // Both say the same: which is first is chance.
            foreach (string branch in (string[])["a", "b"]) text.Append(CultureInfo.InvariantCulture, $"{indent}  - {{id: {branch}, steps: [{{id: {branch}{id}, type: agent, agent: helper, message: say {id}}}]}}\n");
        }
        else if (node.Kind is "map" or "loop") Render(text, node.Blocks[0], indent + "  ", ref next);
        if (node.Kind is not ("parallel" or "switch")) return;
        for (int i = 0; i < node.Blocks.Length; i++)
        {
            text.Append(node.Kind == "parallel" ? $"{indent}  - id: b{i}\n{indent}    steps:\n" : $"{indent}  - when: {(i == node.Choice % 2 ? "1 == 1" : "1 == 2")}\n{indent}    steps:\n");
            Render(text, node.Blocks[i], indent + "      ", ref next);
        }
    }
}
