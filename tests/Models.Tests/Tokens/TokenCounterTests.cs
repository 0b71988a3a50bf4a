using System.Diagnostics;
using System.Text;
using MultiAgent.Models.Tokens;

namespace MultiAgent.Models.Tests.Tokens;

public sealed class TokenCounterTests
{
    [Theory]
    [InlineData("", "openai/gpt-4o", 0)]
    [InlineData("hello world", "openai/gpt-4o", 2)]
    [InlineData("hello world", "gpt-3.5-turbo", 2)]
    [InlineData("tiktoken is great!", "gpt-4", 6)]
    [InlineData("antidisestablishmentarianism", "gpt-4", 6)]
    [InlineData("antidisestablishmentarianism", "gpt-4o", 6)]
    [InlineData("お誕生日おめでとう", "gpt-4", 9)]
    [InlineData("お誕生日おめでとう", "gpt-4o", 8)]
    public void Count_KnownText_GivesKnownCount(string text, string model, int expected) => Assert.Equal(expected, TokenCounter.Count(text, model));

    [Fact]
    public void Count_OlderModel_UsesTheOlderVocabulary() =>
        Assert.True(TokenCounter.Count("Xin chào thế giới", "openai/gpt-4") > TokenCounter.Count("Xin chào thế giới", "openai/gpt-4o"));

    [Fact]
    public void Count_InPieces_EqualsTheWhole()
    {
        string sentence = "The quick brown fox jumps over the lazy dog. ";
        int one = TokenCounter.Count(sentence, "gpt-4o");

        // 200 sentences are many pieces; each sentence but the first begins where a piece may.
        Assert.InRange(TokenCounter.Count(string.Concat(Enumerable.Repeat(sentence, 200)), "gpt-4o"), 200 * (one - 1), 200 * one);
    }

    [Fact]
    public void Count_BeyondTheExactLimit_IsCloseToTheTruth()
    {
        string text = string.Concat(Enumerable.Range(0, 40_000).Select(i => $"word{i % 97} and more. "));
        Assert.True(text.Length > 2 * TokenCounter.ExactLimit);
        int exact = Enumerable.Range(0, 10).Sum(i => TokenCounter.Count(text.AsSpan(i * text.Length / 10, text.Length / 10), "gpt-4o"));

        Assert.InRange(TokenCounter.Count(text, "gpt-4o"), exact * 0.95, exact * 1.05);
    }

    [Fact]
    public void Count_OneEndlessWord_TakesNoEndlessTime()
    {
        // The tokenizer alone takes a quarter of a minute for this.
        string text = new('a', TokenCounter.ExactLimit);
        TokenCounter.Count("warm up", "gpt-4o");
        long started = Stopwatch.GetTimestamp();

        Assert.InRange(TokenCounter.Count(text, "gpt-4o"), 20_000, 30_000);
        Assert.True(Stopwatch.GetElapsedTime(started) < TimeSpan.FromSeconds(12));
    }

    [Fact]
    public void CountChatRequest_FollowsThePublishedFormula()
    {
        // OpenAI's cookbook: 3 per message, the tokens of role, content and name, 1 more for a name, 3 for the reply.
        const string Body = """{"model":"m","messages":[{"role":"system","content":"hello world"},{"role":"user","name":"bob","content":[{"type":"text","text":"hello world"}]}]}""";

        Assert.Equal(3 + (3 + 1 + 2) + (3 + 1 + 2 + 1 + 1), Count(Body));
    }

    [Fact]
    public void CountChatRequest_ImagesHaveAFixedPrice()
    {
        string Body(string image) => $$"""{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{{image}}}]}]}""";
        int none = Count("""{"messages":[{"role":"user","content":[]}]}""");

        Assert.Equal(none + 765, Count(Body("""{"url":"data:image/png;base64,AAAA"}""")));
        Assert.Equal(none + 85, Count(Body("""{"detail":"low","url":"https://h/i.png"}""")));
    }

    [Fact]
    public void CountChatRequest_ToolsAndCallsCount()
    {
        int bare = Count("""{"messages":[{"role":"user","content":"hi"}]}""");

        Assert.True(Count("""{"messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"get_weather","description":"Get it"}}]}""") > bare + 15);
        Assert.True(Count("""{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"w","arguments":"{}"}}]}]}""") > bare + 4);
    }

    [Theory]
    [InlineData("")]
    [InlineData("nonsense that is no JSON")]
    [InlineData("[1,2]")]
    [InlineData("""{"messages":"x"}""")]
    [InlineData("""{"messages":[1,null,"x",[2]]}""")]
    [InlineData("""{"messages":[{"role":1,"content":{"a":[]},"tool_calls":3}]}""")]
    [InlineData("""{"messages":[{"role":"user","content":"\ud800"}]}""")]
    public void CountChatRequest_Malformed_DoesNotThrow(string body) => Assert.InRange(Count(body), 0, 20);

    [Theory]
    [InlineData("""{"input":"hello world"}""", 2)]
    [InlineData("""{"input":["hello world","hello"],"user":"hello"}""", 3)]
    [InlineData("""{"input":[1,2,3]}""", 3)]
    [InlineData("""{"input":[[1,2],[3]]}""", 3)]
    public void CountEmbeddingsRequest_CountsTheInput(string body, int expected) =>
        Assert.Equal(expected, TokenCounter.CountEmbeddingsRequest(Encoding.UTF8.GetBytes(body), "text-embedding-3-small"));

    [Theory]
    [InlineData(0, "", 0)]
    [InlineData(1, "hello", 1)]
    [InlineData(2, "hello world", 2)]
    [InlineData(99, "hello world", 2)]
    public void Truncate_KeepsSoManyTokens(int most, string expected, int tokens)
    {
        Assert.Equal(expected, TokenCounter.Truncate("hello world", most, "gpt-4o", out int counted));
        Assert.Equal(tokens, counted);
    }

    [Fact]
    public void Truncate_LongText_CutsWithinTheLimitAndBetweenCharacters()
    {
        string text = string.Concat(Enumerable.Repeat("😀🎉 làm việc ", 2000));
        for (int most = 1; most < 3000; most += 171)
        {
            string kept = TokenCounter.Truncate(text, most, "gpt-4o", out int tokens);

            Assert.InRange(tokens, most - 8, most);
            Assert.False(kept.Length > 0 && char.IsHighSurrogate(kept[^1]));
            Assert.StartsWith(kept, text);
        }
    }

    private static int Count(string body) => TokenCounter.CountChatRequest(Encoding.UTF8.GetBytes(body), "gpt-4o");
}
