using System.Text;

namespace MultiAgent.Workflows.Tests;

/// <summary>Every mistake is reported with its place, and what is untrusted does no harm.</summary>
public sealed class ValidationTests
{
    private const string Marks = "{}[]:,'\"|&*!%@`-? \n\t#";
    private const string Head = "apiVersion: maap/v1\nkind: Workflow\nname: t\n";

    public static TheoryData<string, string, int, int, string> Mistakes => new()
    {
        // Documents
        { "", "syntax", 1, 1, "empty" },
        { "a: [1", "syntax", 1, 5, "Not valid YAML" },
        { "a: 1\n b: 2", "syntax", 2, 3, "Not valid YAML" },
        { "just text", "wrong_type", 1, 1, "A workflow is an object" },
        { Head + "steps: []\n---\na: 1", "syntax", 5, 1, "second document" },
        { Head + "a: &x 1\n", "alias_not_allowed", 4, 4, "Anchors" },
        { Head + "a: *x\n", "alias_not_allowed", 4, 4, "aliases" },
        { Head + "<<: {a: 1}\n", "alias_not_allowed", 4, 1, "Merge" },
        { Head + "a: !!binary x\n", "syntax", 4, 4, "tag" },
        { Head + "name: u\n", "duplicate_member", 4, 1, "'name' is there twice" },
        { Head, "missing_member", 1, 1, "'steps' is required" },
        { "apiVersion: maap/v2\nkind: Workflow\nname: t\nsteps: [{id: a, type: wait, seconds: 1}]", "invalid_value", 1, 13, "must be 'maap/v1'" },
        { "apiVersion: maap/v1\nkind: Workflow\nname: Bad Name\nsteps: [{id: a, type: wait, seconds: 1}]", "invalid_value", 3, 7, "lower-case" },
        { Head + "descripton: x\nsteps: [{id: a, type: wait, seconds: 1}]", "unknown_member", 4, 1, "'descripton' is not known here. Did you mean 'description'?" },
        { Head + "limits: {maxSteps: 0}\nsteps: [{id: a, type: wait, seconds: 1}]", "invalid_value", 4, 20, "between 1 and 100000" },
        { Head + "inputs: {type: objekt}\nsteps: [{id: a, type: wait, seconds: 1}]", "invalid_schema", 4, 9, "unknown type" },
        { Head + "inputs: {$ref: 'https://example.com/x.json'}\nsteps: [{id: a, type: wait, seconds: 1}]", "invalid_schema", 4, 9, "begin with '#'" },
        { Head + "inputs: {type: string, pattern: '['}\nsteps: [{id: a, type: wait, seconds: 1}]", "invalid_schema", 4, 9, "pattern" },
        { Head + "blackboard: {a: {merge: sum}}\nsteps: [{id: a, type: wait, seconds: 1}]", "missing_member", 4, 17, "'schema' is required" },
        { Head + "blackboard: {a: {schema: {type: string}, merge: sum}}\nsteps: [{id: a, type: wait, seconds: 1}]", "invalid_value", 4, 49, "type number or integer" },
        { Head + "blackboard: {a: {schema: {type: string}, initial: 1}}\nsteps: [{id: a, type: wait, seconds: 1}]", "invalid_value", 4, 51, "does not fit the schema" },
        { Head + "blackboard: {A: {schema: {type: string}}}\nsteps: [{id: a, type: wait, seconds: 1}]", "invalid_value", 4, 17, "lower-case" },
        { Head + "blackboard: {a: {schema: {type: string}}}\nsteps: [{id: a, type: wait, seconds: 1, set: {b: 1}}]", "unknown_variable", 5, 47, "'b' is not declared in 'blackboard'" },
        { Head + "blackboard: {note: {schema: {type: string}}}\noutput: \"{{ blackboard.nota }}\"\nsteps: [{id: a, type: wait, seconds: 1}]", "unknown_variable", 5, 13, "Did you mean 'note'?" },
        // Steps
        { Steps("- {type: wait, seconds: 1}"), "missing_member", 5, 3, "'id' is required" },
        { Steps("- {id: A, type: wait, seconds: 1}"), "invalid_value", 5, 8, "lower-case" },
        { Steps("- id: a\n  seconds: 1"), "missing_member", 5, 3, "'type' is required" },
        { Steps("- text"), "wrong_type", 5, 3, "must be a step" },
        { Steps("- id: a\n  type: agnet"), "unknown_step_type", 6, 9, "There is no step type 'agnet'. Did you mean 'agent'?" },
        { Steps("- {id: a, type: wait, seconds: 1}\n- {id: a, type: wait, seconds: 1}"), "duplicate_id", 6, 8, "'a' already, in line 5" },
        { Steps("- id: a\n  type: agent\n  agent: x\n  mesage: y"), "unknown_member", 8, 3, "Did you mean 'message'?" },
        { Steps("- id: a\n  type: agent\n  agent: x\n  message: y\n  timeout_seconds: 3"), "unknown_member", 9, 3, "Did you mean 'timeoutSeconds'?" },
        { Steps("- id: a\n  type: agent\n  agent: x\n  message:"), "wrong_type", 8, 11, "has no value" },
        { Steps("- id: a\n  type: agent\n  agent: Not A Slug\n  message: y"), "invalid_value", 7, 10, "slug of an agent" },
        { Steps("- id: a\n  type: wait\n  seconds: soon"), "wrong_type", 7, 12, "must be a number" },
        { Steps("- id: a\n  type: wait\n  seconds: 1\n  until: x"), "invalid_value", 8, 10, "cannot go with 'seconds'" },
        { Steps("- id: a\n  type: wait"), "missing_member", 5, 3, "One of 'seconds'" },
        { Steps("- id: a\n  type: wait\n  seconds: 1\n  timeoutSeconds: 5"), "invalid_value", 8, 19, "goes with 'event' or 'webhook'" },
        { Steps("- {id: a, type: wait, seconds: 1, retry: {attempts: 99}}"), "invalid_value", 5, 53, "between 1 and 20" },
        { Steps("- {id: a, type: wait, seconds: 1, onError: ignore}"), "invalid_value", 5, 44, "one of fail, continue" },
        { Steps("- {id: a, type: wait, seconds: 1, compensate: {type: end}}"), "invalid_value", 5, 54, "A compensation is one of" },
        { Steps("- {id: a, type: parallel, branches: [{id: x, steps: [{id: b, type: wait, seconds: 1}]}, {id: x, steps: [{id: c, type: wait, seconds: 1}]}]}"), "duplicate_id", 5, 94, "branch 'x'" },
        { Steps("- {id: a, type: map, over: 5, steps: [{id: b, type: wait, seconds: 1}]}"), "wrong_type", 5, 28, "must give an array" },
        { Steps("- {id: a, type: map, over: [1], as: steps, steps: [{id: b, type: wait, seconds: 1}]}"), "invalid_value", 5, 37, "none of" },
        { Steps("- {id: a, type: loop, maxIterations: 2000, while: true, steps: [{id: b, type: wait, seconds: 1}]}"), "invalid_value", 5, 38, "between 1 and 1000" },
        { Steps("- {id: a, type: human, title: x, onExpire: fail}"), "invalid_value", 5, 44, "goes with 'expiresSeconds'" },
        { Steps("- {id: a, type: human, title: x, role: boss}"), "invalid_value", 5, 40, "one of admin" },
        { Steps("- {id: a, type: debate, agents: [x], judge: y, message: z}"), "invalid_value", 5, 33, "2 to 10" },
        { Steps("- {id: a, type: transform, output: '{{ blackboard.x }}'}"), "unknown_variable", 5, 40, "declares no 'blackboard'" },
        // Templates
        { Steps("- id: a\n  type: transform\n  output: \"{{ inputs.x | }}\""), "invalid_template", 7, 25, "Not a valid template" },
        { Steps("- id: a\n  type: transform\n  output: |\n    one\n    {{ oops"), "invalid_template", 9, 5, "not closed" },
        { Steps("- id: a\n  type: transform\n  output: |\n    one\n    two {{ inptus.x }}"), "unknown_variable", 9, 12, "There is no variable 'inptus'. Did you mean 'inputs'?" },
        { Steps("- id: a\n  type: transform\n  output: {x: [1, \"{{ steps.b.output }}\"]}"), "unknown_step", 7, 23, "There is no step 'b'" },
        { Steps("- id: a\n  type: wait\n  seconds: 1\n  when: inputs.x >"), "invalid_template", 8, 9, "Not a valid condition" },
        { Steps("- id: a\n  type: wait\n  seconds: 1\n  when: \"{{ inputs.x }}\""), "invalid_template", 8, 10, "without '{{ }}'" },
        { Steps("- id: a\n  type: wait\n  seconds: 1\n  when: inputs.x and ite.y"), "unknown_variable", 8, 22, "'ite'" },
        { Steps("- {id: a, type: transform, output: \"{% include 'x' %}\"}"), "invalid_template", 5, 40, "'include'" },
        { Steps("- {id: a, type: transform, output: \"{% capture x %}1{% endcapture %}\"}"), "invalid_template", 5, 40, "'capture'" },
        { Steps("- {id: a, type: transform, output: \"{% for i in (1..inputs.n) %}1{% endfor %}\"}"), "invalid_template", 5, 51, "range" },
        { Steps("- {id: a, type: transform, output: \"{{ run.tenant }}\"}"), "unknown_variable", 5, 40, "'run' has no 'tenant'" },
        { Steps("- {id: a, type: transform, output: 1}\n- {id: b, type: transform, output: \"{{ steps.a.result }}\"}"), "unknown_variable", 6, 40, "A step has no 'result'" },
        { Head + "inputs: {type: object, properties: {order: {type: string}}}\nsteps:\n- {id: a, type: transform, output: \"{{ inputs.ordre }}\"}", "unknown_variable", 6, 40, "Did you mean 'order'?" },
        // Steps that cannot have run
        { Steps("- {id: a, type: transform, output: \"{{ steps.b.output }}\"}\n- {id: b, type: transform, output: 1}"), "step_not_available", 5, 40, "'b' comes later" },
        { Steps("- {id: a, type: transform, output: \"{{ steps.a.output }}\"}"), "step_not_available", 5, 40, "its own output" },
        { Steps("- {id: a, type: transform, output: 1, compensate: {id: c, type: transform, output: 1}}\n- {id: b, type: transform, output: \"{{ steps.c.output }}\"}"), "step_not_available", 6, 40, "is a compensation" },
        { Steps("- {id: m, type: map, over: [1], steps: [{id: i, type: transform, output: 1}]}\n- {id: b, type: transform, output: \"{{ steps.i.output }}\"}"), "step_not_available", 6, 40, "Use 'steps.m.output'" },
        { Steps("- id: s\n  type: switch\n  cases:\n  - {when: true, steps: [{id: x, type: transform, output: 1}]}\n  default: [{id: y, type: transform, output: \"{{ steps.x.output }}\"}]"), "step_not_available", 9, 50, "another case of 's'" },
        { Steps("- id: p\n  type: parallel\n  branches:\n  - {id: l, steps: [{id: x, type: transform, output: 1}]}\n  - {id: r, steps: [{id: y, type: transform, output: \"{{ steps.x.output }}\"}]}"), "step_not_available", 9, 58, "at the same time" },
        { Steps("- id: p\n  type: parallel\n  branches:\n  - {id: l, steps: [{id: x, type: transform, output: \"{{ steps.p.output }}\"}]}"), "step_not_available", 8, 58, "not done before" },
        { Steps("- {id: a, type: transform, output: \"{{ item }}\"}"), "unknown_variable", 5, 40, "'item' is not at hand here" },
    };

    [Theory]
    [MemberData(nameof(Mistakes))]
    public void Read_OfAMistake_NamesItsPlace(string source, string code, int line, int column, string message)
    {
        WorkflowReading reading = WorkflowReader.Read(source);

        Assert.Null(reading.Definition);
        WorkflowProblem? problem = reading.Problems.FirstOrDefault(p => p.Code == code && p.Message.Contains(message, StringComparison.Ordinal));
        Assert.True(problem is not null, string.Join('\n', reading.Problems.Select(p => $"{p.Code} {p}")));
        Assert.Equal((line, column), (problem.Line, problem.Column));
    }

    [Theory]
    [InlineData("- {id: l, type: loop, while: steps.y.output != 1, maxIterations: 3, steps: [{id: x, type: transform, output: \"{{ steps.y.output }}\"}, {id: y, type: transform, output: \"{{ iteration }}\"}]}")]
    [InlineData("- {id: p, type: parallel, branches: [{id: l, steps: [{id: x, type: transform, output: 1}]}]}\n- {id: y, type: transform, output: \"{{ steps.x.output }}\"}")]
    [InlineData("- {id: s, type: switch, cases: [{when: true, steps: [{id: x, type: transform, output: 1}]}]}\n- {id: y, type: transform, output: \"{{ steps.x.output }}{{ steps.s.output }}\"}")]
    [InlineData("- {id: m, type: map, over: [1], as: it, steps: [{id: x, type: transform, output: \"{{ it }}{{ index }}\"}, {id: y, type: transform, output: \"{{ steps.x.output }}\", compensate: {type: transform, output: \"{{ steps.y.output }}{{ it }}\"}}]}")]
    [InlineData("- {id: a, type: transform, output: \"{% assign q = 1 %}{% for r in (1..3) %}{{ r }}{{ q }}{{ forloop.index }}{% endfor %}\"}")]
    [InlineData("- {id: a, type: transform, output: \"{% raw %}{{ nothing }}{% endraw %}\"}")]
    public void Read_OfReferencesThatHold_FindsNothing(string steps) => Assert.Empty(WorkflowReader.Read(Steps(steps)).Problems);

    [Fact]
    public void Read_OfSeveralMistakes_ReportsAllInOrder()
    {
        WorkflowReading reading = WorkflowReader.Read(Steps("- {id: a, type: nothing}\n- {id: b, type: wait}\n- {id: b, type: agent, agent: x, message: \"{{ y }}\"}"));

        Assert.Equal(["unknown_step_type", "missing_member", "duplicate_id", "unknown_variable"], reading.Problems.Select(p => p.Code));
        Assert.Equal(["steps[0].type", "steps[1]", "steps[2].id", "steps[2].message"], reading.Problems.Select(p => p.Path));
    }

    [Fact]
    public void Read_AtTheLimits_Refuses()
    {
        Assert.Equal("too_large", Code(Head + "# " + new string('x', 256 * 1024)));
        Assert.Equal("too_many_steps", Code(Steps(string.Concat(Enumerable.Range(0, 501).Select(i => $"- {{id: s{i}, type: wait, seconds: 1}}\n")))));
        Assert.Empty(WorkflowReader.Read(Steps(string.Concat(Enumerable.Range(0, 500).Select(i => $"- {{id: s{i}, type: wait, seconds: 1}}\n")))).Problems);
        Assert.Equal("too_deep", Code($"{Head}steps: {Nested(17)}"));
        Assert.Empty(WorkflowReader.Read($"{Head}steps: {Nested(16)}").Problems);
    }

    [Theory]
    [InlineData("[", 200_000)]
    [InlineData("{a: ", 60_000)]
    [InlineData("- ", 100_000)]
    [InlineData("? ", 100_000)]
    [InlineData("[a, ", 60_000)]
    public async Task Read_OfDeepNesting_EndsSoon(string part, int times)
    {
        WorkflowReading reading = await Task.Run(() => WorkflowReader.Read(string.Concat(Enumerable.Repeat(part, times)))).WaitAsync(TimeSpan.FromSeconds(30));

        Assert.NotEmpty(reading.Problems);
    }

    [Theory]
    [InlineData("{% if inputs.a %}", "{% endif %}")]
    [InlineData("{{ inputs.a[", "] }}")]
    [InlineData("{{ (", ") }}")]
    public void Read_OfADeepTemplate_DoesNotOverflow(string open, string close)
    {
        string template = string.Concat(Enumerable.Repeat(open.Replace("{{ ", "", StringComparison.Ordinal), 5_000)) + string.Concat(Enumerable.Repeat(close.Replace(" }}", "", StringComparison.Ordinal), 5_000));
        if (open.StartsWith("{{", StringComparison.Ordinal)) template = $"{{{{ {template} }}}}";

        Assert.Equal("invalid_template", Code(Steps($"- {{id: a, type: transform, output: '{template}'}}")));
    }

    [Fact]
    public void Read_OfALongCondition_DoesNotOverflow()
    {
        string chain = string.Join(" and ", Enumerable.Repeat("a", 700));

        Assert.Equal("invalid_template", Code(Steps($"- {{id: a, type: wait, seconds: 1, when: '{chain}'}}")));
        Assert.Equal("invalid_template", Code(Steps($"- {{id: a, type: transform, output: '{{{{ 1 {string.Concat(Enumerable.Repeat("| plus: 1 ", 5000))} }}}}'}}")));
    }

    [Fact]
    public void Read_OfBrokenText_NeverThrows()
    {
        string source = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "everything.yaml"));
        var random = new Random(7);
        for (int i = 0; i < 400; i++)
        {
            var text = new StringBuilder(source);
            for (int n = random.Next(1, 4); n > 0; n--)
            {
                int at = random.Next(text.Length);
                if (random.Next(2) == 0) text.Remove(at, Math.Min(random.Next(1, 20), text.Length - at));
                else text.Insert(at, Marks[random.Next(Marks.Length)]);
            }
            WorkflowReading reading = WorkflowReader.Read(text.ToString());
            Assert.Equal(reading.Definition is null, reading.Problems.Count > 0);
            Assert.All(reading.Problems, p => Assert.True(p.Line >= 1 && p.Column >= 1));
        }
    }

    private static string Code(string source) => WorkflowReader.Read(source).Problems is [var first, ..] ? first.Code : "nothing";

    private static string Nested(int depth)
    {
        string steps = "[{id: leaf, type: wait, seconds: 1}]";
        for (int i = 1; i < depth; i++) steps = $"[{{id: l{i}, type: loop, until: true, maxIterations: 1, steps: {steps}}}]";
        return steps;
    }

    private static string Steps(string steps) => $"{Head}steps:\n{steps}";
}
