using System.Text.Json;
using Microsoft.Extensions.Time.Testing;
using MultiAgent.Models.Providers;
using MultiAgent.Models.Providers.Local;

namespace MultiAgent.Models.Tests.Providers.Local;

public sealed class LocalChatTests
{
    private const string Passages = "You are a helpful assistant. Answer from the passages. [1] Refunds are paid within 14 days of the request. [2] Enterprise customers have a dedicated manager. [3] The office in Hue is open from 8 to 17.";

    private readonly LocalProvider _provider = new(new FakeTimeProvider());

    [Theory]
    [InlineData("How many days until a refund is paid?", "14 days")]
    [InlineData("When is the office in Hue open?", "8 to 17")]
    [InlineData("Do enterprise customers get a manager?", "dedicated manager")]
    public async Task Question_AboutPassages_IsAnsweredInTheirWords(string question, string expected) =>
        Assert.Contains(expected, await AskAsync(("system", Passages), ("user", question)));

    [Theory]
    [InlineData("Thời hạn hoàn tiền là bao lâu?")]
    [InlineData("thoi han hoan tien")]
    public async Task Question_Vietnamese_WithOrWithoutAccents_FindsThePassage(string question)
    {
        string answer = await AskAsync(("system", "Chính sách: hoàn tiền được thực hiện trong thời hạn 14 ngày. Văn phòng tại Huế mở cửa lúc 8 giờ."), ("user", question));

        Assert.Contains("14 ngày", answer);
        Assert.DoesNotContain("Văn phòng", answer);
    }

    [Fact]
    public async Task Question_AboutEarlierMessage_IsAnsweredFromIt() =>
        Assert.Contains("Linh", await AskAsync(("user", "My name is Linh."), ("assistant", "Noted."), ("user", "What is my name?")));

    [Fact]
    public async Task Question_WithContextInTheSameMessage_IsAnsweredFromIt() =>
        Assert.Contains("1802", await AskAsync(("user", "Context:\nThe citadel was begun in 1804.\nThe dynasty was founded in 1802.\nThe river is wide and calm.\n\nQuestion: When was the dynasty founded?")));

    [Theory]
    [InlineData("Who are you?", "local model")]
    [InlineData("What model is this?", "local model")]
    [InlineData("Bạn là ai?", "mô hình local")]
    [InlineData("What is the capital of Mongolia?", "local model")]
    [InlineData("Thủ đô của Mông Cổ là gì?", "mô hình local")]
    [InlineData("hello", "local model")]
    [InlineData("", "local model")]
    public async Task Question_NothingToQuote_SaysThatItIsTheLocalModel(string question, string expected) =>
        Assert.Contains(expected, await AskAsync(("system", Passages), ("user", question)));

    [Fact]
    public async Task Question_AfterItsOwnSelfDescription_DoesNotQuoteThat()
    {
        string self = await AskAsync(("user", "Who are you?"));

        Assert.Contains("found nothing", await AskAsync(("user", "Who are you?"), ("assistant", self), ("user", "Which language model should a deterministic platform use?")));
    }

    [Fact]
    public async Task Summary_QuotesAtMostThreeSentences()
    {
        string answer = await AskAsync(("user", "Summarize this:\n" + string.Join(" ", Enumerable.Range(1, 40).Select(i => $"Report number {i} says the harvest of rice was good."))));

        Assert.InRange(answer.Split("Report").Length - 1, 1, 3);
    }

    [Fact]
    public async Task SameRequest_GivesTheSameAnswer()
    {
        string body = Body("", ("system", Passages), ("user", "How fast are refunds?"));

        Assert.Equal((await _provider.JsonAsync(Call(body))).Json.GetRawText(), (await _provider.JsonAsync(Call(body))).Json.GetRawText());
    }

    [Fact]
    public async Task MaxTokens_CutsWithLength()
    {
        (_, JsonElement body) = await _provider.JsonAsync(Call(Body(""","max_tokens":3""", ("user", "Who are you?"))));

        JsonElement choice = body.GetProperty("choices")[0];
        Assert.Equal("length", choice.GetProperty("finish_reason").GetString());
        Assert.Equal("I am the", choice.GetProperty("message").GetProperty("content").GetString());
        Assert.Equal(3, body.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
    }

    [Theory]
    [InlineData("\" local\"")]
    [InlineData("[\"zzz\",\" local\"]")]
    public async Task Stop_CutsBeforeTheSequence(string stop)
    {
        (_, JsonElement body) = await _provider.JsonAsync(Call(Body($",\"stop\":{stop}", ("user", "Who are you?"))));

        Assert.Equal(("I am the", "stop"), (body.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString(), body.GetProperty("choices")[0].GetProperty("finish_reason").GetString()));
    }

    [Fact]
    public async Task SeveralChoices_AreAllGivenAndCounted()
    {
        (_, JsonElement one) = await _provider.JsonAsync(Call(Body("", ("user", "Who are you?"))));
        (_, JsonElement three) = await _provider.JsonAsync(Call(Body(""","n":3""", ("user", "Who are you?"))));

        Assert.Equal([0, 1, 2], three.GetProperty("choices").EnumerateArray().Select(c => c.GetProperty("index").GetInt32()));
        Assert.Equal(3 * one.GetProperty("usage").GetProperty("completion_tokens").GetInt32(), three.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
    }

    [Fact]
    public async Task Stream_SaysTheSameInWords()
    {
        string whole = await AskAsync(("system", Passages), ("user", "How many days until a refund is paid?"));

        List<JsonElement> chunks = Calls.Chunks(await _provider.StreamAsync(Call(Body(""","stream":true""", ("system", Passages), ("user", "How many days until a refund is paid?")))));

        Assert.Equal(whole, Calls.Content(chunks));
        Assert.Equal(whole.Split(' ').Length, chunks.Count - 3);
    }

    [Theory]
    [InlineData("""{"model":"m"}""", "messages")]
    [InlineData("""{"model":"m","messages":[{"role":"wizard","content":"x"}]}""", "messages[0].role")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"x"}],"n":0}""", "n")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"x"}],"n":1000000}""", "n")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":0}""", "max_tokens")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"x"}],"tool_choice":"required"}""", "tool_choice")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_schema"}}""", "response_format.json_schema.schema")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"\udc00"}]}""", null)]
    public async Task BadRequest_Answers400(string json, string? param)
    {
        (int status, JsonElement body) = await _provider.JsonAsync(Call(json));

        Assert.Equal(400, status);
        Calls.AssertError(body, "invalid_value");
        Assert.Equal(param, body.GetProperty("error").GetProperty("param").GetString());
    }

    [Fact]
    public async Task HugeContext_IsAnsweredAllTheSame()
    {
        string filler = string.Concat(Enumerable.Range(0, 20_000).Select(i => $"Line {i} tells of nothing in particular. "));

        Assert.Contains("42 euros", await AskAsync(("system", filler + "The ticket to Hue costs 42 euros."), ("user", "What does the ticket cost?")));
    }

    private async Task<string> AskAsync(params (string Role, string Content)[] messages)
    {
        (int status, JsonElement body) = await _provider.JsonAsync(Call(Body("", messages)));
        Assert.Equal(200, status);
        return body.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!;
    }

    private static string Body(string more, params (string Role, string Content)[] messages) =>
        $$"""{"model":"local/assistant","messages":{{JsonSerializer.Serialize(messages.Select(m => new { role = m.Role, content = m.Content }))}}{{more}}}""";

    private static ProviderCall Call(string json) => Calls.Call(Calls.Deployment("local", "assistant"), json);
}
