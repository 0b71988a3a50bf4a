using System.Text.Json;
using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests;

/// <summary>Every endpoint with the other tenant's key: nothing of the first tenant can be read, changed or guessed.</summary>
public sealed class IsolationTests
{
    [Fact]
    public async Task OtherTenant_OnEveryEndpoint_FindsNothing()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync();
        (_, JsonElement chat, _) = await host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Hi" });
        string run = chat.Text("runId"), conversation = chat.Text("conversationId"), message = chat.Text("message", "id");
        await host.Alpha.PostJsonAsync($"/api/v1/messages/{message}/feedback", new { rating = 1 });
        object workflow = new { apiVersion = "maap/v1", kind = "Workflow", name = "flow", steps = new[] { new { id = "a", type = "transform", output = 1 } } };
        Assert.Equal(201, (await host.Alpha.PostJsonAsync("/api/v1/workflows", workflow)).Status);

        (HttpMethod Method, string Path, object? Body)[] one =
        [
            (HttpMethod.Get, "/api/v1/agents/helper", null),
            (HttpMethod.Put, "/api/v1/agents/helper", new { name = "stolen" }),
            (HttpMethod.Delete, "/api/v1/agents/helper", null),
            (HttpMethod.Get, "/api/v1/agents/helper/versions", null),
            (HttpMethod.Get, "/api/v1/agents/helper/versions/1", null),
            (HttpMethod.Put, "/api/v1/agents/helper/labels/production", new { version = 1 }),
            (HttpMethod.Get, "/api/v1/workflows/flow", null),
            (HttpMethod.Put, "/api/v1/workflows/flow", workflow),
            (HttpMethod.Delete, "/api/v1/workflows/flow", null),
            (HttpMethod.Get, "/api/v1/workflows/flow/versions", null),
            (HttpMethod.Get, "/api/v1/workflows/flow/versions/1", null),
            (HttpMethod.Get, "/api/v1/workflows/flow/graph", null),
            (HttpMethod.Put, "/api/v1/workflows/flow/labels/production", new { version = 1 }),
            (HttpMethod.Post, "/api/v1/chat", new { agent = "helper", message = "Hi" }),
            (HttpMethod.Post, "/api/v1/chat", new { agent = "helper", message = "Hi", conversationId = conversation }),
            (HttpMethod.Get, $"/api/v1/runs/{run}", null),
            (HttpMethod.Get, $"/api/v1/runs/{run}/events", null),
            (HttpMethod.Get, $"/api/v1/runs/{run}/graph", null),
            (HttpMethod.Post, $"/api/v1/runs/{run}/cancel", new { }),
            (HttpMethod.Get, $"/api/v1/conversations/{conversation}", null),
            (HttpMethod.Patch, $"/api/v1/conversations/{conversation}", new { title = "stolen" }),
            (HttpMethod.Delete, $"/api/v1/conversations/{conversation}", null),
            (HttpMethod.Post, $"/api/v1/conversations/{conversation}/compact", new { }),
            (HttpMethod.Get, $"/api/v1/conversations/{conversation}/messages", null),
            (HttpMethod.Get, $"/api/v1/conversations/{conversation}/feedback", null),
            (HttpMethod.Post, $"/api/v1/messages/{message}/feedback", new { rating = -1 }),
        ];
        foreach ((HttpMethod method, string path, object? body) in one)
        {
            (int status, _, _) = await host.Beta.SendAsync(method, path, body);
            Assert.True(status == 404, $"{method} {path}: {status}");
        }
        foreach (string path in new[] { "/api/v1/agents", "/api/v1/workflows", "/api/v1/runs", "/api/v1/conversations", "/api/v1/feedback", "/api/v1/compensations/dead-letters?status=all", $"/api/v1/runs?conversation={conversation}", $"/api/v1/feedback?message={message}" })
        {
            (int status, JsonElement body, _) = await host.Beta.GetJsonAsync(path);
            Assert.Equal(200, status);
            Assert.Empty(body.GetProperty("data").EnumerateArray());
        }
        (_, JsonElement untouched, _) = await host.Alpha.GetJsonAsync($"/api/v1/conversations/{conversation}");
        Assert.Equal("Hi", untouched.Text("title"));
    }

    [Fact]
    public async Task ReadOnlyKey_OnEveryWrite_Is403()
    {
        await using TestHost host = await TestHost.StartAsync();
        using HttpClient reader = host.Client("alpha-reader");

        foreach ((HttpMethod method, string path) in new[]
        {
            (HttpMethod.Post, "/api/v1/agents"), (HttpMethod.Put, "/api/v1/agents/x"), (HttpMethod.Delete, "/api/v1/agents/x"), (HttpMethod.Put, "/api/v1/agents/x/labels/production"),
            (HttpMethod.Post, "/api/v1/workflows"), (HttpMethod.Put, "/api/v1/workflows/x"), (HttpMethod.Delete, "/api/v1/workflows/x"), (HttpMethod.Put, "/api/v1/workflows/x/labels/production"),
            (HttpMethod.Post, "/api/v1/chat"), (HttpMethod.Post, "/api/v1/runs/x/cancel"), (HttpMethod.Post, "/api/v1/conversations"), (HttpMethod.Patch, "/api/v1/conversations/x"),
            (HttpMethod.Delete, "/api/v1/conversations/x"), (HttpMethod.Post, "/api/v1/messages/x/feedback"),
        })
        {
            (int status, JsonElement body, _) = await reader.SendAsync(method, path, method == HttpMethod.Delete ? null : new { });
            Assert.True(status == 403, $"{method} {path}: {status}");
            Assert.Equal("missing_scope", body.Text("code"));
        }
    }
}
