using System.Text.Json;
using Microsoft.Extensions.Time.Testing;
using MultiAgent.Models.Providers.Local;
using NJsonSchema;

namespace MultiAgent.Models.Tests.Providers.Local;

public sealed class LocalSchemaTests
{
    private readonly LocalProvider _provider = new(new FakeTimeProvider());

    [Theory]
    [InlineData("""{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"integer"}},"required":["a","b"],"additionalProperties":false}""")]
    [InlineData("""{"type":"object","properties":{"score":{"type":"number","minimum":0,"maximum":1},"n":{"type":"integer","exclusiveMinimum":5,"maximum":7},"m":{"type":"integer","multipleOf":4,"minimum":9}},"required":["score","n","m"]}""")]
    [InlineData("""{"type":"object","properties":{"x":{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":0.05}},"required":["x"]}""")]
    [InlineData("""{"type":"object","properties":{"s":{"type":"string","minLength":300},"t":{"type":"string","maxLength":4},"e":{"enum":["red","green",3,null]},"c":{"const":{"k":[1]}}},"required":["s","t","e","c"]}""")]
    [InlineData("""{"type":"object","properties":{"tags":{"type":"array","items":{"type":"string","minLength":2},"minItems":5,"maxItems":6},"points":{"type":"array","items":{"type":"object","properties":{"x":{"type":"number"}},"required":["x"]},"minItems":2}},"required":["tags","points"]}""")]
    [InlineData("""{"type":"object","properties":{"u":{"type":"array","uniqueItems":true,"minItems":4,"items":{"type":"integer"}}},"required":["u"]}""")]
    [InlineData("""{"type":"object","properties":{"v":{"anyOf":[{"type":"integer","minimum":3},{"type":"null"}]},"w":{"oneOf":[{"type":"boolean"},{"type":"string"}]},"z":{"type":["null","string"]}},"required":["v","w","z"]}""")]
    [InlineData("""{"$defs":{"person":{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":0}},"required":["name","age"]}},"type":"object","properties":{"p":{"$ref":"#/$defs/person"}},"required":["p"]}""")]
    [InlineData("""{"definitions":{"node":{"type":"object","properties":{"v":{"type":"integer"},"next":{"$ref":"#/definitions/node"},"all":{"type":"array","items":{"$ref":"#/definitions/node"}}},"required":["v"]}},"type":"object","properties":{"list":{"$ref":"#/definitions/node"}},"required":["list"]}""")]
    [InlineData("""{"allOf":[{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]},{"properties":{"b":{"type":"boolean"}},"required":["b"]}]}""")]
    [InlineData("""{"type":"object","properties":{"d":{"type":"string","format":"date"},"t":{"type":"string","format":"date-time"},"m":{"type":"string","format":"email"},"u":{"type":"string","format":"uri"},"g":{"type":"string","format":"uuid"}},"required":["d","t","m","u","g"]}""")]
    [InlineData("""{"type":"object","required":["undescribed"]}""")]
    [InlineData("""{"type":"array","items":{"type":"integer"},"minItems":3}""")]
    [InlineData("{}")]
    public async Task JsonSchema_Answer_Fits(string schema)
    {
        JsonSchema check = await JsonSchema.FromJsonAsync(schema);
        foreach (string question in (string[])["Extract: Lan is 42 years old, red, id A-7, see https://example.com", "xin chào", "", "-5 and 1000000 \"quoted\""])
            Assert.Empty(check.Validate(await AnswerAsync(schema, question)));
    }

    [Fact]
    public async Task JsonSchema_TakesValuesFromTheText()
    {
        const string Schema = """{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"},"color":{"type":"string","enum":["blue","red"]},"email":{"type":"string"},"urgent":{"type":"boolean"}},"required":["name","age","color","email","urgent"]}""";

        JsonElement answer = JsonDocument.Parse(await AnswerAsync(Schema, "Extract the fields: Mai Anh, age 31, likes red, mail mai@example.com, not urgent, 7 cats.")).RootElement;

        Assert.Equal("""{"name":"Mai Anh","age":31,"color":"red","email":"mai@example.com","urgent":false}""", answer.GetRawText());
    }

    [Fact]
    public async Task JsonObject_AnswerIsAnObject() =>
        Assert.Equal(JsonValueKind.Object, JsonDocument.Parse(await ContentAsync("hi", """{"type":"json_object"}""")).RootElement.ValueKind);

    [Fact]
    public async Task SelfReferringSchema_EndsInTime()
    {
        string properties = string.Join(',', Enumerable.Range(0, 20).Select(i => $"\"p{i}\":" + """{"$ref":"#"}"""));
        string required = string.Join(',', Enumerable.Range(0, 20).Select(i => $"\"p{i}\""));

        string answer = await AnswerAsync($$"""{"type":"object","properties":{{{properties}}},"required":[{{required}}]}""", "x").WaitAsync(Calls.Patience);

        Assert.Equal(JsonValueKind.Object, JsonDocument.Parse(answer, new JsonDocumentOptions { MaxDepth = 200 }).RootElement.ValueKind);
    }

    private Task<string> AnswerAsync(string schema, string question) => ContentAsync(question, "{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"r\",\"schema\":" + schema + "}}");

    private async Task<string> ContentAsync(string question, string format)
    {
        string body = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":" + JsonSerializer.Serialize(question) + "}],\"response_format\":" + format + "}";
        (int status, JsonElement json) = await _provider.JsonAsync(Calls.Call(Calls.Deployment("local", "assistant"), body));
        Assert.Equal(200, status);
        return json.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!;
    }
}
