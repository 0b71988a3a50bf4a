using System.Text.Json;

namespace MultiAgent.Workflows.Tests;

public sealed class JsonShapeTests
{
    [Theory]
    [InlineData("""{"$ref":"#/$defs/A","$defs":{"A":{"$ref":"#/$defs/A"}}}""", "circle")]
    [InlineData("""{"allOf":[{"$ref":"#"}]}""", "circle")]
    [InlineData("""{"definitions":{"A":{"anyOf":[{"not":{"$ref":"#/definitions/B"}}]},"B":{"$ref":"#/definitions/A"}}}""", "circle")]
    [InlineData("""{"properties":{"a":{"$ref":"#/$defs/Nothing"}}}""", "leads nowhere")]
    [InlineData("""{"properties":{"a":{"$ref":"https://example.com/s.json"}}}""", "begin with '#'")]
    public void References_InACircleOrToNothing_AreRefused(string schema, string says)
    {
        Assert.Null(JsonShape.TryParse(JsonSerializer.Deserialize<JsonElement>(schema), out string? error));
        Assert.Contains(says, error);
    }

    [Theory]
    [InlineData("""{"value":1,"children":[{"value":2,"children":[]}]}""", true)]
    [InlineData("""{"value":1,"children":[{"value":"2"}]}""", false)]
    public void Schema_ThatHoldsItself_IsChecked(string value, bool fits)
    {
        const string Tree = """{"$ref":"#/$defs/Node","$defs":{"Node":{"type":"object","required":["value"],"properties":{"value":{"type":"integer"},"children":{"type":"array","items":{"allOf":[{"$ref":"#/$defs/Node"}]}}}}}}""";
        JsonShape shape = JsonShape.TryParse(JsonSerializer.Deserialize<JsonElement>(Tree), out string? error)!;
        Assert.Null(error);
        Assert.Equal(fits, shape.Check(JsonSerializer.Deserialize<JsonElement>(value)).Count == 0);
    }
}
