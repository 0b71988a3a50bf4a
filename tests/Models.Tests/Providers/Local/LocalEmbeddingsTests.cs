using System.Runtime.InteropServices;
using System.Text.Json;
using Microsoft.Extensions.Time.Testing;
using MultiAgent.Models.Providers;
using MultiAgent.Models.Providers.Local;

namespace MultiAgent.Models.Tests.Providers.Local;

public sealed class LocalEmbeddingsTests
{
    private readonly LocalProvider _provider = new(new FakeTimeProvider());

    [Fact]
    public async Task Base64_IsTheSameVectorAsFloat()
    {
        float[] floats = Floats((await EmbedAsync("""{"model":"m","input":"Cố đô Huế"}""")).GetProperty("data")[0].GetProperty("embedding"));
        byte[] bytes = (await EmbedAsync("""{"model":"m","input":"Cố đô Huế","encoding_format":"base64"}""")).GetProperty("data")[0].GetProperty("embedding").GetBytesFromBase64();

        Assert.Equal(256, floats.Length);
        Assert.Equal(floats, MemoryMarshal.Cast<byte, float>(bytes).ToArray());
        Assert.Equal(1, floats.Sum(f => (double)f * f), 5);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(64)]
    [InlineData(1536)]
    public async Task Dimensions_AreHonoured(int dimensions)
    {
        float[] vector = Floats((await EmbedAsync($$"""{"model":"m","input":"some words here","dimensions":{{dimensions}}}""")).GetProperty("data")[0].GetProperty("embedding"));

        Assert.Equal(dimensions, vector.Length);
        Assert.Equal(1, vector.Sum(f => (double)f * f), 5);
    }

    [Fact]
    public async Task Batch_KeepsOrderAndCounts()
    {
        JsonElement body = await EmbedAsync("""{"model":"m","input":["hello world","xin chào","hello world"]}""");

        Assert.Equal([0, 1, 2], body.GetProperty("data").EnumerateArray().Select(d => d.GetProperty("index").GetInt32()));
        Assert.Equal(body.GetProperty("data")[0].GetProperty("embedding").GetRawText(), body.GetProperty("data")[2].GetProperty("embedding").GetRawText());
        Assert.NotEqual(body.GetProperty("data")[0].GetProperty("embedding").GetRawText(), body.GetProperty("data")[1].GetProperty("embedding").GetRawText());
        int tokens = body.GetProperty("usage").GetProperty("prompt_tokens").GetInt32();
        Assert.True(tokens > 5);
        Assert.Equal(tokens, body.GetProperty("usage").GetProperty("total_tokens").GetInt32());
    }

    [Theory]
    [InlineData("[15339,1917]")]
    [InlineData("[[15339,1917]]")]
    public async Task TokenIds_AreTheTextThatTheyStandFor(string input)
    {
        JsonElement body = await EmbedAsync("{\"model\":\"m\",\"input\":" + input + "}");

        Assert.Equal(Floats((await EmbedAsync("""{"model":"m","input":"hello world"}""")).GetProperty("data")[0].GetProperty("embedding")), Floats(body.GetProperty("data")[0].GetProperty("embedding")));
        Assert.Equal(2, body.GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
    }

    [Fact]
    public void Embed_RelatedTexts_LieNearer()
    {
        float[] query = LocalEmbeddings.Embed("refund policy for orders", 256);

        double near = Dot(query, LocalEmbeddings.Embed("Our policy: orders are refunded within 14 days", 256));
        double far = Dot(query, LocalEmbeddings.Embed("The weather in Hue is sunny today", 256));

        Assert.True(near > far + 0.2, $"{near} {far}");
        Assert.True(Dot(LocalEmbeddings.Embed("thời tiết Huế", 256), LocalEmbeddings.Embed("thoi tiet Hue", 256)) > 0.99);
    }

    [Fact]
    public void Embed_IsStableAcrossVersions()
    {
        // An index that is stored must still fit the vectors of tomorrow: if this changes, indexes must be rebuilt.
        float[] vector = LocalEmbeddings.Embed("hello", 4);

        Assert.Equal(s_hello, vector.Select(v => Math.Round(v, 4)));
    }

    [Theory]
    [InlineData("\"\"", "input")]
    [InlineData("[]", "input")]
    [InlineData("[\"a\",\"\"]", "input[1]")]
    [InlineData("[[]]", "input[0]")]
    [InlineData("null", "input")]
    [InlineData("[1,\"a\"]", "input")]
    [InlineData("[-1]", "input")]
    [InlineData("[99999999]", "input")]
    [InlineData("\"a\",\"dimensions\":0", "dimensions")]
    [InlineData("\"a\",\"dimensions\":1.5", "dimensions")]
    [InlineData("\"a\",\"encoding_format\":\"hex\"", "encoding_format")]
    public async Task BadInput_Answers400(string input, string param)
    {
        (int status, JsonElement body) = await _provider.JsonAsync(Call("{\"model\":\"m\",\"input\":" + input + "}"));

        Assert.Equal(400, status);
        Calls.AssertError(body, "invalid_value");
        Assert.Equal(param, body.GetProperty("error").GetProperty("param").GetString());
    }

    [Fact]
    public async Task MoreThan2048Inputs_Answers400()
    {
        string Many(int count) => "{\"model\":\"m\",\"dimensions\":2,\"input\":[" + string.Join(',', Enumerable.Repeat("\"a\"", count)) + "]}";

        Assert.Equal(200, (await _provider.JsonAsync(Call(Many(2048)))).Status);
        Assert.Equal(400, (await _provider.JsonAsync(Call(Many(2049)))).Status);
    }

    private static readonly double[] s_hello = [0, 0, 0.2873, 0.9578];

    private async Task<JsonElement> EmbedAsync(string json)
    {
        (int status, JsonElement body) = await _provider.JsonAsync(Call(json));
        Assert.Equal(200, status);
        return body;
    }

    private static ProviderCall Call(string json) => Calls.Call(Calls.Deployment("local", "embeddings"), json, ModelOperation.Embeddings);

    private static float[] Floats(JsonElement array) => [.. array.EnumerateArray().Select(v => v.GetSingle())];

    private static double Dot(float[] a, float[] b) => a.Zip(b, (x, y) => (double)x * y).Sum();
}
