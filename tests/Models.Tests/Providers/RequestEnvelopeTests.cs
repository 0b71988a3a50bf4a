using System.Text;
using System.Text.Json;
using MultiAgent.Models.Providers;

namespace MultiAgent.Models.Tests.Providers;

public sealed class RequestEnvelopeTests
{
    [Fact]
    public void Parse_Chat_FindsMembersAndPositions()
    {
        const string Body = """ { "messages":[{"role":"user","content":"model"},{}], "model" : "openai\/gpt", "stream":true,"stream_options": {"include_usage":true,"x":[1]}, "user":"u" }""";

        RequestEnvelope envelope = Parse(Body);

        Assert.Equal(("openai/gpt", true, true, 2, true, "u"), (envelope.Model, envelope.Stream, envelope.IncludeUsage, envelope.ItemCount, envelope.HasInput, envelope.User));
        Assert.Equal("\"openai\\/gpt\"", Body.Substring(envelope.ModelSpan.Start, envelope.ModelSpan.Length));
        Assert.Equal("""{"include_usage":true,"x":[1]}""", Body.Substring(envelope.StreamOptionsSpan.Start, envelope.StreamOptionsSpan.Length));
        Assert.Equal('{', Body[envelope.ObjectStart - 1]);
    }

    [Fact]
    public void Parse_PositionsAreInBytes()
    {
        byte[] body = Encoding.UTF8.GetBytes("""{"user":"Nguyễn","model":"mô-hình","messages":[]}""");

        (int start, int length) = RequestEnvelope.Parse(body, ModelOperation.Chat).ModelSpan;

        Assert.Equal("\"mô-hình\"", Encoding.UTF8.GetString(body.AsSpan(start, length)));
    }

    [Theory]
    [InlineData("""{"model":"cheap","model":"dear"}""", "model")]
    [InlineData("""{"model":"a","\u006dodel":"b"}""", "model")]
    [InlineData("""{"model":"a","stream_options":{},"stream_options":{"include_usage":true}}""", "stream_options")]
    public void Parse_MemberTwice_IsRefusedSinceTheProviderMightReadTheOther(string body, string param) =>
        Assert.Equal(param, Assert.Throws<EnvelopeException>(() => Parse(body)).Param);

    [Fact]
    public void Parse_EscapedName_IsTheSameMember() => Assert.Equal("a", Parse("""{"\u006dodel":"a"}""").Model);

    [Fact]
    public void Parse_NestedModel_IsNotTheModel() => Assert.Equal("a", Parse("""{"metadata":{"model":"x"},"model":"a","tools":[{"model":"y"}]}""").Model);

    [Theory]
    [InlineData("")]
    [InlineData("   ")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("\"model\"")]
    [InlineData("{")]
    [InlineData("{\"model\":\"a\"")]
    [InlineData("{\"model\":\"a\",}")]
    [InlineData("{\"model\":\"a\"} x")]
    [InlineData("{\"model\":\"a\"}{\"model\":\"b\"}")]
    [InlineData("{'model':'a'}")]
    [InlineData("{\"model\":\"a\",\"x\":NaN}")]
    [InlineData("// c\n{\"model\":\"a\"}")]
    public void Parse_NotOneObject_Throws(string body) => Assert.Throws<EnvelopeException>(() => Parse(body));

    [Theory]
    [InlineData("""{"messages":[]}""", "model")]
    [InlineData("""{"model":""}""", "model")]
    [InlineData("""{"model":null}""", "model")]
    [InlineData("""{"model":7}""", "model")]
    [InlineData("""{"model":"a","stream":"yes"}""", "stream")]
    [InlineData("""{"model":"a","stream_options":[]}""", "stream_options")]
    [InlineData("""{"model":"a","messages":"hi"}""", "messages")]
    public void Parse_WrongMember_NamesIt(string body, string param) => Assert.Equal(param, Assert.Throws<EnvelopeException>(() => Parse(body)).Param);

    [Theory]
    [InlineData("{\"model\":\"\\ud800\"}")]
    [InlineData("{\"model\":\"a\",\"user\":\"\\ud800\"}")]
    public void Parse_LoneSurrogate_Throws(string body) => Assert.Throws<EnvelopeException>(() => Parse(body));

    [Fact]
    public void Parse_InvalidUtf8_Throws() =>
        Assert.Throws<EnvelopeException>(() => RequestEnvelope.Parse([.. "{\"model\":\""u8, 0xff, 0xfe, .. "\"}"u8], ModelOperation.Chat));

    [Fact]
    public void Parse_TooDeep_SaysSo()
    {
        string Nested(int levels) => $$"""{"model":"a","x":{{new string('[', levels)}}{{new string(']', levels)}}}""";

        Assert.Equal("a", Parse(Nested(63)).Model);
        Assert.True(Assert.Throws<EnvelopeException>(() => Parse(Nested(64))).TooDeep);
        Assert.True(Assert.Throws<EnvelopeException>(() => Parse(Nested(100_000))).TooDeep);
    }

    [Fact]
    public void Parse_Huge_CountsAll()
    {
        string many = string.Join(',', Enumerable.Repeat("""{"role":"user","content":"0123456789"}""", 100_000));

        Assert.Equal(100_000, Parse($$"""{"messages":[{{many}}],"model":"a"}""").ItemCount);
    }

    [Fact]
    public void Parse_Embeddings_TakesTextAndArrays()
    {
        Assert.True(RequestEnvelope.Parse("""{"model":"a","input":"x"}"""u8, ModelOperation.Embeddings).HasInput);
        Assert.Equal(2, RequestEnvelope.Parse("""{"model":"a","input":["x","y"]}"""u8, ModelOperation.Embeddings).ItemCount);
        Assert.False(RequestEnvelope.Parse("""{"model":"a","input":null}"""u8, ModelOperation.Embeddings).HasInput);
    }

    [Fact]
    public void Parse_EmbeddingsInputIsAnObject_ThrowsAndReadsNothingInside() =>
        Assert.Equal("input", Assert.Throws<EnvelopeException>(() => RequestEnvelope.Parse("""{"input":{"model":"inner"},"model":"a"}"""u8, ModelOperation.Embeddings)).Param);

    private static RequestEnvelope Parse(string body) => RequestEnvelope.Parse(Encoding.UTF8.GetBytes(body), ModelOperation.Chat);
}
