using System.Text.Json;
using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests.Conversations;

public sealed class ConversationEndpointsTests
{
    [Fact]
    public async Task Conversation_Life_CreateRenameDelete()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync();
        (int created, JsonElement conversation, HttpResponseMessage response) = await host.Alpha.PostJsonAsync("/api/v1/conversations", new { agent = "helper", title = "First", metadata = new { a = "b" } });
        string path = $"/api/v1/conversations/{conversation.Text("id")}";

        Assert.Equal(201, created);
        Assert.Equal(path, response.Headers.Location!.OriginalString);
        Assert.Equal("b", conversation.Text("metadata", "a"));
        (int renamed, JsonElement title, _) = await host.Alpha.SendAsync(HttpMethod.Patch, path, new { title = "Second" });
        Assert.Equal((200, "Second"), (renamed, title.Text("title")));
        await host.Alpha.PostJsonAsync("/api/v1/chat", new { message = "Hi", conversationId = conversation.Text("id") });
        Assert.Equal(204, (await host.Alpha.SendAsync(HttpMethod.Delete, path)).Status);
        Assert.Equal(404, (await host.Alpha.GetJsonAsync(path)).Status);
        Assert.Equal(404, (await host.Alpha.GetJsonAsync($"{path}/messages")).Status);
        Assert.Equal(404, (await host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Hi", conversationId = conversation.Text("id") })).Status);
    }

    [Fact]
    public async Task Create_SameIdempotencyKey_MakesOne()
    {
        await using TestHost host = await TestHost.StartAsync();

        (_, JsonElement first, _) = await host.Alpha.PostJsonAsync("/api/v1/conversations", new { title = "x" }, ("Idempotency-Key", "k"));
        (_, JsonElement second, _) = await host.Alpha.PostJsonAsync("/api/v1/conversations", new { title = "x" }, ("Idempotency-Key", "k"));

        Assert.Equal(first.Text("id"), second.Text("id"));
    }

    [Fact]
    public async Task Messages_Pages_InOrder()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync();
        (_, JsonElement chat, _) = await host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "M0" });
        string id = chat.Text("conversationId");
        for (int i = 1; i < 3; i++) await host.Alpha.PostJsonAsync("/api/v1/chat", new { message = $"M{i}", conversationId = id });
        var contents = new List<string>();
        string? cursor = "";
        while (cursor is not null)
        {
            (_, JsonElement page, _) = await host.Alpha.GetJsonAsync($"/api/v1/conversations/{id}/messages?limit=2&cursor={cursor}");
            contents.AddRange(page.GetProperty("data").EnumerateArray().Select(m => m.Text("content")));
            cursor = page.TryGetProperty("nextCursor", out JsonElement next) ? next.GetString() : null;
        }

        Assert.Equal(["M0", "Hello there", "M1", "Hello there", "M2", "Hello there"], contents);
    }
}
