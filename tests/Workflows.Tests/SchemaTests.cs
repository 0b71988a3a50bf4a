using System.Text.Json;
using System.Text.Json.Nodes;
using MultiAgent.Testing;
using MultiAgent.Workflows.Reading;
using MultiAgent.Workflows.Steps;
using NJsonSchema;

namespace MultiAgent.Workflows.Tests;

/// <summary>The published schema is what the code composes, and says what the reader says.</summary>
public sealed class SchemaTests
{
    private static readonly JsonSchema Schema = JsonSchema.FromJsonAsync(WorkflowSchema.Text).GetAwaiter().GetResult();

    public static TheoryData<string> Types => [.. StepTypes.Default.All.Select(t => t.Name)];

    [Fact]
    public void Schema_InTheDocs_IsWhatTheCodeComposes()
    {
        string path = Repository.At("docs/schemas/workflow.schema.json");
        if (Environment.GetEnvironmentVariable("MAAP_WRITE_SCHEMA") == "1") File.WriteAllText(path, WorkflowSchema.Text);

        Assert.True(File.ReadAllText(path) == WorkflowSchema.Text, "docs/schemas/workflow.schema.json is out of date: run this test with MAAP_WRITE_SCHEMA=1.");
    }

    [Fact]
    public void Schema_OfEveryMember_AcceptsThem() => Assert.Empty(Schema.Validate(Json(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "everything.yaml")))));

    public static TheoryData<string> Examples => [.. Directory.GetFiles(Repository.At("examples/workflows"), "*.yaml").Select(f => Path.GetFileNameWithoutExtension(f)!).Order()];

    [Theory]
    [MemberData(nameof(Examples))]
    public void Example_AsShipped_IsValidByReaderAndSchema(string name)
    {
        string source = File.ReadAllText(Repository.At($"examples/workflows/{name}.yaml"));
        WorkflowReading reading = WorkflowReader.Read(source);

        Assert.True(reading.Problems.Count == 0, string.Join('\n', reading.Problems));
        Assert.Equal(name, reading.Definition!.Name);
        Assert.NotNull(reading.Definition.Description);
        Assert.Empty(Schema.Validate(Json(source)));
    }

    // A mistake anywhere in a real workflow is found by both.
    [Theory]
    [MemberData(nameof(Examples))]
    public void Example_WithAMisspeltMember_IsRefusedByReaderAndSchema(string name)
    {
        string source = File.ReadAllText(Repository.At($"examples/workflows/{name}.yaml"));
        int broken = 0;
        foreach (string member in (string[])["type: agent", "steps:", "agent: ", "tool: ", "title: ", "workflow: ", "event: ", "maxIterations: ", "branches:", "over: \"{{"])
        {
            int at = source.LastIndexOf($" {member}", StringComparison.Ordinal);
            if (at < 0) continue;
            string mistake = source.Insert(at + 2, "x");
            broken++;
            Assert.NotEmpty(WorkflowReader.Read(mistake).Problems);
            Assert.NotEmpty(Schema.Validate(Json(mistake)));
        }
        Assert.True(broken >= 4);
    }

    [Fact]
    public void Examples_OfSupportAndCommerce_AreTwelve() => Assert.Equal(12, Examples.Count);

    [Theory]
    [InlineData("steps: [{id: a, type: wait}]")]
    [InlineData("steps: [{id: a, type: wait, seconds: 1, event: x}]")]
    [InlineData("steps: [{id: a, type: nothing}]")]
    [InlineData("steps: [{id: a, type: agent, agent: x}]")]
    [InlineData("steps: [{id: a, type: agent, agent: x, message: y, mesage: z}]")]
    [InlineData("steps: [{id: a, type: agent, agent: X Y, message: y}]")]
    [InlineData("steps: [{type: transform, output: 1}]")]
    [InlineData("steps: []")]
    [InlineData("other: 1\nsteps: [{id: a, type: transform, output: 1}]")]
    [InlineData("steps: [{id: a, type: transform, output: 1, retry: {attempts: 100}}]")]
    [InlineData("steps: [{id: a, type: transform, output: 1, compensate: {type: end}}]")]
    [InlineData("steps: [{id: l, type: loop, maxIterations: 2, steps: [{id: a, type: transform, output: 1}]}]")]
    [InlineData("steps: [{id: l, type: loop, until: true, maxIterations: 2, steps: [{id: a, type: transform}]}]")]
    [InlineData("steps: [{id: s, type: switch, cases: [{when: 1, steps: [{id: a, type: transform, output: 1}]}]}]")]
    [InlineData("steps: [{id: h, type: human, title: x, role: boss}]")]
    public void Schema_OfAMistake_RefusesItAsTheReaderDoes(string rest)
    {
        string source = $"apiVersion: maap/v1\nkind: Workflow\nname: t\n{rest}";

        Assert.NotEmpty(WorkflowReader.Read(source).Problems);
        Assert.NotEmpty(Schema.Validate(Json(source)));
    }

    // What a type reads and what its schema declares are written twice: here they are held together.
    [Theory]
    [MemberData(nameof(Types))]
    public void Schema_OfAType_DeclaresWhatTheReaderAsksFor(string name)
    {
        StepType type = StepTypes.Default.Find(name)!;
        JsonObject schema = JsonNode.Parse(type.Schema)!.AsObject();
        IReadOnlyList<string> asked = [];
        var recorded = new StepType(type.Name, type.Kind, type.Schema, reader =>
        {
            int before = reader.Asked.Count;
            Step step = type.Read(reader);
            asked = [.. reader.Asked.Skip(before)];
            return step;
        });
        var types = new StepTypes([recorded]);
        // With and without the members that others depend on.
        var all = new HashSet<string>();
        foreach (string more in (string[])["", ", event: x, join: merge, expiresSeconds: 5"])
        {
            WorkflowReader.Read($"apiVersion: maap/v1\nkind: Workflow\nname: t\nsteps: [{{id: a, type: {name}{more}}}]", types);
            all.UnionWith(asked);
        }

        Assert.Equal(schema["properties"]!.AsObject().Select(p => p.Key).Order(), all.Except(["timeoutSeconds"]).Order());
        string[] required = [.. schema["required"]?.AsArray().Select(n => n!.GetValue<string>()) ?? []];
        WorkflowReading empty = WorkflowReader.Read($"apiVersion: maap/v1\nkind: Workflow\nname: t\nsteps: [{{id: a, type: {name}}}]");
        Assert.Equal(required.Order(), empty.Problems.Where(p => p.Message.EndsWith("is required.", StringComparison.Ordinal) && p.Message.StartsWith('\'')).Select(p => p.Message.Split('\'')[1]).Order());
    }

    internal static string Json(string yaml)
    {
        SourceNode? node = SourceReader.Read(yaml, []);
        return JsonSerializer.Serialize(node!.ToJson());
    }
}
