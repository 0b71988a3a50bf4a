using System.Text.Json;
using MultiAgent.Workflows.Steps;
using MultiAgent.Workflows.Templates;

namespace MultiAgent.Workflows.Tests;

/// <summary>Templates give the values of JSON as they are, and are bounded.</summary>
public sealed class TemplateTests
{
    private static readonly WorkflowScope Scope = new()
    {
        Inputs = Json("""{"n": 10, "big": 9007199254740993, "huge": 123456789012345678901234567890.5, "exp": 1e-40, "price": 12.50, "none": null, "yes": true, "name": "Ana <a>", "list": [1, "x", null, {"k": [2]}], "o": {"a": {"b": "c"}}, "empty": {}}"""),
        RunId = "run_1",
        Step = id => id == "done" ? new StepResult("completed", Json("""{"total": 150.75, "items": [{"sku": "a"}, {"sku": "b"}]}""")) : id == "bad" ? new StepResult("failed", Error: "no luck") : null,
        Now = new DateTimeOffset(2026, 3, 1, 12, 0, 0, TimeSpan.Zero),
    };

    [Theory]
    [InlineData("{{ inputs.n }}", "10")]
    [InlineData("{{ inputs.big }}", "9007199254740993")]
    [InlineData("{{ inputs.huge }}", "123456789012345678901234567890.5")]
    [InlineData("{{ inputs.exp }}", "1e-40")]
    [InlineData("{{ inputs.price }}", "12.50")]
    [InlineData("{{ inputs.none }}", "null")]
    [InlineData("{{ inputs.missing.deeper }}", "null")]
    [InlineData("{{ inputs.yes }}", "true")]
    [InlineData("{{ inputs.name }}", "\"Ana <a>\"")]
    [InlineData("{{ inputs.list }}", """[1,"x",null,{"k":[2]}]""")]
    [InlineData("{{ inputs.list[3].k[0] }}", "2")]
    [InlineData("{{ inputs.o }}", """{"a":{"b":"c"}}""")]
    [InlineData("{{ inputs['o']['a'].b }}", "\"c\"")]
    [InlineData("{{ inputs.n | plus: 0.5 }}", "10.5")]
    [InlineData("{{ steps.done.output.items | map: 'sku' }}", """["a","b"]""")]
    [InlineData("{{ steps.done.output.items.size }}", "2")]
    [InlineData("{{ steps.done.status }}", "\"completed\"")]
    [InlineData("{{ steps.bad.error }}", "\"no luck\"")]
    [InlineData("{{ steps.later.output }}", "null")]
    [InlineData("{{ run.id }}", "\"run_1\"")]
    [InlineData("  {{ inputs.n }}", "\"  10\"")]
    [InlineData("{{ inputs.n }} of {{ inputs.price }}", "\"10 of 12.5\"")]
    [InlineData("{{ inputs.o }}!", "\"{\\\"a\\\":{\\\"b\\\":\\\"c\\\"}}!\"")]
    [InlineData("{{ inputs.list | json }}", "\"[1,\\\"x\\\",null,{\\\"k\\\":[2]}]\"")]
    [InlineData("{{ '[1, {\"a\": 2}]' | from_json }}", """[1,{"a":2}]""")]
    [InlineData("{{ 'now' | date: '%Y-%m-%d' }}", "\"2026-03-01\"")]
    public void Value_OfAnExpression_KeepsItsTypeAndDigits(string template, string expected)
    {
        JsonElement value = Transform(template).Evaluate(Scope);

        Assert.True(JsonElement.DeepEquals(Json(expected), value), value.GetRawText());
        if (!expected.StartsWith('"')) Assert.Equal(expected.Replace(" ", ""), value.GetRawText());
    }

    [Theory]
    [InlineData("inputs.n > 9", true)]
    [InlineData("inputs.n > 10", false)]
    [InlineData("steps.done.output.total >= 150.75 and inputs.yes", true)]
    [InlineData("steps.later.output", false)]
    [InlineData("inputs.none == nil", true)]
    [InlineData("inputs.missing", false)]
    [InlineData("inputs.name contains 'Ana'", true)]
    [InlineData("inputs.list contains 'x'", true)]
    [InlineData("inputs.o contains 'a'", true)]
    [InlineData("inputs.empty == empty", true)]
    [InlineData("steps.bad.status == 'failed'", true)]
    [InlineData("(inputs.n == 1 or inputs.n == 10) and inputs.price < 13", true)]
    [InlineData("inputs.big == 9007199254740993", true)]
    [InlineData("inputs.big == 9007199254740992", false)]
    [InlineData("'steps' == \"steps\"", true)]
    public void Condition_OverTheScope_Holds(string condition, bool expected)
    {
        WorkflowDefinition workflow = Read($"- {{id: x, type: transform, output: 1, when: {JsonSerializer.Serialize(condition)}}}");

        Assert.Equal(expected, workflow.ById["x"].When!.Evaluate(Scope));
    }

    [Fact]
    public void Scope_WithLocals_IsAnotherScope()
    {
        WorkflowDefinition workflow = Read("""
            - id: each
              type: map
              over: "{{ inputs.list }}"
              as: thing
              steps:
                - {id: x, type: transform, output: {at: "{{ index }}", what: "{{ thing }}"}}
            """);
        var step = (TransformStep)workflow.ById["x"];

        JsonElement value = step.Output.Evaluate(Scope.With("thing", Json("[1.0]")).With("index", 3));

        Assert.Equal("""{"at":3,"what":[1.0]}""", value.GetRawText());
        Assert.Empty(Scope.Locals);
    }

    [Theory]
    [InlineData("{{ 1 | divided_by: 0 }}", "zero")]
    [InlineData("{{ inputs.name | from_json }}", "not JSON")]
    [InlineData("{{ steps.done }}", "Name a member")]
    [InlineData("{% for a in (1..9999) %}{% for b in (1..9999) %}{{ b }}{% endfor %}{% endfor %}", "steps")]
    public void Evaluate_OfWhatCannotBe_SaysWhereAndWhy(string template, string expected)
    {
        var e = Assert.Throws<WorkflowTemplateException>(() => Transform(template).Evaluate(Scope));

        Assert.Equal("x", e.StepId);
        Assert.Equal("steps[1].output", e.Path);
        Assert.Contains("Step 'x', steps[1].output: ", e.Message, StringComparison.Ordinal);
        Assert.Contains(expected, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Evaluate_OfABomb_StopsBeforeItGrows()
    {
        string doubling = "{% assign s = 'xxxxxxxxxxxxxxxx' %}" + string.Concat(Enumerable.Repeat("{% assign s = s | append: s %}", 60)) + "{{ s | size }}";
        string replacing = "{% assign s = 'xxxxxxxxxxxxxxxx' %}" + string.Concat(Enumerable.Repeat("{% assign s = s | append: s %}", 14)) + "{{ s | replace: 'x', s | size }}";
        string lists = "{% assign s = 'x,x' | split: ',' %}" + string.Concat(Enumerable.Repeat("{% assign s = s | concat: s %}", 60)) + "{{ s | size }}";
        string escapes = "{{ '\"' " + string.Concat(Enumerable.Repeat("| json ", 90)) + "}}";
        string output = "{% assign s = 'xxxxxxxxxxxxxxxx' %}" + string.Concat(Enumerable.Repeat("{% assign s = s | append: s %}", 15)) + "{% for a in (1..5000) %}{{ s }}{% endfor %}";

        foreach (string bomb in (string[])[doubling, replacing, lists, escapes, output])
            Assert.Contains("more than", Assert.Throws<WorkflowTemplateException>(() => Transform(bomb).Evaluate(Scope)).Message, StringComparison.Ordinal);
    }

    private static ValueTemplate Transform(string template) => ((TransformStep)Read($"- {{id: x, type: transform, output: {JsonSerializer.Serialize(template)}}}").ById["x"]).Output;

    private static WorkflowDefinition Read(string steps)
    {
        string done = "- {id: done, type: transform, output: 1}\n- {id: bad, type: transform, output: 1}\n- {id: later, type: transform, output: 1}\n";
        // The steps that the scope knows stand in front, inside of one, so that paths stay short.
        string source = $"apiVersion: maap/v1\nkind: Workflow\nname: t\nsteps:\n- id: before\n  type: switch\n  cases:\n  - when: true\n    steps:\n{Indent(done, 4)}{steps}";
        WorkflowReading reading = WorkflowReader.Read(source);
        Assert.True(reading.Problems.Count == 0, string.Join('\n', reading.Problems));
        return reading.Definition!;
    }

    private static string Indent(string text, int spaces) => string.Concat(text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => new string(' ', spaces) + l + "\n"));

    private static JsonElement Json(string json) => JsonDocument.Parse(json).RootElement;
}
