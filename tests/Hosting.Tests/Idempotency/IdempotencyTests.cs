using System.Net.Http.Headers;
using System.Text;
using MultiAgent.Testing;
using Xunit;

namespace MultiAgent.Hosting.Tests.Idempotency;

public sealed class IdempotencyTests(HostingFixture host) : IClassFixture<HostingFixture>
{
    [Fact]
    public async Task Repetition_GetsTheFirstAnswer()
    {
        Reply first = await PostAsync("""{"name":"replay"}""", "k-replay");
        Reply again = await PostAsync("""{"name":"replay"}""", "k-replay");
        Assert.Equal((201, first.Text, first.ContentType), (again.Status, again.Text, again.ContentType));
        Assert.Equal("/api/v1/things/replay", again.Headers.Location!.ToString());
        Assert.Equal("true", again.Headers.GetValues("Idempotency-Replayed").Single());
        Assert.False(first.Headers.Contains("Idempotency-Replayed"));
        Assert.Equal(1, host.Module.Executions["replay"]);
    }

    [Fact]
    public async Task OtherBodyOrCaller_IsAConflict_OtherTenantIsNot()
    {
        await PostAsync("""{"name":"mismatch"}""", "k-mismatch");
        Reply body = await PostAsync("""{"name":"mismatch2"}""", "k-mismatch");
        Assert.Equal((409, "idempotency_key_reused"), (body.Status, body.Json.GetProperty("code").GetString()));
        Assert.Equal(409, (await PostAsync("""{"name":"mismatch"}""", "k-mismatch", "key-a-2")).Status);
        Assert.Equal(201, (await PostAsync("""{"name":"mismatch"}""", "k-mismatch", "key-b")).Status);
        Assert.Equal(2, host.Module.Executions["mismatch"]);
    }

    [Fact]
    public async Task FiftyAtOnce_ExecuteOnce()
    {
        Reply[] replies = await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => PostAsync("""{"name":"fifty"}""", "k-fifty")));
        Assert.All(replies, r => Assert.Equal(201, r.Status));
        Assert.Equal(1, host.Module.Executions["fifty"]);
    }

    [Theory]
    [InlineData(500, 2)]
    [InlineData(503, 2)]
    [InlineData(429, 2)]
    [InlineData(409, 2)]
    [InlineData(400, 1)]
    public async Task Failure_IsKeptOnlyIfARepetitionCannotMendIt(int status, int executions)
    {
        string body = $$"""{"name":"fails-{{status}}","status":{{status}}}""";
        Assert.Equal(status, (await PostAsync(body, $"k-{status}")).Status);
        Assert.Equal(status, (await PostAsync(body, $"k-{status}")).Status);
        Assert.Equal(executions, host.Module.Executions[$"fails-{status}"]);
    }

    [Fact]
    public async Task ClientLeaves_TheRequestGoesOnAndItsAnswerIsKept()
    {
        host.Module.Gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        int held = Volatile.Read(ref host.Module.Held);
        const string body = """{"name":"left","wait":true}""";
        using var leave = new CancellationTokenSource();
        using var request = new HttpRequestMessage(HttpMethod.Post, "/api/v1/things") { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", "key-a");
        request.Headers.Add("Idempotency-Key", "k-left");
        Task<HttpResponseMessage> first = host.Client.SendAsync(request, leave.Token);
        await Eventually.TrueAsync(() => Volatile.Read(ref host.Module.Held) > held, "the request in progress");
        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        Task<Reply> repetition = PostAsync(body, "k-left");
        host.Module.Gate.SetResult();
        Reply reply = await repetition;
        Assert.Equal(201, reply.Status);
        Assert.Equal(1, reply.Json.GetProperty("count").GetInt32());
        Assert.Equal(1, host.Module.Executions["left"]);
    }

    [Fact]
    public async Task WithoutAKey_EveryRequestExecutes()
    {
        await PostAsync("""{"name":"free"}""", null);
        await PostAsync("""{"name":"free"}""", null);
        Assert.Equal(2, host.Module.Executions["free"]);
    }

    [Fact]
    public async Task Key_TooLong_Is400() => Assert.Equal(400, (await PostAsync("""{"name":"long"}""", new string('x', 256))).Status);

    private Task<Reply> PostAsync(string body, string? key, string credential = "key-a") =>
        host.SendAsync(HttpMethod.Post, "/api/v1/things", body, credential, key is null ? [] : [("Idempotency-Key", key)]);

    [Fact]
    public async Task RepetitionOfARequestThatFailed_MakesTheSameIds()
    {
        string name = Guid.NewGuid().ToString("N"), body = $$"""{"name":"{{name}}"}""";
        Reply failed = await host.SendAsync(HttpMethod.Post, "/api/v1/once", body, headers: ("Idempotency-Key", name));
        Assert.Equal(500, failed.Status);
        Reply other = await host.SendAsync(HttpMethod.Post, "/api/v1/once", $$"""{"name":"{{name}}","status":202}""", headers: ("Idempotency-Key", name));
        Assert.Equal((409, "idempotency_key_reused"), (other.Status, other.Json.GetProperty("code").GetString()));
        Reply again = await host.SendAsync(HttpMethod.Post, "/api/v1/once", body, headers: ("Idempotency-Key", name));
        Assert.Equal(200, again.Status);
        Assert.Equal(2, host.Module.Made.Count);
        Assert.Single(host.Module.Made.Distinct());
        Assert.Equal(host.Module.Made.First(), again.Json.GetProperty("id").GetString());
    }
}
