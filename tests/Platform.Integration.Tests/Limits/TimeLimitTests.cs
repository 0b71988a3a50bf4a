using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace MultiAgent.Platform.Integration.Tests.Limits;

/// <summary>Clients that send slowly, and requests that take too long, with the shortest limits that there are.</summary>
[Trait("Database", "once")]
public sealed class TimeLimitTests : IAsyncLifetime
{
    // The limits are 1 s and the server looks at them once a second; its rule against slow bodies needs 5 s. The defaults are 15 s and 100 s.
    private static readonly TimeSpan Enough = TimeSpan.FromSeconds(14);

    private TestPlatform _platform = null!;

    public async ValueTask InitializeAsync() => _platform = await TestPlatform.StartAsync(new Dictionary<string, string?>
    {
        ["Limits:HeaderTimeoutSeconds"] = "1",
        ["Limits:RequestTimeoutSeconds"] = "1",
    });

    public ValueTask DisposeAsync() => _platform.DisposeAsync();

    [Fact]
    public async Task Headers_ThatStopHalfWay_AreGivenUpWhileOthersAreServed()
    {
        long started = Stopwatch.GetTimestamp();
        Task<string>[] slow = [.. Enumerable.Range(0, 20).Select(_ => SendAsync("GET /v1/models HTTP/1.1\r\nHost: localhost\r\nX-Slow: a"))];
        int served = 0;
        await Eventually.TrueAsync(async () =>
        {
            await _platform.Client.GetJsonAsync("/v1/models");
            served++;
            return slow.All(s => s.IsCompleted);
        }, "the slow connections are given up");
        string[] answers = await Task.WhenAll(slow);
        TimeSpan took = Stopwatch.GetElapsedTime(started);

        // Nothing, where the server hung up without a word.
        Assert.All(answers, a => Assert.True(a.Length == 0 || a.StartsWith("HTTP/1.1 408 ", StringComparison.Ordinal), a));
        Assert.True(took > TimeSpan.FromSeconds(0.9) && took < Enough, $"The connections were given up after {took}.");
        Assert.True(served > 5, $"Only {served} other requests were served meanwhile.");
    }

    [Fact]
    public async Task Body_ThatNeverComes_EndsInAProblemInTime()
    {
        long started = Stopwatch.GetTimestamp();

        string answer = await SendAsync(Announced());
        TimeSpan took = Stopwatch.GetElapsedTime(started);

        Assert.True(took < Enough, $"The request ended after {took}.");
        AssertTimedOut(answer);
    }

    [Fact]
    public async Task Body_ThatNeverComesUnderAKey_EndsInAProblemOfTheSameCode()
    {
        // With a key the whole body is read before the endpoint, by code that the request's limit cuts off.
        AssertTimedOut(await SendAsync(Announced("Idempotency-Key: slow\r\n")));
    }

    [Theory]
    [InlineData("/api/v1/agents")]
    [InlineData("/v1/chat/completions")]
    [InlineData("/api/v1/chat")]
    public async Task Body_ThatComesInDrips_IsGivenUpInTime(string path)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(_platform.Url.Host, _platform.Url.Port);
        NetworkStream stream = client.GetStream();
        long started = Stopwatch.GetTimestamp();
        await stream.WriteAsync(Encoding.ASCII.GetBytes(Announced(path: path).Replace("Content-Length: 100", "Content-Length: 1000000", StringComparison.Ordinal)));

        // Fast enough for the server's rule against slow bodies (240 bytes/s), so that only the request's limit can end it.
        byte[] spaces = Encoding.ASCII.GetBytes(new string(' ', 100));
        Task<int> answer = stream.ReadAsync(new byte[4096]).AsTask();
        while (!answer.IsCompleted && Stopwatch.GetElapsedTime(started) < Enough)
        {
            try
            {
                await stream.WriteAsync(spaces);
            }
            catch (IOException)
            {
                // The server has hung up, and the answer says so in a moment.
            }
            await Task.WhenAny(answer, Task.Delay(100));
        }

        Assert.True(answer.IsCompleted, $"The request goes on after {Stopwatch.GetElapsedTime(started)}.");
    }

    [Fact]
    public async Task ModelCall_ThatTakesLongerThanARequestMay_HasItsOwnLimit()
    {
        var finish = new TaskCompletionSource();
        foreach (string model in (string[])["long", "long-agent"])
        {
            _platform.Provider.For(model, async context =>
            {
                await finish.Task.WaitAsync(Eventually.Deadline);
                await FakeProvider.AnswerAsync(context, "done");
            });
        }
        await _platform.Client.PostJsonAsync("/api/v1/agents", """{"slug":"long","name":"Long","instructions":"Think.","model":"fake/long-agent"}""", HttpStatusCode.Created);
        Task<HttpResponseMessage> completion = _platform.Client.PostAsync("/v1/chat/completions", """{"model":"fake/long","messages":[{"role":"user","content":"hi"}]}""");
        Task<HttpResponseMessage> chat = _platform.Client.PostAsync("/api/v1/chat", """{"agent":"long","message":"hi","stream":false}""");
        await Eventually.TrueAsync(() => _platform.Provider.Active == 2, "both calls are at the provider");

        // A request that began after them and is given up shows that their time would be up, too.
        AssertTimedOut(await SendAsync(Announced()));
        finish.SetResult();

        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK), ((await completion).StatusCode, (await chat).StatusCode));
    }

    /// <summary>A request whose body is announced and does not come.</summary>
    private static string Announced(string header = "", string path = "/api/v1/agents") =>
        $"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TestPlatform.DemoKey}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n{header}\r\n{{\"slug\":";

    private static void AssertTimedOut(string answer)
    {
        string[] parts = answer.Split("\r\n\r\n", 2);
        Assert.Matches("^HTTP/1.1 (408|504) ", parts[0]);
        Assert.Contains("\r\nContent-Type: application/problem+json", parts[0], StringComparison.OrdinalIgnoreCase);
        JsonElement problem = JsonDocument.Parse(parts[1]).RootElement;
        Assert.Equal(parts[0].Split(' ')[1], problem.GetProperty("status").GetInt32().ToString(CultureInfo.InvariantCulture));
        Assert.Equal("request_timeout", problem.GetProperty("code").GetString());
    }

    /// <summary>Sends these bytes and nothing more; returns all that comes until the server hangs up or the body is whole.</summary>
    private async Task<string> SendAsync(string request)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(_platform.Url.Host, _platform.Url.Port);
        NetworkStream stream = client.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes(request));
        var answer = new StringBuilder();
        byte[] buffer = new byte[4096];
        using var limit = new CancellationTokenSource(Eventually.Deadline);
        try
        {
            while (!Whole(answer.ToString()) && await stream.ReadAsync(buffer, limit.Token) is var read and > 0) answer.Append(Encoding.UTF8.GetString(buffer, 0, read));
        }
        catch (IOException)
        {
            // reset by the server: what came before counts
        }
        return answer.ToString();
    }

    private static bool Whole(string answer) => answer.Contains("\r\n\r\n{", StringComparison.Ordinal) && answer.EndsWith('}');
}
