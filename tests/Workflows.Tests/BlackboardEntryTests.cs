using System.Text.Json;

namespace MultiAgent.Workflows.Tests;

/// <summary>How writes to an entry of a blackboard are merged.</summary>
public sealed class BlackboardEntryTests
{
    [Theory]
    [InlineData("replace", "string", "\"a\"", "\"b\"", "\"b\"")]
    [InlineData("append", "array", null, "1", "[1]")]
    [InlineData("append", "array", "[1]", "[2,[3]]", "[1,2,[3]]")]
    [InlineData("append", "array", "[1]", "{\"a\":1}", "[1,{\"a\":1}]")]
    [InlineData("sum", "number", null, "1.5", "1.5")]
    [InlineData("sum", "number", "0.1", "0.2", "0.3")]
    [InlineData("max", "integer", "3", "2", "3")]
    [InlineData("min", "integer", "3", "2", "2")]
    [InlineData("merge", "object", "{\"a\":1,\"b\":{\"c\":1}}", "{\"b\":{\"d\":2},\"e\":null}", "{\"a\":1,\"b\":{\"d\":2},\"e\":null}")]
    [InlineData("merge", "object", null, "{\"a\":1}", "{\"a\":1}")]
    public void Combine_OfWhatFits_IsTheMerge(string merge, string type, string? before, string given, string after)
    {
        JsonElement value = Entry(merge, type).Combine(before is null ? null : Json(before), Json(given), out string? problem);

        Assert.Null(problem);
        Assert.Equal(after, value.GetRawText());
    }

    [Theory]
    [InlineData("replace", "string", "\"a\"", "1", "StringExpected")]
    [InlineData("sum", "integer", "1", "\"1\"", "a number")]
    [InlineData("sum", "integer", "1", "0.5", "IntegerExpected")]
    [InlineData("sum", "number", "79228162514264337593543950335", "1", "too many digits")]
    [InlineData("sum", "number", "1", "1e99", "a number of at most 28 digits")]
    [InlineData("merge", "object", "{}", "[1]", "an object")]
    public void Combine_OfWhatDoesNotFit_SaysWhy(string merge, string type, string before, string given, string why)
    {
        Entry(merge, type).Combine(Json(before), Json(given), out string? problem);

        Assert.Contains(why, problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Combine_WithTheFirstWrite_BeginsAtTheInitialValue()
    {
        BlackboardEntry entry = Entry("sum", "number", "10");

        Assert.Equal("15", entry.Combine(null, Json("5"), out _).GetRawText());
        Assert.Equal("25", entry.Combine(Json("20"), Json("5"), out _).GetRawText());
    }

    private static BlackboardEntry Entry(string merge, string type, string? initial = null) => WorkflowReader.Read($$$"""
        apiVersion: maap/v1
        kind: Workflow
        name: t
        blackboard: {e: {schema: {type: {{{type}}}}, merge: {{{merge}}}{{{(initial is null ? "" : $", initial: {initial}")}}}}}
        steps: [{id: a, type: wait, seconds: 1}]
        """).Definition!.Blackboard["e"];

    private static JsonElement Json(string text) => JsonDocument.Parse(text).RootElement;
}
