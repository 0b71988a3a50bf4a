using CsCheck;
using MultiAgent.Orchestrator.Chat;
using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests.Chat;

[Trait("Database", "once")]
public sealed class ContextWindowTests
{
    private static readonly Gen<List<ChatMessage>> Conversations = Gen.Select(Gen.Int[0, 4], Gen.Int[0, 3], (kind, n) => (kind, n)).Array[0, 20].Select(blocks =>
    {
        var messages = new List<ChatMessage>();
        foreach ((int kind, int n) in blocks)
        {
            string text = new('x', 10 + n * 40);
            if (kind == 0) messages.Add(ChatMessage.Of(ChatRole.System, text));
            else if (kind == 1) messages.Add(ChatMessage.Assistant("ok"u8, []));
            else if (kind == 2)
            {
                messages.Add(ChatMessage.Assistant([], [.. Enumerable.Range(0, n + 1).Select(i => new ToolCall($"c{i}", "t", "{}"))]));
                for (int i = 0; i <= n; i++) messages.Add(ChatMessage.ToolResult($"c{i}", text));
            }
            else messages.Add(ChatMessage.Of(ChatRole.User, text));
        }
        return messages;
    });

    [Fact]
    public void Trim_AnyConversation_KeepsPairsSystemAndTheLastUserMessage() => Gen.Select(Conversations, Gen.Int[0, 3000]).Sample((messages, budget) =>
    {
        IReadOnlyList<ChatMessage> kept = ContextWindow.Trim(messages, budget, Count);

        // In order, and nothing invented.
        Assert.Equal(messages.Where(kept.Contains).Count(), kept.Count);
        // Every system message stays, and the last user message with all after it.
        Assert.Equal(messages.Count(m => m.Role == ChatRole.System), kept.Count(m => m.Role == ChatRole.System));
        int last = messages.FindLastIndex(m => m.Role == ChatRole.User);
        if (last >= 0) Assert.Equal(messages.Skip(last).Where(m => m.Role != ChatRole.System), kept.Where(m => m.Role != ChatRole.System).TakeLast(messages.Skip(last).Count(m => m.Role != ChatRole.System)));
        // A result stands after its call, and calls keep all their results.
        int open = 0;
        foreach (ChatMessage message in kept)
        {
            if (message.Role == ChatRole.Tool) Assert.True(--open >= 0);
            else if (message.Role != ChatRole.System)
            {
                Assert.Equal(0, open);
                open = message.HasToolCalls ? System.Text.Json.JsonDocument.Parse(message.Json).RootElement.GetProperty("tool_calls").GetArrayLength() : 0;
            }
        }
        Assert.Equal(0, open);
        // What could go is within the budget.
        int bound = kept.Sum(Count), forced = kept.Where((m, i) => m.Role == ChatRole.System).Sum(Count) + (last < 0 ? 0 : messages.Skip(last).Where(m => m.Role != ChatRole.System).Sum(Count));
        Assert.True(bound <= Math.Max(budget, forced));
    });

    [Fact]
    public async Task Run_HistoryLargerThanTheWindow_DropsTheOldestTurns()
    {
        await using TestHost host = await TestHost.StartAsync(settings: new()
        {
            ["Models:Providers:fake:Type"] = "openai",
            ["Models:Providers:fake:BaseUrl"] = "http://127.0.0.1:9/v1",
            ["Models:Catalogue:fake/small:ContextTokens"] = "2000",
        });
        await host.Alpha.CreateAgentAsync(more: new { model = "fake/small" });
        string? conversation = null;
        for (int i = 0; i < 8; i++)
        {
            (_, System.Text.Json.JsonElement body, _) = await host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = $"M{i} {string.Join(' ', Enumerable.Range(1000, 250))}", conversationId = conversation });
            conversation = body.Text("conversationId");
        }

        SeenRequest last = host.Model.Requests.Last();
        Assert.Equal("system", last.Roles[0]);
        Assert.StartsWith("M7", last.LastContent);
        Assert.InRange(last.Messages.Length, 3, 9);
    }

    private static int Count(ChatMessage message) => message.Json.Length / 4 + 4;
}
